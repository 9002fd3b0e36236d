"""Compare two runs of a golden set: case by case, over all cases, and by tag."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from monitor.golden.case_score import CONFIRMED_BY, case_score, score_unit
from monitor.golden.paired_test import RiseBounds, rise_bounds, sign_flip_p_value, smallest_visible
from monitor.stats.holm import holm

ALPHA = 0.04
"""Level of the test over all cases. With ``TAG_ALPHA`` the gate errs in at most 5 % of the runs."""
TAG_ALPHA = 0.01
Z = 1.6448536269514722
"""Bounds are one-sided, 95 %."""
FLAKY_LOW, FLAKY_HIGH = 0.05, 0.95
LEAST_TAG_CASES = 5

Answers = Mapping[str, Sequence[bool]]
"""Case id -> whether each of its answers passed, in the order in which they were asked."""


class ChangedCase(NamedTuple):
    """A case whose share of failing answers changed.

    ``before``, ``after``: (failed, of how many answers). ``is_broken``: it passed, and now always fails.
    ``history``: share of the earlier answers that passed; None without any.
    """

    case_id: str
    before: tuple[int, int]
    after: tuple[int, int]
    is_broken: bool
    history: float | None

    @property
    def is_flaky(self) -> bool:
        """Whether it passed some and failed some of its earlier answers."""
        return self.history is not None and FLAKY_LOW < self.history < FLAKY_HIGH


class TagResult(NamedTuple):
    """The comparison over the cases of a tag.

    ``p_value``: adjusted for the number of tags; None if the tag has too few cases to be tested, or has all of them.
    """

    tag: str
    cases: int
    before: float
    after: float
    p_value: float | None


class Comparison(NamedTuple):
    """Two runs compared.

    Attributes:
        cases: number of cases compared: those with all answers in both runs.
        before, after: failure rates: share of failing answers among the first ``repeat`` of each case.
        bounds: of the rise of this rate.
        worst_high: upper bound of the rise if every missing case had failed.
        p_value: of the exact test that nothing got worse, on the scores, which confirm failures.
        smallest: how many newly failing cases the run could have shown.
        worse, better: changed cases, the surest first.
        tags: results by tag.
        missing: cases without all answers in one of the runs.
    """

    cases: int
    before: float
    after: float
    bounds: RiseBounds
    worst_high: float
    p_value: float
    smallest: int
    worse: tuple[ChangedCase, ...]
    better: tuple[ChangedCase, ...]
    tags: tuple[TagResult, ...]
    missing: tuple[str, ...]


def compare(
    before: Answers,
    after: Answers,
    repeat: int,
    tags: Mapping[str, Collection[str]],
    history: Sequence[Answers] = (),
) -> Comparison:
    """Compare a run with a baseline.

    Args:
        before: the baseline's answers.
        after: the candidate's answers, of the same cases.
        repeat: the smaller ``repeat`` of both runs.
        tags: tag -> ids of its cases.
        history: further earlier runs; with the baseline they say which cases are flaky.
    """
    unit = score_unit(repeat)
    pairs: dict[str, _Pair] = {}
    missing = []
    for case_id in dict.fromkeys([*before, *after]):
        old, new = (case_score(run.get(case_id, ()), repeat) for run in (before, after))
        if old is None or new is None:
            missing.append(case_id)
            continue
        rates = tuple(1 - sum(run[case_id][:repeat]) / repeat for run in (before, after))
        rise = new[0] * unit // new[1] - old[0] * unit // old[1]
        pairs[case_id] = _Pair(old, new, rise, rates[0], rates[1])
    rises = [pair.rise for pair in pairs.values()]
    plain = [pair.rate_after - pair.rate_before for pair in pairs.values()]
    changed = [
        _changed(case_id, pair, (before, *history), after) for case_id, pair in pairs.items() if pair.rise
    ]
    return Comparison(
        len(pairs),
        *_rates(list(pairs.values())),
        rise_bounds(plain, Z),
        rise_bounds(plain + [1.0] * len(missing), Z).high,
        sign_flip_p_value(rises),
        smallest_visible(rises, unit, ALPHA),
        tuple(sorted((case for case in changed if pairs[case.case_id].rise > 0), key=_by_evidence)),
        tuple(case for case in changed if pairs[case.case_id].rise < 0),
        _by_tag(pairs, tags),
        tuple(missing),
    )


class _Pair(NamedTuple):
    """A case in both runs: scores (failed, of how many), their rise in units, and rates without confirmation."""

    before: tuple[int, int]
    after: tuple[int, int]
    rise: int
    rate_before: float
    rate_after: float


def _rates(pairs: Sequence[_Pair]) -> tuple[float, float]:
    if not pairs:
        return 0.0, 0.0
    return sum(p.rate_before for p in pairs) / len(pairs), sum(p.rate_after for p in pairs) / len(pairs)


def _changed(case_id: str, pair: _Pair, earlier: Sequence[Answers], after: Answers) -> ChangedCase:
    past = [passed for run in earlier for passed in run.get(case_id, ())]
    before, now = pair.before, pair.after
    broken = all_failed(after[case_id]) and 2 * before[0] < before[1]
    return ChangedCase(case_id, before, now, broken, sum(past) / len(past) if past else None)


def all_failed(passed: Sequence[bool]) -> bool:
    """Return whether a case has enough answers to be sure, and all of them failed."""
    return len(passed) >= CONFIRMED_BY and not any(passed)


def _by_evidence(case: ChangedCase) -> tuple[bool, bool, float]:
    return not case.is_broken, case.is_flaky, case.before[0] / case.before[1] - case.after[0] / case.after[1]


def _by_tag(pairs: Mapping[str, _Pair], tags: Mapping[str, Collection[str]]) -> tuple[TagResult, ...]:
    members = {tag: [pairs[case_id] for case_id in ids if case_id in pairs] for tag, ids in tags.items()}
    members = {tag: found for tag, found in members.items() if found}
    tested = [tag for tag, found in members.items() if LEAST_TAG_CASES <= len(found) < len(pairs)]
    adjusted = holm([sign_flip_p_value([pair.rise for pair in members[tag]]) for tag in tested])
    p_values = dict(zip(tested, adjusted, strict=True))
    return tuple(
        TagResult(tag, len(found), *_rates(found), p_values.get(tag))
        for tag, found in sorted(members.items())
    )
