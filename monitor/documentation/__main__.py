"""Write ``docs/evaluators.md`` and ``docs/metrics.md``.

python -m monitor.documentation           writes the files
python -m monitor.documentation --check   names those that are stale, and exits with 1 if there is any
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitor.documentation.evaluators_page import evaluators_page
from monitor.documentation.metrics_page import metrics_page
from schemas.generate.files import run


def generated() -> dict[Path, str]:
    """Return path relative to the repository -> text of every generated document."""
    return {Path("docs/evaluators.md"): evaluators_page(), Path("docs/metrics.md"): metrics_page()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the documents; return the exit code."""
    return run(
        "python -m monitor.documentation",
        "Write docs/evaluators.md and docs/metrics.md from the code.",
        generated(),
        arguments=arguments,
    )


if __name__ == "__main__":
    raise SystemExit(main())
