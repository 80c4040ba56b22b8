"""The inputs of a run: the manifest, defaults of its rows, and the fetching of references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from pipelines.config.fingerprint import FingerprintConfig, FingerprintMode
from pipelines.config.http import HttpConfig
from pipelines.config.strict import StrictModel
from pipelines.config.wishes import WishesConfig, WishMode
from pipelines.fields.table import FIELDS


class ManifestConfig(StrictModel):
    """The rows of the run; see docs/manifest.md."""

    path: str | list[str]
    """Manifest files: a path, a glob, a folder or a list of these, each local or an fsspec URL."""
    format: Literal["auto", "parquet", "jsonl", "csv", "eval_json"] = "auto"
    """Format of the files: Parquet, JSON Lines, CSV or the original's eval JSON. `auto`: by the
    file extension."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The manifest's own column names, by documented name, e.g. `prompt: caption`."""
    keep_columns: Literal["all", "none"] | list[str] = "all"
    """Other columns that are copied to the records: all, none, or a list of names."""
    hive_partitioning: bool = True
    """Read folders named `NAME=VALUE` as columns."""
    csv_numbers: bool = True
    """Copy columns of CSV files in which every cell is a number as numbers; false: as text."""
    max_row_mb: float = Field(256, gt=0, le=2000)
    """Largest row, in MB (10⁶ bytes): its texts and inline images, and 64 bytes for each value. A
    larger row is rejected, unread."""
    base_uri: str | None = None
    """Base of relative references. Default: the folder of each manifest file."""
    style_library: str | None = None
    """Folder or URL of a library of styles. With it, the column `style` names styles there; without
    it, a column of that name is one of your own. See docs/styles.md."""
    limit: int | None = Field(None, ge=1)
    """Number of rows to read, from the first."""
    ids: str | None = None
    """A file or URL that lists the ids of the rows to read: a table with the column `id`, or text
    with an id in each line. The report of a run exports such files."""
    shard: Annotated[str, Field(pattern=r"^\d+/\d+$")] | None = None
    """`i/n`, with i from 0 to n-1: read only the rows whose id hashes to shard i of n."""
    partial: bool = False
    """The manifest has only some of the output's rows, so records of other rows still count. By
    default, a record counts only if the manifest of the last complete run has its row; see
    docs/output.md#rows-that-are-no-longer-in-the-manifest."""

    @property
    def paths(self) -> list[str]:
        """`path` as a list."""
        return [self.path] if isinstance(self.path, str) else self.path

    @property
    def shard_index(self) -> tuple[int, int] | None:
        """`shard` as (i, n)."""
        if self.shard is None:
            return None
        index, _, count = self.shard.partition("/")
        return int(index), int(count)

    @property
    def is_whole(self) -> bool:
        """True if no key leaves out rows of the files."""
        return self.limit is None and self.ids is None and self.shard is None

    @property
    def whole(self) -> ManifestConfig:
        """The same section with every row of the files."""
        return self.model_copy(update={"limit": None, "ids": None, "shard": None})

    @field_validator("shard")
    @classmethod
    def _within(cls, shard: str | None) -> str | None:
        index, _, count = (shard or "0/1").partition("/")
        if int(index) >= int(count):
            raise ValueError(f"{shard} is not accepted: i is from 0 to n-1")
        return shard


class _Defaults(StrictModel):
    """Values for rows whose own column is absent or null, each as in docs/manifest.md.

    A relative reference here is resolved like a relative reference of the row. `style_weights` has
    no default, because a row has one weight for each of its styles.
    """

    @model_validator(mode="before")
    @classmethod
    def _can_have_a_default(cls, given: Any) -> Any:  # noqa: ANN401 (any YAML value)
        for field in FIELDS if isinstance(given, Mapping) else ():
            if field.no_default is not None and field.name in given:
                raise ValueError(
                    f"{field.name} has no default, because {field.no_default}; "
                    "give it as a column of the manifest"
                )
        return given


if TYPE_CHECKING:

    class DefaultsConfig(_Defaults):
        """The default of each field; None if the configuration does not give one."""

        def __getattr__(self, name: str) -> object: ...

else:
    DefaultsConfig = create_model(
        "DefaultsConfig",
        __base__=_Defaults,
        __doc__=_Defaults.__doc__,
        __module__=__name__,
        **{f.name: (f.kind.config | None, None) for f in FIELDS if f.no_default is None},
    )


class FetchConfig(StrictModel):
    """Fetching of reference images, and its limits."""

    timeout_s: float = Field(60, gt=0)
    """Seconds per URI, with all attempts."""
    attempts: int = Field(4, ge=1)
    """Attempts per URI, for failures that a retry can help."""
    max_mb: float = Field(64, gt=0)
    """Largest file, in MB (10⁶ bytes)."""
    max_megapixels: float = Field(100, gt=0)
    """Largest image, in megapixels."""
    max_redirects: int = Field(5, ge=0)
    """Redirects per http(s) URI."""
    concurrency: int = Field(8, ge=1)
    """References that an actor fetches at the same time."""
    cache_mb: float = Field(512, ge=0)
    """Memory per actor for fetched files that other rows may need, in MB."""
    fingerprint: FingerprintMode | FingerprintConfig = FingerprintConfig()
    """How a later run detects a reference that was replaced under its name: `uri` not at all,
    `stat` by size and version, `content` by a hash of the file, which is read again. One mode for
    all references, or one for each kind of place; see docs/manifest.md#replaced-references."""
    exif_rotate: bool = True
    """Turn photographs upright; the original does not."""
    colour: Literal["convert", "original"] = "convert"
    """`convert`: convert colours to sRGB from the space that a file states (Display P3, Adobe RGB,
    …). `original`: take them as sRGB, as the original does. See docs/pictures.md#colours."""
    allow_private_networks: bool = False
    """Let http(s) URIs reach private, loopback and link-local addresses."""
    allow_local_files: bool = True
    """Let references be local files."""
    local_roots: list[str] = Field(default_factory=list)
    """Folders to which local references are confined; empty: no restriction."""
    wishes: WishMode | WishesConfig = WishesConfig()
    """What becomes of a reference whose owner does not want it used for AI: `honour` refuses it as
    `uri_refused`, `record` notes the mark in the record, `ignore` looks for no marks and licences.
    One mode for all references, or one for each kind of place; see docs/rights.md."""
    sidecars: Literal["local", "all", "off"] = "local"
    """Look for files beside references that state licence and wish, `cat.jpg.license` and
    `cat.jpg.xmp`: beside local files, beside objects in stores as well (up to three requests for
    each), or not at all."""
    http: HttpConfig = HttpConfig()
    """Proxy and headers of http(s) references."""

    @property
    def wish_modes(self) -> WishesConfig:
        """`wishes` as a mode for each kind of place."""
        if isinstance(self.wishes, WishesConfig):
            return self.wishes
        return WishesConfig(http=self.wishes, others=self.wishes)

    @property
    def fingerprints(self) -> FingerprintConfig:
        """`fingerprint` as a mode for each kind of place."""
        if isinstance(self.fingerprint, FingerprintConfig):
            return self.fingerprint
        mode = self.fingerprint
        return FingerprintConfig(local=mode, s3=mode, stores=mode, http=mode)
