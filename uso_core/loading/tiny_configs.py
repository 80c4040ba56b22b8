"""Dimensions and limits of the tiny model; no torch, so that a driver can describe the model."""

from __future__ import annotations

from typing import Any

from uso_core.request import Limits

TINY_VERSION = 1
"""Raise it with every change to the files of `uso_core.loading.tiny`: fingerprints contain it."""
TINY_LIMITS = Limits(min_size=16, max_size=256, default_size=64)
"""Limits of tiny checkpoints, and of settings (config.json) that give no `limits` of their own."""
TINY_STYLE_TOKENS = 8
"""Style tokens of each level of the projector."""
TINY_LORA_RANK = 8

TINY_FLUX: dict[str, Any] = {
    "in_channels": 64,
    "vec_in_dim": 32,
    "context_in_dim": 24,
    "hidden_size": 64,
    "mlp_ratio": 4.0,
    "num_heads": 4,
    "depth": 2,
    "depth_single_blocks": 2,
    "axes_dim": [4, 6, 6],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
}
TINY_VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
    "z_channels": 16,
    "scale_factor": 0.3611,
    "shift_factor": 0.1159,
}
TINY_T5: dict[str, Any] = {
    "model_type": "t5",
    "vocab_size": 384,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
    "tie_word_embeddings": False,
}
TINY_CLIP: dict[str, Any] = {
    "model_type": "clip_text_model",
    "vocab_size": 704,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 702,
    "eos_token_id": 703,
}
TINY_SIGLIP: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 28,
    "intermediate_size": 36,
    "num_hidden_layers": 21,  # the style levels reach 20 layers back
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
TINY_SIGLIP_PROCESSOR: dict[str, Any] = {
    "image_processor_type": "SiglipImageProcessor",
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
