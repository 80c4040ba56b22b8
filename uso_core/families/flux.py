"""USO on FLUX.1: the paper's own model, in the original's and diffusers' layout, and tiny ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from uso_core.loading import layouts
from uso_core.loading.component_files import ComponentFiles, ComponentName, FileListing
from uso_core.loading.demo import DEMO
from uso_core.loading.dimensions import FAMILY, Dimensions, dimensions_of
from uso_core.loading.source import ModelCard, ModelSource, describe_model, pin_revisions
from uso_core.protocol import About
from uso_core.request import Limits

if TYPE_CHECKING:
    import torch

    from uso_core.pipeline import USOPipeline
    from uso_core.presets import Attention, Preset

_TINY = "tiny"


class _UsoOnFlux:
    """See `ModelFamily`."""

    name = FAMILY
    about = About(
        title="USO",
        url="https://arxiv.org/abs/2508.18966",
        licence="FLUX.1 [dev] is under a Non-Commercial License; the USO weights are under "
        "Apache-2.0",
    )
    usual_limits = Limits()
    usual_dimensions = Dimensions()

    def owns_name(self, name: str) -> bool:
        """See `ModelFamily`."""
        return name in (DEMO, _TINY) or name.startswith(f"{_TINY}:")

    def recognizes(self, base: FileListing) -> bool:
        """See `ModelFamily`."""
        return layouts.DIFFUSERS_MARKER in base.names or bool(
            layouts.transformer_names() & base.names
        )

    def files(self, weights: str, listing: FileListing) -> Mapping[ComponentName, ComponentFiles]:
        """See `ModelFamily`."""
        if weights == "uso":
            return layouts.uso_components(listing)
        return layouts.siglip_components(listing) if weights == "siglip" else _base_files(listing)

    def describe(self, source: ModelSource) -> ModelCard:
        """See `ModelFamily`."""
        return describe_model(source)

    def pin(self, source: ModelSource) -> ModelSource:
        """See `ModelFamily`."""
        return pin_revisions(source)

    def dimensions(self, source: ModelSource) -> Dimensions:
        """See `ModelFamily`."""
        return dimensions_of(source)

    def memory_needed(self, source: ModelSource, dtype: torch.dtype, preset: Preset) -> int:
        """See `ModelFamily`."""
        from uso_core.loading.memory import memory_needed  # noqa: PLC0415 - it imports torch

        return memory_needed(source, dtype, preset)

    def load(
        self,
        source: ModelSource,
        *,
        dtype: torch.dtype,
        device: torch.device,
        preset: Preset,
        attention: Attention,
    ) -> USOPipeline:
        """See `ModelFamily`."""
        from uso_core.pipeline import USOPipeline  # noqa: PLC0415 - it imports torch

        return USOPipeline.load(
            source, dtype=dtype, device=device, preset=preset, attention=attention
        )


def _base_files(listing: FileListing) -> Mapping[ComponentName, ComponentFiles]:
    """Return the base model's files, and those of USO and SigLIP if they are beside it."""
    components = layouts.base_components(listing, layouts.layout_of(listing))
    if layouts.holds_uso(listing):
        components |= layouts.uso_components(listing)
    if layouts.holds_siglip(listing):
        components |= layouts.siglip_components(listing, "siglip")
    return components


USO_ON_FLUX = _UsoOnFlux()
