"""A notebook shows the summary of a run as tables, with all text of rows as text."""

from __future__ import annotations

from pipelines.driver.summary import RunSummary
from pipelines.telemetry.stats import FailureCount


def test_counts_and_failures_are_shown_and_escaped() -> None:
    failure = FailureCount("uri_not_found", 2, "<b>7</b>", "no <script>")
    summary = RunSummary(
        run_id="r1", output_uri="/out", completed=1200, failed=2, skipped=0, changed=0,
        images=1200, failures=(failure,), elapsed_s=60.0, images_per_s=20.0, first_image_s=1.0,
        failed_fraction=0.01, within_budget=False, interrupted=True,
    )  # fmt: skip
    html = summary._repr_html_()
    assert "<td>r1, interrupted</td>" in html
    assert "<td>1,200 rows, 1,200 images</td>" in html
    assert "<td>2 rows; 1.00% of all recorded rows</td>" in html
    assert (
        "<td>uri_not_found</td><td>2</td><td>&lt;b&gt;7&lt;/b&gt;: no &lt;script&gt;</td>" in html
    )
    assert "<script>" not in html
