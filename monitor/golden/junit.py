"""The report of a run as JUnit XML.

Only what the gate calls worse is a failure there, so a reader of the file and the exit code agree.
Source: the schema of Maven Surefire, with ``flakyFailure``.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from monitor.golden.gate import Outcome
from monitor.golden.report import (
    FAILS_TOO,
    FLAKY,
    MUST_PASS,
    NEWLY_FAILING,
    UNANSWERED,
    CaseResult,
    GoldenReport,
)
from softfail.sanitize import sanitize

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OUTPUT_CHARS = 2_000


def junit_xml(report: GoldenReport) -> str:
    """Return the XML document: a suite with a case for the gate, then one for each case of the set."""
    gate = _gate(report)
    cases = [gate] + [_case(report, result) for result in report.results]
    failures = sum("<failure" in case for case in cases)
    skipped = sum("<skipped" in case for case in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="0" skipped="{skipped}" time="{_time_s(report):.3f}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites {counts}>\n"
        f"<testsuite name={_attribute(report.set_name)} {counts}>\n"
        + "".join(cases)
        + "</testsuite>\n</testsuites>\n"
    )


def _time_s(report: GoldenReport) -> float:
    return sum(record.duration_s for records in report.run.records.values() for record in records)


def _gate(report: GoldenReport) -> str:
    text = "\n".join(reason.text for reason in report.decision.reasons)
    first = report.decision.reasons[0]
    if report.decision.outcome is Outcome.WORSE:
        body = _element("failure", first.text, text, first.name)
    elif report.decision.outcome is Outcome.CANNOT_TELL:
        body = f"<skipped message={_attribute(first.text)}/>\n"
    else:
        body = f"<system-out>{_text(text)}</system-out>\n"
    return f'<testcase classname={_attribute(report.set_name)} name="gate" time="0">\n{body}</testcase>\n'


def _case(report: GoldenReport, result: CaseResult) -> str:
    records = report.run.records.get(result.case.id, [])
    seconds = sum(record.duration_s for record in records)
    output = next((record.output for record in records if record.passed is False), "")[:_OUTPUT_CHARS]
    text = f"{result.reason}\n\nanswer:\n{output}" if output else result.reason
    is_worse = report.decision.outcome is Outcome.WORSE
    body = ""
    if result.kind == MUST_PASS or (result.kind == NEWLY_FAILING and is_worse):
        body = _element("failure", result.reason, text, result.kind)
    elif result.kind in (FLAKY, NEWLY_FAILING):
        body = _element("flakyFailure", result.reason, text, result.kind)
    elif result.kind == UNANSWERED:
        body = f"<skipped message={_attribute(result.reason or 'no answer')}/>\n"
    elif result.kind == FAILS_TOO:
        body = f"<system-out>{_text('fails in the baseline too: ' + result.reason)}</system-out>\n"
    group = result.case.tags[0] if result.case.tags else report.set_name
    return (
        f"<testcase classname={_attribute(group)} name={_attribute(result.case.id)}"
        f' time="{seconds:.3f}">\n{body}</testcase>\n'
    )


def _element(name: str, message: str, text: str, kind: str) -> str:
    return f"<{name} message={_attribute(message)} type={_attribute(kind)}>{_text(text)}</{name}>\n"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", sanitize(text, lines=True)))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", sanitize(text)))
