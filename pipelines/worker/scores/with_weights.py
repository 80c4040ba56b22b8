"""Scores that need the weights of another network: those of USO-Bench, and two more.

`uso_core.metrics` has the networks and the definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from pipelines.config.strict import StrictModel
from pipelines.worker.scores.picture import Picture
from pipelines.worker.scores.scorer import Need, Score, Scorer, Seen
from uso_core.errors import CheckpointError
from uso_core.metrics import weights as published
from uso_core.metrics.weights import Weights

if TYPE_CHECKING:
    import torch

    from uso_core.metrics.embedding import Embedder
    from uso_core.metrics.encoders import Clip

_USO_BENCH = "Wu et al. 2025, USO-Bench, arXiv 2508.18966"


class NetworkOptions(StrictModel):
    """The options of a score with one network."""

    weights: str | None = Field(None, min_length=1)
    """A Hub id, or a folder or file that is the same on every machine."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network computes; `cuda` shares the actor's GPU."""

    @field_validator("weights")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        """Return a path that also holds in an actor, which runs in another folder."""
        return None if value is None else published.absolute(value)


class AestheticOptions(NetworkOptions):
    """The options of `aesthetic`, which has two networks."""

    head: str | None = Field(None, min_length=1)
    """The file of the head."""

    @field_validator("head")
    @classmethod
    def _absolute_head(cls, value: str | None) -> str | None:
        """See `NetworkOptions`."""
        return None if value is None else published.absolute(value)


def _missing(networks: Mapping[str, Weights], options: StrictModel) -> str | None:
    """Return the weights that have to be named or downloaded."""
    for key, weights in networks.items():
        location = getattr(options, key)
        if location is None:
            return (
                f"{key} is not given; {weights.how_to_get()}, then give `{key}: {weights.give}`, "
                "or the path on every machine"
            )
        try:
            weights.find(location)
        except CheckpointError as error:
            return f"{key}: {error}"
    return None


def _identity(networks: Mapping[str, Weights], options: StrictModel) -> Mapping[str, Any]:
    return {key: weights.identity(getattr(options, key)) for key, weights in networks.items()}


def _references(seen: Seen, need: Need) -> Sequence[Picture]:
    if need == "style":
        return seen.styles
    return () if seen.content is None else (seen.content,)


def _compared(
    embedder: Callable[[str, str], Embedder],
    measure: Callable[[torch.Tensor, torch.Tensor], float],
    need: Need,
    options: NetworkOptions,
) -> Score:
    """Return the mean measure of an image's vector and those of its references."""
    assert options.weights is not None
    embed = embedder(options.weights, options.device)

    def score(seen: Seen) -> float:
        ours, *others = embed([seen.picture, *_references(seen, need)])
        return sum(measure(ours, other) for other in others) / len(others)

    return score


@lru_cache(maxsize=2)  # CLIP-I and CLIP-T share one
def _clip(location: str, device: str) -> Clip:
    import torch  # noqa: PLC0415 (heavy)

    from uso_core.metrics.encoders import Clip  # noqa: PLC0415 (heavy)

    return Clip(published.CLIP_B32.on_disk(location), _checked(torch.device(device)))


def _checked(device: torch.device) -> torch.device:
    from uso_core.runtime.devices import check_device  # noqa: PLC0415 (heavy)

    check_device(device)
    return device


def _load_csd(options: NetworkOptions) -> Score:
    import torch  # noqa: PLC0415 (heavy)

    from uso_core.metrics.csd import csd  # noqa: PLC0415 (heavy)
    from uso_core.metrics.embedding import cosine  # noqa: PLC0415 (heavy)

    def embedder(location: str, device: str) -> Embedder:
        return csd(published.CSD.on_disk(location), _checked(torch.device(device)))

    return _compared(embedder, cosine, "style", options)


def _load_dino(options: NetworkOptions) -> Score:
    import torch  # noqa: PLC0415 (heavy)

    from uso_core.metrics.embedding import cosine  # noqa: PLC0415 (heavy)
    from uso_core.metrics.encoders import dino  # noqa: PLC0415 (heavy)

    def embedder(location: str, device: str) -> Embedder:
        return dino(published.DINO_S16.on_disk(location), _checked(torch.device(device)))

    return _compared(embedder, cosine, "content", options)


