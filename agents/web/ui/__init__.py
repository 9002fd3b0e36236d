"""The status page, as the one file that is served (docs/decisions/0011-the-status-page-is-one-file.md)."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
_LINK = '<link rel="stylesheet" href="page.css">'


def page_html() -> str:
    """Return the page with its style sheet inline: under its content security policy it may load nothing."""
    html, css = ((_FOLDER / name).read_text("utf-8") for name in ("page.html", "page.css"))
    head, tail = html.split(_LINK)
    return f"{head}<style>\n{css}</style>{tail}"
