"""The table of the fields of a row's request.

Everything that depends on the set of fields is derived from it: a manifest's columns, `defaults` in
the configuration, records, composed manifests, fingerprints, source digests, the options of
`uso generate`, the output of `uso describe` and the pages of a report. Default values and limits
are in `uso_core.request`.

To add a parameter: add it to `uso_core.request.Parameters`, with a check and its limits, then add
an entry here, then use the parameter in the model.
"""

from __future__ import annotations

from itertools import chain

from pipelines.fields.field import Field
from pipelines.fields.kinds import (
    BOOLEAN,
    INTEGER,
    LARGE_INTEGER,
    NUMBER,
    NUMBERS,
    REFERENCE,
    REFERENCES,
    STYLES,
    TEXT,
)
from uso_core.request import MAX_SEED

_REFERENCE = "path, URI, data: URI or bytes"

STYLE_WEIGHTS = Field(
    name="style_weights",
    kind=NUMBERS,
    accepted="one for each style, 0 to {max_style_weight:g}",
    otherwise="1 for each",
    limits=("max_style_weight",),
    no_default="a row has one for each of its styles",
    counts_if=lambda weights: any(weight != 1 for weight in weights),
    option="--style-weight",
    help="The strength of a style, 0 to 2. Give one for each --style, in order.",
)

STYLE = Field(
    name="style",
    kind=STYLES,
    accepted="a name in manifest.style_library, or a list of them with weights",
    makes_picture=True,
    part_of="style_images",
    is_recorded=False,
)
"""Styles of a library. An input only where there is a library: else it is a column of the user."""

FIELDS: tuple[Field, ...] = (
    Field(
        name="prompt",
        kind=TEXT,
        accepted="any",
        makes_picture=True,
        help='The prompt; "" keeps the layout of the content image.',
    ),
    Field(
        name="content_image",
        kind=REFERENCE,
        accepted=_REFERENCE,
        makes_picture=True,
        option="--content",
        help="The content image: a path or URI.",
    ),
    Field(
        name="style_image",
        kind=REFERENCE,
        accepted=_REFERENCE,
        makes_picture=True,
        part_of="style_images",
    ),
    Field(
        name="extra_style_image",
        kind=REFERENCE,
        accepted=_REFERENCE,
        makes_picture=True,
        part_of="style_images",
    ),
    Field(
        name="style_images",
        kind=REFERENCES,
        accepted="{max_styles} styles in all",
        aliases=("reference_images",),
        makes_picture=True,
        option="--style",
        help="A style image: a path or URI. Repeatable.",
    ),
    STYLE_WEIGHTS,
    STYLE,
    Field(
        name="width",
        kind=INTEGER,
        accepted="{min_size} to {max_size}, in steps of {size_step}",
        otherwise="from the content image, else {default_size}",
        metavar="PIXELS",
        help="Image width.",
    ),
    Field(
        name="height",
        kind=INTEGER,
        accepted="{min_size} to {max_size}, in steps of {size_step}",
        otherwise="from the content image, else {default_size}",
        metavar="PIXELS",
        help="Image height.",
    ),
    Field(
        name="num_steps",
        kind=INTEGER,
        accepted="1 to {max_steps}",
        title="steps",
        option="--steps",
        help="Denoising steps.",
    ),
    Field(
        name="guidance",
        kind=NUMBER,
        accepted="{min_guidance:g} to {max_guidance:g}",
        help="Guidance scale.",
    ),
    Field(
        name="seed",
        kind=LARGE_INTEGER,
        accepted=f"-1, or 0 to {MAX_SEED}",
        otherwise="-1: derived from the id",
        help="The seed of the noise.",
    ),
    Field(
        name="keep_size",
        kind=BOOLEAN,
        accepted="true or false",
        otherwise="{default_keep_size}",
        help="Take the image size from the content image.",
    ),
    Field(
        name="content_long_size",
        kind=INTEGER,
        accepted="0 to {max_content_long_size}",
        otherwise="{default_content_long_size}",
        metavar="PIXELS",
        help="Resize the content image to this long side; 0 ignores the image.",
    ),
    Field(
        name="num_images",
        kind=INTEGER,
        accepted="1 to {max_images}",
        is_recorded=False,
    ),
)

FACTS_BY_PLACE: tuple[tuple[str, ...], ...] = (
    ("prompt",),
    ("content_image",),
    ("width", "height", "num_steps", "guidance"),
    ("seed", "num_images"),
    ("keep_size", "content_long_size"),
    ("style_image", "extra_style_image", "style_images"),
)
"""The facts of a fingerprint in order, each with the fields that it consists of.

This list is closed. A field that is not in it contributes a named fact, and only if its value
changes the image, so that the fingerprints of recorded rows stay valid.
"""

INPUT_NAMES = ("id", *(field.name for field in FIELDS))
"""Our names of the columns of a manifest."""
ALIASES = {alias: field.name for field in FIELDS for alias in field.aliases}
PICTURE_NAMES = tuple(field.name for field in FIELDS if field.makes_picture)
"""A manifest needs one of these columns, or a default for one."""
STYLE_COLUMNS = tuple(
    field.name
    for field in FIELDS
    if field.kind.is_reference and "style_images" in (field.name, field.part_of)
)
"""The columns with style images, in the order in which the model sees the styles."""
REFERENCE_COLUMNS = tuple(field.name for field in FIELDS if field.kind.is_reference)
NUMBER_NAMES = frozenset(
    field.name for field in FIELDS if field.kind.arrow not in ("string",) and not field.kind.is_list
)
"""The columns with a number, or true or false, in each row."""
REQUEST_FIELDS = tuple(field for field in FIELDS if field.part_of is None)
"""The fields of `StylizeRequest`."""
RECORDED_FIELDS = tuple(field for field in REQUEST_FIELDS if field.is_recorded)
PARAMETER_FIELDS = tuple(field for field in FIELDS if field.is_parameter)
"""The fields of `Parameters`."""

_BY_PLACE = frozenset(chain.from_iterable(FACTS_BY_PLACE))
LATER_FIELDS = tuple(
    sorted((f for f in FIELDS if f.name not in _BY_PLACE), key=lambda field: field.name)
)
"""The fields that are not in `FACTS_BY_PLACE`, in the order of their names."""
