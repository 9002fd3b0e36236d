"""Has the judge changed? Anchors are judged again, and compared with what the judge said before.

A rise of the judged failure rate has two explanations: the answers became worse, or the judge did. Only the second
changes verdicts on anchors, whose answers never change.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from monitor.stats.share_intervals import clopper_pearson_interval

ALARM = 1e-4
"""Probability with which chance alone reports a changed judge, for each run of the anchors."""
CLEAR_ODDS = math.log(20)
"""Log odds for *the judge is as before* from which a rise of the judged rate counts as one of the answers."""
LEAST_FLIPS = 3
SPONTANEOUS = 0.002
"""Least share of anchors whose verdict a judge is assumed to change from one run to the next."""

State = Literal["unchanged", "changed", "unclear"]


class Rise(NamedTuple):
    """A rise of the judged failure rate. ``size``: by how much, 0 for none; ``usual``: the rate before; ``n``: the
    verdicts that show it.
    """

    size: float
    usual: float
    n: int


class AnchorCheck(NamedTuple):
    """The result of a run of the anchors.

    Attributes:
        flips: anchors with another verdict than usual; ``to_failed``: of those, now judged failed.
        n: anchors that have a usual verdict and were judged now.
        expected: flips to expect of an unchanged judge.
        p_value: probability of so many flips if the judge is unchanged.
    """

    flips: int
    to_failed: int
    n: int
    passed: int
    expected: float
    p_value: float

    @property
    def changed(self) -> bool:
        """Whether the judge has changed."""
        return self.p_value < ALARM and self.flips >= LEAST_FLIPS


class AnchorHistory:
    """Earlier verdicts on each anchor: runs, and in how many it was judged failed; of one identity of the judge.

    >>> history = AnchorHistory()
    >>> for _ in range(4):
    ...     check = history.compare({f"a{number}": True for number in range(100)})
    ...     history.add({f"a{number}": True for number in range(100)})
    >>> check.flips, history.compare({f"a{number}": number > 8 for number in range(100)}).changed
    (0, True)
    """

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}
        self.flips = 0
        self.comparisons = 0

    def compare(self, verdicts: dict[str, bool]) -> AnchorCheck:
        """Compare a run with the usual verdicts.

        Args:
            verdicts: anchor -> whether it passed; anchors without a verdict in this run are left out.
        """
        flips = to_failed = n = passed = 0
        for anchor, is_passed in verdicts.items():
            runs, failed = self.counts.get(anchor, (0, 0))
            if not runs:
                continue
            usual = 2 * failed < runs
            n += 1
            passed += usual
            flips += usual is not is_passed
            to_failed += usual and not is_passed
        share = self._flip_share()
        return AnchorCheck(flips, to_failed, n, passed, n * share, _upper_tail(flips, n, share))

    def add(self, verdicts: dict[str, bool]) -> None:
        """Add a run, after it was compared."""
        check = self.compare(verdicts)
        self.flips += check.flips
        self.comparisons += check.n
        for anchor, is_passed in verdicts.items():
            runs, failed = self.counts.get(anchor, (0, 0))
            if runs >= 30:  # a month: the usual verdict may follow, slowly
                runs, failed = runs // 2, failed // 2
            self.counts[anchor] = runs + 1, failed + (not is_passed)

    def _flip_share(self) -> float:
        """Return the share of flips of an unchanged judge: not less than the past allows with 90 %."""
        if not self.comparisons:
            return 0.05  # nothing is known: a judge that flips more often is of no use
        share = self.flips / self.comparisons
        return max(SPONTANEOUS, clopper_pearson_interval(share, self.comparisons, 1.2816)[1])


def rise_state(
    check: AnchorCheck, rise: float, labels: tuple[int, int] = (0, 0), right: float = 0.5, usual: float = 0.0
) -> tuple[State, float]:
    """Decide what explains a rise of the judged failure rate, and return the log odds for *the judge is as before*.

    Compares two explanations of the number of passed anchors that are now judged failed (Poisson): an unchanged judge,
    and one that fails so many more good answers as the rate rose. Labels of answers that were judged failed since
    the rise are a second witness: they are as often right as before or more if the answers became worse, and less
    often if the judge did.

    Args:
        check: of anchors that were judged after the rise.
        rise: of the judged failure rate, 0 to 1.
        labels: of answers judged failed since: number, and of those labelled failed.
        right: share of these that was labelled failed before the rise.
        usual: judged failure rate before it.

    >>> rise_state(AnchorCheck(1, 1, 500, 470, 2.0, 0.9), 0.023)[0]
    'unchanged'
    >>> rise_state(AnchorCheck(30, 30, 500, 470, 2.0, 1e-9), 0.07)[0]
    'changed'
    """
    before = max(check.passed * SPONTANEOUS, check.expected * check.passed / max(1, check.n))
    after = before + check.passed * rise
    odds = (after - before) - check.to_failed * math.log(after / before) if after > before else 0.0
    number, failed = labels
    if number and usual > 0 and rise > 0:
        now = usual + rise
        if_answers = min(0.99, (right * usual + rise) / now)  # all that is new is really failed, at the best
        if_judge = max(0.01, right * usual / now)
        if_answers = (if_answers + right) / 2
        odds += failed * math.log(if_answers / if_judge)
        odds += (number - failed) * math.log((1 - if_answers) / (1 - if_judge))
    if check.changed:
        return "changed", odds
    return ("unchanged" if odds >= CLEAR_ODDS else "unclear"), odds


def _upper_tail(count: int, n: int, share: float) -> float:
    """Return the probability of at least ``count`` of ``n`` at a share."""
    if count <= 0:
        return 1.0
    from scipy.special import betainc  # imported here, as in share_intervals.py

    return float(betainc(count, n - count + 1, share)) if count <= n else 0.0


class RiseWatch:
    """Notices early that the judged failure rate of a feature may have risen, so that the anchors are judged.

    It is much quicker and less careful than the rules of a worker: a false alarm costs one run of the anchors.

    Args:
        n, failed: verdicts of the reference, and failed ones among them.
        recent: the newest verdicts, in blocks of at least ``BLOCK``: number and failed.

    >>> watch = RiseWatch()
    >>> for number in range(2000):
    ...     watch.add(1, number % 20 == 0)
    >>> watch.rise().size
    0.0
    >>> for number in range(200):
    ...     watch.add(1, number % 7 == 0)
    >>> watch.rise().size > 0.03
    True
    """

    SPANS = (10, 30, 100, 300, 1000, 3000)
    TAIL = 2e-4
    LEAST = 100
    BLOCK = 10
    MOST = 100_000

    def __init__(self, n: float = 0.0, failed: float = 0.0, recent: Sequence[Sequence[int]] = ()) -> None:
        self.n, self.failed = n, failed
        self.recent = deque((int(n), int(failed)) for n, failed in recent)
        self._recent_n = sum(n for n, _ in self.recent)

    def add(self, n: int, failed: int) -> None:
        """Add verdicts."""
        self._recent_n += n
        if self.recent and self.recent[-1][0] < self.BLOCK:
            last = self.recent.pop()
            n, failed = last[0] + n, last[1] + failed
        self.recent.append((n, int(failed)))
        while self._recent_n - self.recent[0][0] >= self.SPANS[-1]:
            self._learn(*self.recent.popleft())

    def accept(self) -> None:
        """Take the present level as usual: what it is due to has been decided."""
        rise = self.rise()
        self.n = self.failed = 0.0
        kept = 0
        for n, failed in reversed(self.recent):
            self.n, self.failed, kept = self.n + n, self.failed + failed, kept + n
            if kept >= (rise.n or self.SPANS[3]):
                break
        self.recent.clear()
        self._recent_n = 0

    def rise(self) -> Rise:
        """Compare each span of the newest verdicts with all before it, and return the clearest rise."""
        best, least = Rise(0.0, 0.0, 0), self.TAIL
        n = failed = 0
        blocks, total = iter(reversed(self.recent)), self._recent_n + self.n
        all_failed = self.failed + sum(failed for _, failed in self.recent)
        for span in self.SPANS:
            while n < span:
                block = next(blocks, None)
                if block is None:
                    return best
                n, failed = n + block[0], failed + block[1]
            if (older := total - n) < self.LEAST:
                return best
            usual = (all_failed - failed + 0.5) / (older + 1)
            if failed / n <= usual:
                continue
            careful = min(0.99, usual + 1.3 * math.sqrt(usual * (1 - usual) / older))
            if (tail := _upper_tail(failed, n, careful)) < least:
                best, least = Rise(failed / n - usual, usual, n), tail
        return best

    def _learn(self, n: int, failed: int) -> None:
        self._recent_n -= n
        self.n, self.failed = self.n + n, self.failed + failed
        if self.n > self.MOST:
            self.n, self.failed = self.n / 2, self.failed / 2
