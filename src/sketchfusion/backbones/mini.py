"""The architectures of the mini models: the libraries' own classes at sizes that a laptop CPU runs.

Only `sketchfusion pretrain` needs them: the weights are stored in the hub layout and load as the full models do.
"""

import json

from diffusers import AutoencoderKL, UNet2DConditionModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, ViTConfig, ViTModel

SIDE = 128  # pixels of the square for the VAE
CLIP_SIDE = 64  # pixels of the same square for CLIP
PROMPT_TOKENS = 24  # of the longest prompt, begin and end included
TEXT_WIDTH = 128  # width of the text towers and of the UNet's cross-attention
JOINT_WIDTH = 256  # of the space that CLIP's pictures and texts share


def build_vae() -> AutoencoderKL:
    """Build a variational autoencoder: (B, 3, 128, 128) in [-1, 1] <-> (B, 4, 32, 32)."""
    return AutoencoderKL(
        block_out_channels=(32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=SIDE,
        scaling_factor=1.0,
    )


def build_unet() -> UNet2DConditionModel:
    """Build a UNet as Stable Diffusion's: four down blocks, a middle, four up blocks, cross-attention to text."""
    return UNet2DConditionModel(
        sample_size=SIDE // 4,
        block_out_channels=(32, 64, 128, 192),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Build the diffusion model's text encoder: a transformer of 4 blocks, trained together with the UNet."""
    sizes = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=PROMPT_TOKENS,
        projection_dim=JOINT_WIDTH,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CLIPTextModel(sizes)


def build_dino() -> ViTModel:
    """Build a ViT for DINO, of the sizes of CLIP's image tower: 4 blocks over 8x8 patches of 64 px."""
    sizes = ViTConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=6,
        image_size=CLIP_SIDE,
        patch_size=8,
    )
    return ViTModel(sizes, add_pooling_layer=False)


def build_tokenizer(texts: list[str], vocabulary: int = 2048) -> CLIPTokenizer:
    """Learn a byte-pair encoding in CLIP's format from `texts`, of at most `vocabulary` tokens."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    special = ["<|startoftext|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(sorted(texts), trainer)
    learned = json.loads(bpe.to_str())["model"]
    vocab: dict[str, int] = learned["vocab"]
    for byte in sorted(token for token in vocab if len(token) == 1):
        vocab.setdefault(f"{byte}</w>", len(vocab))  # every byte as an end of word, so that no text is unknown
    return CLIPTokenizer(
        vocab=vocab,
        merges=[(left, right) for left, right in learned["merges"]],
        bos_token=special[0],
        eos_token=special[1],
        unk_token=special[1],
        pad_token=special[1],
        model_max_length=PROMPT_TOKENS,
    )
