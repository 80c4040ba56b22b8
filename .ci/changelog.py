"""Print the changelog's section for one version, as the text of its release.

python .ci/changelog.py 0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"


def section(text: str, version: str) -> str:
    """The lines below a version's heading, up to the next version.

    Args:
        text: the whole changelog.
        version: as in the heading, without a `v`.

    Raises:
        ValueError: the version has no dated heading, or nothing below it.
    """
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    parts = re.split(heading, text, maxsplit=1, flags=re.MULTILINE)
    body = re.split(r"^## ", parts[-1], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if len(parts) < 2 or not body:
        raise ValueError(f"CHANGELOG.md has no dated section for {version}")
    return body + "\n"


if __name__ == "__main__":
    sys.stdout.write(section(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1]))
