"""Writes a report: `index.html`, its data files and its thumbnails."""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.config.inputs import FetchConfig
from pipelines.errors import ReportError
from pipelines.in_order import in_order
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.score_facts import read_score_facts
from pipelines.storage.filesystems import Options
from pipelines.tools.report.commands import Commands
from pipelines.tools.report.data_files import DataFile, numbers_file
from pipelines.tools.report.distances import Distances, PicturePair, pairs_of
from pipelines.tools.report.facets import Facets, with_unique_names
from pipelines.tools.report.matrix import Matrix, choose, first_pictures, matrix_files
from pipelines.tools.report.own_columns import FilterColumns
from pipelines.tools.report.page import Comparison, Page, assets, render
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.pictures import Gallery, Picture, Places, pictures_of
from pipelines.tools.report.plain_columns import FACTS
from pipelines.tools.report.records import load, load_other
from pipelines.tools.report.row_files import IDS_PER_FILE, ROWS_PER_FILE, RowFiles
from pipelines.tools.report.row_table import RowTable
from pipelines.tools.report.summary import Summary, Tally
from pipelines.tools.report.temporary_space import writing
from pipelines.tools.report.thumbnails import Thumbnailer
from pipelines.tools.report.values import visible

DEFAULT_THUMBNAILS = 1000
FOLDER = "report"

_DATA, _ASSETS = "data", "assets"
# Only files of an earlier report are ever removed; the folder may hold others.
_MADE = re.compile(
    r"data/[0-9a-f]{8}/(facets|sets|of-[a-z]+|(rows|texts|ids|own-\d+|of-pick|numbers|matrix)-\d+)\.js"
    r"|assets/[0-9a-f]{8}/[a-z]+\.(js|css)"
)
_MOST_STYLES = 1000
_ROWS_PER_PAGE = 5000  # a taller page than this is too tall for some browsers
_WRITERS = 8
_MOST_WRITTEN = 8 * 2**20  # bytes of data files that are compressed and written at a time
_LEAST = 2**19  # for a file that holds fewer

Progress = Callable[[str, int, int | None], None]
"""Called with the current task, the number done, and the total number (None if unknown)."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        thumbnails: number of rows whose pictures get thumbnails, in the order of the ids; None for
            all rows.
        fetch: policy and size limits for reading references.
        storage_options: fsspec options by protocol for reading references, secrets resolved.
        commands: arguments of the commands on the page.
    """

    thumbnails: int | None = DEFAULT_THUMBNAILS
    fetch: FetchConfig = field(default_factory=lambda: FetchConfig(timeout_s=20, attempts=2))
    storage_options: Options = field(default_factory=dict)
    commands: Commands = field(default_factory=Commands)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Facts about a written report.

    Attributes:
        index_uri: URI of the page.
        rows: number of rows.
        unreadable: number of pictures without a thumbnail because they could not be read; the page
            gives the reasons.
        left_out: number of records that are not shown, because their rows are no longer in the
            manifest.
        look: the pass over the manifest that this follows from; None: nothing is left out.
    """

    index_uri: str
    rows: int
    unreadable: int
    left_out: int
    look: ManifestLook | None


def write_report(places: Places, options: ReportOptions, progress: Progress) -> ReportFacts:
    """Write the report of a run; safe to repeat and to interrupt.

    The page is written last and names its own data files, so a browser can show the previous report
    until then. Existing thumbnails are kept. Memory: 10,000 rows at a time, four images (eight with
    a comparison), 17 bytes per row while columns of numbers are summed up, and 16 bytes for each
    different content image, style and combination of styles; other data is in temporary files.

    Raises:
        ReportError: there are no records.
        LedgerError: the records cannot be used.
        StorageError: a file cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="uso-report-") as folder:
        pictures = PictureTable(Path(folder))
        with closing(pictures):
            table = RowTable(Path(folder))
            return _Report(places, options, progress, table, pictures).write()


