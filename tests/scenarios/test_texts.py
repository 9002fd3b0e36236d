"""Texts of single scenarios that were false or contradicted themselves (decision 92)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.scenarios.deployment import Planned, run_plan

ANSWER = "shop-bot/answer"
START = re.compile(r"(?:since|began) 2 Mar (\d\d:\d\d) UTC")


def messages(*plan: Planned) -> list[tuple[str, list[str]]]:
    """Return the title and the list of each message about a feature."""
    deployment = run_plan([ANSWER], plan, max(planned.end for planned in plan) + 8)
    rings = deployment.pagerduty.incidents
    return [(title, lines) for ring in rings for _, title, lines in ring.history]


def figures(lines: Sequence[str], words: str) -> list[str]:
    return [line for line in lines if re.search(words, line)]


def test_a_rate_has_one_line_and_the_title_has_its_start():
    sent = messages(Planned("errors", ANSWER, 2.3, 15), Planned("empty", ANSWER, 9.6, 13))
    assert any("should stay under 2 %" in title for title, _ in sent)
    for title, lines in sent:
        for words in (r"of calls failed \(", r"of answers were empty", r"of answers pass"):
            assert len(figures(lines, words)) <= 1, lines
        first = START.search(lines[0])
        assert first is None or first[0] in title, (title, lines)


def test_a_second_failure_within_half_an_hour_names_what_fails_and_its_cause():
    sent = messages(Planned("timeouts", ANSWER, 2.3, 10), Planned("errors", ANSWER, 18.6, 25))
    titles = [title for title, _ in sent if "100 % of the errors are http_500" in title]
    assert titles
    passing = [line for title, lines in sent if title in titles for line in figures(lines, "answers pass")]
    assert passing
    assert all("mostly because calls failed" in line for line in passing)


def test_a_cause_is_not_before_this_began_if_findings_began_at_different_times():
    sent = messages(Planned("other_model", ANSWER, 2.3, 24), Planned("longer", ANSWER, 13.6, 24))
    later = [
        title for title, _ in sent if "output length" in title and "likely: the provider serves" in title
    ]
    assert later
    assert not [title for title in later if "before this began" in title]


def test_a_cause_is_no_begin_of_a_title_that_states_a_later_one():
    both = (Planned("other_model", ANSWER, 1, 9), Planned("refusals", ANSWER, 1, 9))
    sent = messages(*both, Planned("errors", ANSWER, 3, 9))
    later = [title for title, _ in sent if "calls failed" in title and "likely: the provider serves" in title]
    assert later
    assert not [title for title in later if "this began" in title]


def test_a_version_without_calls_any_more_is_neither_normal_nor_said_to_have_just_begun():
    sent = messages(Planned("bad_prompt", ANSWER, 2.3, 15.3))
    gone = [line for title, lines in sent for line in (title, *lines) if "no calls there now" in line]
    assert gone
    assert not [line for line in gone if "normal now" in line or "began" in line.partition(";")[0]]