def _load_gram(options: NetworkOptions) -> Score:
    import torch  # noqa: PLC0415 (heavy)

    from uso_core.metrics.gram import gram, squared_distance  # noqa: PLC0415 (heavy)

    def embedder(location: str, device: str) -> Embedder:
        return gram(published.VGG19.on_disk(location), _checked(torch.device(device)))

    return _compared(embedder, squared_distance, "style", options)


def _load_clip_i(options: NetworkOptions) -> Score:
    from uso_core.metrics.embedding import cosine  # noqa: PLC0415 (heavy)

    return _compared(lambda *where: _clip(*where).images, cosine, "content", options)


def _load_clip_t(options: NetworkOptions) -> Score:
    from uso_core.metrics.embedding import cosine  # noqa: PLC0415 (heavy)

    assert options.weights is not None
    clip = _clip(options.weights, options.device)

    def score(seen: Seen) -> float:
        return max(0.0, cosine(clip.images([seen.picture])[0], clip.text(seen.prompt)))

    return score


def _load_aesthetic(options: AestheticOptions) -> Score:
    import torch  # noqa: PLC0415 (heavy)

    from uso_core.metrics.aesthetic import aesthetic_head  # noqa: PLC0415 (heavy)
    from uso_core.metrics.encoders import clip_vision  # noqa: PLC0415 (heavy)

    assert options.weights is not None
    assert options.head is not None
    head = aesthetic_head(published.AESTHETIC.on_disk(options.head))
    embed = clip_vision(
        published.CLIP_L14.on_disk(options.weights), _checked(torch.device(options.device))
    )
    return lambda seen: head.rate(embed([seen.picture])[0])


def _of(networks: Mapping[str, Weights]) -> dict[str, Any]:
    """Return what all scores with weights have in common."""
    return {
        "missing": partial(_missing, networks),
        "identity": partial(_identity, networks),
        "one_at_a_time": True,
    }


CSD = Scorer(
    name="csd",
    title="Style (CSD)",
    meaning="Cosine of the CSD style descriptors of the image and its style. With several styles, "
    "the mean over them.",
    better="higher",
    low=-1.0,
    high=1.0,
    needs=("style",),
    source=f"{_USO_BENCH}; Somepalli et al. 2024, arXiv 2404.01292",
    options=NetworkOptions,
    load=_load_csd,
    **_of({"weights": published.CSD}),
)
GRAM = Scorer(
    name="gram",
    title="Style loss (Gram)",
    meaning="Style loss of Gatys et al. between the image and its style, on torchvision's VGG-19; "
    "0 for the same textures. With several styles, the mean over them.",
    better="lower",
    low=0.0,
    high=None,
    needs=("style",),
    source="Gatys, Ecker and Bethge 2016, CVPR, equations 3 to 5",
    options=NetworkOptions,
    load=_load_gram,
    **_of({"weights": published.VGG19}),
)
DINO = Scorer(
    name="dino",
    title="Subject (DINO)",
    meaning="Cosine of the DINO ViT-S/16 embeddings of the image and its content.",
    better="higher",
    low=-1.0,
    high=1.0,
    needs=("content",),
    source=_USO_BENCH,
    options=NetworkOptions,
    load=_load_dino,
    **_of({"weights": published.DINO_S16}),
)
CLIP_I = Scorer(
    name="clip_i",
    title="Subject (CLIP-I)",
    meaning="Cosine of the CLIP ViT-B/32 embeddings of the image and its content.",
    better="higher",
    low=-1.0,
    high=1.0,
    needs=("content",),
    source=_USO_BENCH,
    options=NetworkOptions,
    load=_load_clip_i,
    **_of({"weights": published.CLIP_B32}),
)
CLIP_T = Scorer(
    name="clip_t",
    title="Text (CLIP-T)",
    meaning="Cosine of the CLIP ViT-B/32 embeddings of the image and its prompt; 0 if negative.",
    better="higher",
    low=0.0,
    high=1.0,
    needs=("prompt",),
    source=_USO_BENCH,
    options=NetworkOptions,
    load=_load_clip_t,
    **_of({"weights": published.CLIP_B32}),
)
AESTHETIC = Scorer(
    name="aesthetic",
    title="Aesthetic",
    meaning="Rating by LAION's aesthetic predictor (version 2, linear MSE), about 1 to 10.",
    better="higher",
    low=None,
    high=None,
    source="github.com/christophschuhmann/improved-aesthetic-predictor",
    options=AestheticOptions,
    load=_load_aesthetic,
    **_of({"weights": published.CLIP_L14, "head": published.AESTHETIC}),
)
