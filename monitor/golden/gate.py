"""The decision of the gate: worse, no worse, or not to tell, each with named reasons."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from monitor.golden.case_score import CONFIRMED_BY
from monitor.golden.comparison import ALPHA, TAG_ALPHA, Answers, Comparison, Z, all_failed
from monitor.golden.paired_test import enough_cases
from monitor.wording.number_format import counted

DEFAULT_MARGIN = 0.05


class Outcome(Enum):
    """What the gate says; the value is the exit code."""

    NO_WORSE = 0
    WORSE = 1
    CANNOT_TELL = 3


class Reason(NamedTuple):
    """Why: a name for programs, and a sentence."""

    name: str
    text: str


class Decision(NamedTuple):
    """The outcome with its reasons, the most important first."""

    outcome: Outcome
    reasons: tuple[Reason, ...]


def decide(
    comparison: Comparison | None,
    answers: Answers,
    must_pass: Sequence[str],
    *,
    unfinished: str = "",
    margin: float = DEFAULT_MARGIN,
) -> Decision:
    """Decide.

    Args:
        comparison: with the baseline; None without one: then only ``must_pass`` cases decide.
        answers: of the run.
        must_pass: ids of the cases that must pass.
        unfinished: why not all cases were asked; empty if they were.
        margin: greatest rise of the failure rate that does not matter, (0, 1).

    Without a baseline, too many cases without an answer leave the gate open: such a run is no baseline either.
    Cases that must pass are worse if all of at least three answers failed, whatever else is better.
    """
    broken, unsure = _must_pass(answers, must_pass)
    worse, open_reasons = list(broken), list(unsure)
    if comparison is not None:
        worse += _worse(comparison)
        open_reasons += _open(comparison, margin)
    else:
        open_reasons += _unanswered(answers, margin)
    if unfinished:
        open_reasons.insert(0, Reason("unfinished", unfinished))
    if worse:
        return Decision(Outcome.WORSE, tuple(worse))
    if open_reasons:
        return Decision(Outcome.CANNOT_TELL, tuple(open_reasons))
    return Decision(Outcome.NO_WORSE, (_no_worse(comparison, len(must_pass), margin),))


def _unanswered(answers: Answers, margin: float) -> list[Reason]:
    missing = sum(not passed for passed in answers.values())
    if not missing or missing < margin * len(answers):
        return []
    text = f"{counted(missing, 'case')} of {len(answers)} without an answer; this run is no baseline"
    return [Reason("unanswered", text)]


def _must_pass(answers: Answers, must_pass: Sequence[str]) -> tuple[list[Reason], list[Reason]]:
    broken, unsure = [], []
    for case_id in must_pass:
        passed = answers.get(case_id, ())
        failures = len(passed) - sum(passed)
        if all_failed(passed):
            broken.append(
                Reason("must_pass", f"{case_id} must pass and failed {failures} of {len(passed)} times")
            )
        elif not passed or (failures and len(passed) < CONFIRMED_BY):
            unsure.append(Reason("must_pass_unanswered", f"{case_id} must pass and has too few answers"))
        elif 2 * failures > len(passed):
            unsure.append(
                Reason(
                    "must_pass_unstable",
                    f"{case_id} must pass and failed {failures} of {len(passed)} times; repeat it more often"
                    " (--repeat 10), or mend it",
                )
            )
    return broken, unsure


def _worse(comparison: Comparison) -> list[Reason]:
    reasons = []
    if comparison.p_value <= ALPHA:
        reasons.append(
            Reason(
                "worse",
                f"more cases fail than chance explains: failure rate {comparison.before:.1%} before,"
                f" {comparison.after:.1%} now (p = {comparison.p_value:.2g}, {counted(comparison.cases, 'case')})",
            )
        )
    reasons += [
        Reason(
            "worse_in_tag",
            f"tag {tag.tag}: more cases fail than chance explains: failure rate {tag.before:.1%} before,"
            f" {tag.after:.1%} now (p = {tag.p_value:.2g}, {counted(tag.cases, 'case')})",
        )
        for tag in comparison.tags
        if tag.p_value is not None and tag.p_value <= TAG_ALPHA
    ]
    return reasons


def _open(comparison: Comparison, margin: float) -> list[Reason]:
    if not comparison.cases:
        return [Reason("no_pairs", "no case has its answers in both runs")]
    if comparison.bounds.high >= margin:
        return [Reason("too_few_cases", _too_few(comparison, margin))]
    if comparison.worst_high >= margin:
        return [
            Reason(
                "unanswered",
                f"{counted(len(comparison.missing), 'case')} without an answer in one of the runs; had they failed, the failure"
                f" rate would have risen by up to {comparison.worst_high:.1%} (margin {margin:.1%})",
            )
        ]
    return []


def _too_few(comparison: Comparison, margin: float) -> str:
    cases = comparison.cases
    text = (
        f"too few cases to tell: the failure rate may have risen by up to {comparison.bounds.high:.1%} (margin"
        f" {margin:.1%}); smallest change visible: "
    )
    if comparison.smallest > cases:
        text += "none"
    else:
        text += f"{comparison.smallest} newly failing of {cases} cases ({comparison.smallest / cases:.1%})"
    enough = enough_cases(comparison.bounds, cases, margin, Z)
    if enough is None:
        return text + "; add cases"
    repeats = ", or --repeat 3 in both runs" if comparison.worse or comparison.better else ""
    return text + f"; about {enough:,} cases like these would be enough{repeats}"


def _no_worse(comparison: Comparison | None, must_pass: int, margin: float) -> Reason:
    did = "the case that must pass did" if must_pass == 1 else f"all {must_pass} cases that must pass did"
    kept = did if must_pass else "no case is marked must_pass"
    if comparison is None:
        if must_pass:
            return Reason("must_pass_only", f"{kept}; no baseline was given, so nothing else was compared")
        return Reason("no_baseline", f"no baseline was given, so nothing was compared; {kept}")
    return Reason(
        "no_worse",
        f"the failure rate rose by at most {max(0.0, comparison.bounds.high):.1%} (margin {margin:.1%});"
        f" it was {comparison.before:.1%} and is {comparison.after:.1%}; {kept}",
    )