class _Report:
    """Writes one report."""

    def __init__(
        self,
        places: Places,
        options: ReportOptions,
        progress: Progress,
        table: RowTable,
        pictures: PictureTable,
    ) -> None:
        self._places = places
        self._options = options
        self._progress = progress
        self._table = table
        self._pictures = pictures
        self._gallery = Gallery(places, pictures)
        self._build = secrets.token_hex(4)
        self._other_rows = 0
        self._distances = None if places.other is None else Distances(table, pictures)

    def write(self) -> ReportFacts:
        summary, columns, counts = self._load()
        matrix = choose(self._table)
        unreadable = self._thumbnails(matrix)
        facets, boot = self._data(columns, matrix)
        index_uri = self._page(summary, counts.left_out, facets, boot)
        self._remove_old()
        return ReportFacts(index_uri, summary.rows, unreadable, counts.left_out, counts.look)

    def _load(self) -> tuple[Summary, FilterColumns, LedgerCounts]:
        self._progress("reading records", 0, None)
        tally = Tally(self._table.folder)
        hashes = self._options.thumbnails != 0 or self._places.other is not None
        columns, counts = load(self._places.run, self._table, tally, hashes=hashes)
        summary = tally.summary()
        if not summary.rows:
            where = self._places.run.uri()
            raise ReportError(f"{where}: no records; give the output folder of a run")
        if self._places.other is not None:
            self._other_rows = load_other(self._places.other, self._table)
            if not self._other_rows:
                where = self._places.other.uri()
                raise ReportError(f"{where}: no records to compare with; give an output folder")
        self._table.sort()
        return summary, columns, counts

    def _thumbnails(self, matrix: Matrix) -> int:
        if self._options.thumbnails == 0:
            return 0
        maker = Thumbnailer(self._places, self._options.fetch, self._options.storage_options)
        with closing(maker):
            return maker.make_all(
                self._wanted(matrix),
                self._pictures,
                lambda done: self._progress("thumbnails", done, None),
            )

    def _wanted(self, matrix: Matrix) -> Iterator[Picture | PicturePair]:
        for row in self._table.rows(self._options.thumbnails):
            # Pairs first, so that a picture is read once for both its distance and its thumbnail.
            yield from (pair for pair in pairs_of(row) if not pair.same_file)
            yield from pictures_of(row)
        yield from first_pictures(matrix)

    def _data(self, columns: FilterColumns, matrix: Matrix) -> tuple[Facets, dict[str, Any]]:
        total = len(self._table)
        compared = self._places.other is not None
        facets = Facets(self._table, _MOST_STYLES, columns, compared=compared)
        files = RowFiles(self._gallery, self._distances, columns.texts)
        self._write_data(
            files.cut(self._table.parts(), facets, lambda done: self._progress("rows", done, total))
        )
        numbers = facets.numbers(read_score_facts(self._places.run))
        if self._distances is not None:
            numbers += self._distances.columns()
        self._write_data(facets.files())
        self._write_data(
            numbers_file(f"numbers-{n}", one.values.pieces) for n, one in enumerate(numbers)
        )
        self._write_data(matrix_files(matrix, self._gallery))
        uri = self._places.run.uri()
        boot = {
            "data": f"{_DATA}/{self._build}",
            "key": hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            "name": visible(uri.rstrip("/").rpartition("/")[2], 200),
            "outputArgument": shlex.quote(visible(uri)),
            "commands": asdict(self._options.commands),
            "rows": total,
            "rowsPerFile": ROWS_PER_FILE,
            "idsPerFile": IDS_PER_FILE,
            "rowsPerPage": _ROWS_PER_PAGE,
            "thumbnails": self._options.thumbnails,
            "aspect": facets.aspect,
            "numbers": with_unique_names([column.facts for column in numbers]),
            "texts": [visible(name, 200) for name in columns.texts],
            "matrixPages": matrix.pages,
            "facts": FACTS,
        }
        return facets, boot

    def _write_data(self, data: Iterable[DataFile]) -> None:
        folder = f"{_DATA}/{self._build}"

        def write(file: DataFile) -> None:
            path = f"{folder}/{file.name}.js"
            if file.memory:
                self._places.out.write(path, b"".join(file.script()))
                return
            script = self._table.folder / f"{file.name}.js"
            with writing(script.parent), script.open("wb") as target:
                target.writelines(file.script())
            self._places.out.write_from(path, script)
            script.unlink()

        written = in_order(
            write, data, _WRITERS, cost=lambda file: max(file.memory, _LEAST), budget=_MOST_WRITTEN
        )
        for _ in written:
            pass

    def _page(self, summary: Summary, left_out: int, facets: Facets, boot: dict[str, Any]) -> str:
        other, comparison = self._places.other, None
        if other is not None and self._distances is not None:
            counts = facets.comparisons()
            comparison = Comparison(
                output=visible(other.uri()),
                rows=self._other_rows,
                counts=counts,
                only_there=self._other_rows - (len(self._table) - counts["absent"]),
                distances=self._distances.summary(),
            )
            boot = {**boot, "against": comparison.output, "comparisons": comparison.counts}
        boot = {**boot, "codes": [[group.code, group.rows] for group in summary.failures]}
        boot["completed"] = summary.completed
        page = Page(
            output=visible(self._places.run.uri()),
            made_at=datetime.now(timezone.utc),
            version=_version(),
            build=self._build,
            summary=summary,
            left_out=left_out,
            comparison=comparison,
            boot=boot,
        )
        for name, content in assets():
            self._places.out.write(f"{_ASSETS}/{self._build}/{name}", content)
        return self._places.out.write("index.html", render(page))

    def _remove_old(self) -> None:
        for folder in (_DATA, _ASSETS):
            for path in self._places.out.list(folder):
                if _MADE.fullmatch(path) and path.split("/")[1] != self._build:
                    self._places.out.delete(path)


def _version() -> str:
    try:
        return version("uso-batch")
    except PackageNotFoundError:  # the package is not installed
        return ""
