"""From files to the modules that a pipeline draws with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    SiglipImageProcessorPil,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from uso_core.checkpoint import FoundModel, ModelSource, find_model, limits_of, read_json
from uso_core.components import Components, hoist_embedders
from uso_core.errors import CheckpointError
from uso_core.key_mapping import Rule, transformer_rules, vae_rules
from uso_core.layouts import Part
from uso_core.lora import read_lora
from uso_core.strict_load import Placement, load_strictly
from uso_core.style_projector import StyleProjector
from uso_core.tensor_files import open_tensor_files


def load_components(source: ModelSource, *, dtype: torch.dtype, device: torch.device) -> Components:
    """quick first version"""
    model = find_model(source)
    place = Placement(dtype, device)
    parts = model.parts
    settings = read_json(parts["settings"].path("config.json"))
    flux, ae = settings["flux_params"], settings["ae_params"]
    with init_empty_weights(include_buffers=False):
        transformer = FluxTransformer2DModel(
            in_channels=flux["in_channels"],
            num_layers=flux["depth"],
            num_single_layers=flux["depth_single_blocks"],
            attention_head_dim=flux["hidden_size"] // flux["num_heads"],
            num_attention_heads=flux["num_heads"],
            joint_attention_dim=flux["context_in_dim"],
            pooled_projection_dim=flux["vec_in_dim"],
            guidance_embeds=flux["guidance_embed"],
            axes_dims_rope=tuple(flux["axes_dim"]),
        )
        channels = [ae["ch"] * m for m in ae["ch_mult"]]
        vae = AutoencoderKL(
            block_out_channels=channels,
            down_block_types=["DownEncoderBlock2D"] * len(channels),
            up_block_types=["UpDecoderBlock2D"] * len(channels),
            layers_per_block=ae["num_res_blocks"],
            latent_channels=ae["z_channels"],
            scaling_factor=ae["scale_factor"],
            shift_factor=ae["shift_factor"],
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
        clip = CLIPTextModel(
            CLIPTextConfig.from_dict(
                read_json(parts["text_encoder"].path("clip/config.json"))["text_config"]
            )
        )
        t5 = T5EncoderModel(
            T5Config.from_dict(read_json(parts["text_encoder_2"].path("t5/config.json")))
        )
        siglip = SiglipVisionModel(
            SiglipVisionConfig.from_dict(
                read_json(parts["image_encoder"].path("siglip/config.json"))["vision_config"]
            )
        )
        projector = StyleProjector(
            flux["style_token_nums"],
            flux["siglip_token_nums"],
            flux["siglip_token_dims"],
            flux["hidden_size"],
        )

    def files(name: Any) -> Any:
        part = parts[name]
        return open_tensor_files([part.path(w) for w in part.weights])

    shapes = {k: tuple(v.shape) for k, v in transformer.state_dict().items()}
    lora = read_lora(files("lora"), shapes)
    rules = transformer_rules(flux["depth"], flux["depth_single_blocks"], guidance=True)
    load_strictly(transformer, files("transformer"), rules, place, merge=lora.merged)
    load_strictly(vae, files("vae"), vae_rules(vae.state_dict()), Placement(torch.float32, device))
    load_strictly(
        projector, files("projector"), [Rule(k, (k,)) for k in projector.state_dict()], place
    )
    for module, name, prefix in (
        (clip, "text_encoder", "text_model."),
        (siglip, "image_encoder", "vision_model."),
    ):
        f = files(name)
        f.shapes = {k: v for k, v in f.shapes.items() if k.startswith(prefix)}
        load_strictly(module, f, [Rule(prefix + k, (k,)) for k in module.state_dict()], place)
    load_strictly(
        t5,
        files("text_encoder_2"),
        [Rule(k, (k,)) for k in t5.state_dict() if k != "encoder.embed_tokens.weight"],
        place,
        tied={"encoder.embed_tokens.weight": "shared.weight"},
    )
    context_embedder, pos_embed = hoist_embedders(transformer)
    return Components(
        transformer=transformer,
        context_embedder=context_embedder,
        pos_embed=pos_embed,
        vae=vae,
        style_projector=projector,
        text_encoder=clip,
        text_encoder_2=t5,
        tokenizer=CLIPTokenizer.from_pretrained(parts["tokenizer"].path("clip")),
        tokenizer_2=T5Tokenizer.from_pretrained(parts["tokenizer_2"].path("t5")),
        image_encoder=siglip,
        image_processor=SiglipImageProcessorPil.from_pretrained(
            parts["image_processor"].path("siglip")
        ),
        limits=limits_of(model),
    )
