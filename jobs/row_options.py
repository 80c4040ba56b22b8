"""Options of `uso generate` for the fields of a row."""

from __future__ import annotations

import typer

from jobs.option_groups import Option, OptionTable

_SIZE_DEFAULT = "as --content, else 1024"

ROW_OPTIONS = OptionTable(
    "Image",
    (
        Option(
            "prompt",
            str,
            "",
            typer.Option(
                metavar="TEXT", help='The prompt; "" keeps the layout of the content image.'
            ),
        ),
        Option(
            "content_image",
            str | None,
            None,
            typer.Option(
                "--content",
                metavar="IMAGE",
                help="The content image: a path or URI.",
                show_default=False,
            ),
        ),
        Option(
            "style_images",
            list[str] | None,
            None,
            typer.Option(
                "--style",
                metavar="IMAGE",
                help="A style image: a path or URI. Repeatable.",
                show_default=False,
            ),
        ),
        Option(
            "style_weights",
            list[float] | None,
            None,
            typer.Option(
                "--style-weight",
                metavar="NUMBER",
                help="The strength of a style, 0 to 2. Give one for each --style, in order.",
                show_default="1 for each",
            ),
        ),
        Option("seed", int, 0, typer.Option(metavar="N", help="The seed of the noise.")),
        Option("num_steps", int, 25, typer.Option("--steps", metavar="N", help="Denoising steps.")),
        Option("guidance", float, 4.0, typer.Option(metavar="NUMBER", help="Guidance scale.")),
        Option(
            "width",
            int | None,
            None,
            typer.Option(metavar="PIXELS", help="Image width.", show_default=_SIZE_DEFAULT),
        ),
        Option(
            "height",
            int | None,
            None,
            typer.Option(metavar="PIXELS", help="Image height.", show_default=_SIZE_DEFAULT),
        ),
        Option(
            "keep_size",
            bool,
            False,
            typer.Option("--keep-size", help="Take the image size from the content image."),
        ),
        Option(
            "content_long_size",
            int,
            512,
            typer.Option(
                metavar="PIXELS",
                help="Resize the content image to this long side; 0 ignores the image.",
            ),
        ),
    ),
)
"""The fields of `uso_core.request.StylizeRequest`, with references as paths or URIs."""
