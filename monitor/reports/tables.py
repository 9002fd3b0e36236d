"""The tables of the page. Whatever comes from outside is cleaned and escaped in one place, ``text``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from monitor.reports.config_comparison import Difference
from monitor.reports.data_gaps import Letters
from monitor.reports.episode_history import Told
from monitor.reports.report_text import broke, findings_of, length, moment, place, standing, sure
from monitor.reports.result import BacktestResult
from monitor.reports.text_report import KINDS, closest, features_of, tally
from monitor.wording.episode_text import clock
from monitor.wording.sanitize import sanitize

ROWS = 200  # of a table; what is more is counted below it, and `--format ndjson` has it
FINDINGS = 4  # of an episode


def text(value: str, most: int = 900) -> str:
    """Text from anywhere as HTML: one line, cut, escaped.

    >>> text("<script>\\x1b[2J")
    '&lt;script&gt; [2J'
    """
    return escape(sanitize(value, most))


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], total: int, numbers: Sequence[int] = ()
) -> Iterator[str]:
    """Rows of HTML cells under a head; a narrow screen shows the head beside each cell. ``numbers``: columns
    that are numbers.
    """

    def kind(at: int) -> str:
        return ' class="n"' if at in numbers else ""

    yield (
        "<table><thead><tr>"
        + "".join(f"<th{kind(at)}>{text(name)}</th>" for at, name in enumerate(head))
        + "</tr></thead><tbody>\n"
    )
    for nth, row in enumerate(rows):
        if nth == ROWS:
            break
        yield (
            "<tr>"
            + "".join(f'<td{kind(at)} data-k="{text(head[at])}">{cell}</td>' for at, cell in enumerate(row))
            + "</tr>\n"
        )
    yield "</tbody></table>\n"
    if total > ROWS:
        yield f'<p class="dim">and {total - ROWS:,} more, which --format ndjson lists</p>\n'


def mark(told: Told) -> str:
    """What it was to whoever is on call, as a mark."""
    what, _, since = standing(told).partition(" from ")
    return f'<span class="mark {"page" if told.is_page else "ticket"}">{text(what)}</span>' + (
        f' <span class="dim">from {text(since)}</span>' if since else ""
    )


def episodes(told: Sequence[Told]) -> Iterator[str]:
    """What broke, since and until when, how sure."""
    if not told:
        yield "<p>Nothing was told: no episode opened.</p>\n"
        return
    yield from table(
        ("What", "Feature", "What broke", "How sure", "Since", "Until", "Lasted"),
        map(_episode, told),
        len(told),
    )


def _episode(told: Told) -> Sequence[str]:
    incidents = findings_of(told)
    more = [f"<li>{text(one.rule)}: {text(broke(one))}</li>" for one in incidents[1:FINDINGS]]
    if len(incidents) > FINDINGS:
        more.append(f"<li>and {len(incidents) - FINDINGS} more</li>")
    said = (
        f"{text(broke(incidents[0]))} <span class=dim>({text(incidents[0].rule)})</span>"
        if incidents
        else text(told.latest.reason)
    )
    return (
        mark(told), text(place(told.feature)), said + (f"<ul>{''.join(more)}</ul>" if more else ""), text(sure(incidents[0].evidence)) if incidents else "",
        text(clock(told.since)), text(moment(told.until)), text(length(told.until - told.since) if told.until else "-"),
    )  # fmt: skip


def rules(trial: BacktestResult) -> Iterator[str]:
    """What each rule did, and how close the quiet ones came."""
    counts = trial.rules()
    rows = ((
        text(one.rule), str(one.fired), str(one.pages), str(one.tickets), text(length(one.firing) if one.fired else "-"),
        text(features_of(one.features) or "nowhere") + (f'<br><span class="dim">{one.brief:,} breaches that did not last</span>' if one.brief else ""),
        text(closest(trial, one)),
    ) for one in counts)  # fmt: skip
    yield from table(
        ("Rule", "Fired", "Pages", "Tickets", "Firing for", "Where", "Closest where it did not fire"),
        rows,
        len(counts),
        (1, 2, 3, 4),
    )


def what_if(found: Sequence[Difference], here: str, there: str) -> Iterator[str]:
    """What another configuration would change."""
    yield (
        f"<h2>What if: {text(there)} instead of {text(here)}</h2>\n<p>{text(tally(found, here, there))}</p>\n"
    )
    rows = [
        _difference(one, told, here, there) for one in found if one.kind != "same" for told in _shown(one)
    ]
    if rows:
        yield from table(
            ("Which", "Feature", "What", "What broke", "Since", "Until", "Differs in"), rows, len(rows)
        )


def _shown(one: Difference) -> Sequence[Told]:
    return (one.here or one.there)[: 1 if one.kind == "changed" else None]


def _difference(one: Difference, told: Told, here: str, there: str) -> Sequence[str]:
    changes = "".join(
        f"<li>{text(what)}: {text(mine, 300)} → {text(theirs, 300)}</li>"
        for what, mine, theirs in one.changes()
    )
    incidents = findings_of(told)
    return (
        text(KINDS[one.kind].format(here=here, there=there)), text(place(one.feature)), mark(told), text(broke(incidents[0])) if incidents else "",
        text(clock(told.since)), text(moment(told.until)), f"<ul>{changes}</ul>" if changes else "",
    )  # fmt: skip


def unread(letters: Letters) -> Iterator[str]:
    """Dead letters by reason."""
    if not letters.total:
        yield "<p>Every record could be read.</p>\n"
        return
    rows = [
        (f"{n:,}", text(kind), text(f"{letters.first[kind].topic}:{letters.first[kind].offset}"))
        for kind, n in letters.counts.most_common()
    ]
    yield from table(("Records", "Why they could not be read", "The first"), rows, len(rows), (0,))


def gaps(trial: BacktestResult) -> Iterator[str]:
    """What was not measured."""
    found = trial.gaps()
    if not found:
        yield "<p>Everything that could be read was measured and judged.</p>\n"
        return
    yield from table(
        ("Events", "What became of them", "Features"),
        ((f"{gap.events:,}", text(gap.why), text(gap.where())) for gap in found),
        len(found),
        (0,),
    )
