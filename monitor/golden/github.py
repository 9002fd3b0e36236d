"""The report of a run for GitHub: workflow commands, and the summary of a job in Markdown.

Source: docs.github.com, Workflow commands for GitHub Actions; escaping as in ``@actions/core``.
Limits: 10 errors and 10 warnings a step are shown; a summary has at most 1 MiB.
"""

from __future__ import annotations

import re

from monitor.golden.gate import Outcome
from monitor.golden.report import FLAKY, MUST_PASS, NEWLY_FAILING, UNANSWERED, CaseResult, GoldenReport
from monitor.golden.report_text import headline
from softfail.sanitize import sanitize

MOST_ANNOTATIONS = 10
MOST_ROWS = 50
SUMMARY_BYTES = 1 << 20
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~@&-])")
_REASON_CHARS = 300


def annotation_lines(report: GoldenReport) -> list[str]:
    """Return workflow commands: the cases that made the gate red as errors, else the decision."""
    outcome = report.decision.outcome
    level = "error" if outcome is Outcome.WORSE else "warning" if outcome is Outcome.CANNOT_TELL else "notice"
    commands = [
        command(
            level,
            report.set_path,
            0,
            f"golden set: {headline(report).lower()}",
            report.decision.reasons[0].text,
        )
    ]
    if outcome is Outcome.WORSE:
        for result in report.of_kind(MUST_PASS, NEWLY_FAILING)[: MOST_ANNOTATIONS - 1]:
            title = f"{result.case.id} {'must pass' if result.kind == MUST_PASS else 'newly fails'}"
            commands.append(command("error", report.set_path, result.line, title, result.reason))
    return commands


def command(level: str, file: str, line: int, title: str, message: str) -> str:
    """Return a workflow command.

    >>> command("error", "a,b.ndjson", 3, "x: y", "100 %\\nof them")
    '::error file=a%2Cb.ndjson,line=3,title=x%3A y::100 %25 of them'
    """
    place = f"file={_property(file)}," + (f"line={line}," if line else "")
    return f"::{level} {place}title={_property(title)}::{_data(sanitize(message, _REASON_CHARS))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(sanitize(text, _REASON_CHARS)).replace(":", "%3A").replace(",", "%2C")


def summary(report: GoldenReport) -> str:
    """Return the summary of a job: decision, figures and the cases that it names, in Markdown."""
    comparison = report.comparison
    lines = [
        f"### Golden set {_markdown(report.set_name)}: {headline(report).lower()}",
        "",
        *(f"- {_markdown(reason.text)}" for reason in report.decision.reasons[:MOST_ROWS]),
        "",
    ]
    if comparison is not None:
        lines += [
            "| | cases | failed before | now | p |",
            "|---|---:|---:|---:|---:|",
            f"| all | {comparison.cases} | {comparison.before:.1%} | {comparison.after:.1%} | {comparison.p_value:.2g} |",
            *(
                f"| {_markdown(tag.tag)} | {tag.cases} | {tag.before:.1%} | {tag.after:.1%} |"
                f" {'' if tag.p_value is None else f'{tag.p_value:.2g}'} |"
                for tag in comparison.tags[:MOST_ROWS]
            ),
            "",
        ]
    named = report.of_kind(MUST_PASS, NEWLY_FAILING, FLAKY, UNANSWERED)
    if named:
        lines += ["| case | | failed | why |", "|---|---|---:|---|", *map(_row, named[:MOST_ROWS])]
        if len(named) > MOST_ROWS:
            lines.append(f"\n{len(named) - MOST_ROWS} more cases are in the report.")
    text = "\n".join(lines) + "\n"
    return text.encode()[: SUMMARY_BYTES // 2].decode("utf-8", "ignore")


def _row(result: CaseResult) -> str:
    kind = result.kind.replace("_", " ")
    reason = _markdown(result.reason[:_REASON_CHARS])
    return f"| {_markdown(result.case.id)} | {kind} | {result.failures} of {result.answers} | {reason} |"


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", sanitize(text))
