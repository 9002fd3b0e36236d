"""One judge in one process: money, limits, identity, anchors, trust. All partitions of the process share it.

Nothing here is durable by itself: partitions keep their parts, and one of them the anchors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from monitor.delivery.circuit_breaker import CircuitBreaker
from monitor.judging.anchors import AnchorCheck, AnchorHistory, rise_state
from monitor.judging.budget import DAY_US, Budget, CostEstimate
from monitor.judging.identity import identity
from monitor.judging.ledger import FeatureLedger, Ledger
from monitor.judging.limits import AdaptiveLimit
from monitor.judging.sampling import salt_of
from monitor.judging.trust import Trust, are_enough, evidence_of, feature_doubt, trust_of
from monitor.stats.judge_agreement import Matrix, Share
from monitor.stats.judge_correction import corrected_rate
from schemas.config.judges import Judge
from softfail.backoff import Backoff

CHECK_US = 900_000_000
"""Least time between two runs of the anchors."""
MOST_CHECKS = 8
"""Runs of the anchors on one day."""
CHANGED_US = 7 * DAY_US
"""How long a changed judge is reported, if it is not calibrated before."""
_TRUST_US = 10_000_000


class FailureRate(NamedTuple):
    """Judged failure rate of a feature today, and the corrected one.

    Attributes:
        n: effective number of judged responses.
        labels: on which the correction rests, of the feature or of the whole judge.
    """

    service: str
    feature: str
    n: float
    judged: float
    corrected: Share
    labels: Matrix


class Standing:
    """What a process knows of a judge.

    Attributes:
        identity: of the judge that answers; empty before the first answer.
        doubt: why its verdicts may not page now, though it is calibrated; empty: nothing.
        changed_us: when its anchors last showed a change, wall clock; 0: never.
    """

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.salt = salt_of(judge.name)
        self.budget = Budget(judge.budget)
        self.estimate = CostEstimate.of(judge)
        self.limit = AdaptiveLimit(judge.concurrency)
        self.breaker = CircuitBreaker(failures=5, probes=Backoff(first_s=5.0, longest_s=60.0))
        self.ledgers: dict[int, Ledger] = {}
        self.identity = ""
        self.history = AnchorHistory()
        self.generations: dict[str, int] = {}
        self.doubt = ""
        self.change = ""
        self.changed_us = self.checked_us = 0
        self.checks = (0, 0)  # day, and runs on it
        self.anchors_differ = False  # since a partition wrote them
        self._trust: tuple[int, Trust] | None = None

    def attach(self, partition: int, ledger: Ledger, pending_usd: float, share: float, now_us: int) -> None:
        """Add a partition that this process owns. ``share``: of all partitions that it owns from now on."""
        if partition in self.ledgers:
            return
        self.ledgers[partition] = ledger
        self.budget.share = share
        self.budget.choose(pending_usd, now_us)
        if ledger.day == now_us // DAY_US:
            self.budget.spend(ledger.spent_usd, now_us)
        self._trust = None

    def detach(self, partition: int, pending_usd: float, share: float, now_us: int) -> None:
        """Remove a partition that this process owns no more."""
        ledger = self.ledgers.pop(partition, None)
        if ledger is not None:
            self.budget.share = share
            spent_usd = ledger.spent_usd if ledger.day == now_us // DAY_US else 0.0
            self.budget.settle(pending_usd, -spent_usd, now_us)

    def answered_by(self, model: str) -> str:
        """Note which model answered; return the identity of the judge. Another one begins anew."""
        base = identity(self.judge, model)
        generation = self.generations.get(base, 0)
        name = f"{base}-{generation}" if generation else base
        if name != self.identity:
            self.identity, self.history, self.doubt = name, AnchorHistory(), ""
            self.anchors_differ, self._trust = True, None
        return name

    def trust(self, now_us: int) -> Trust:
        """Return whether the judge may page now. ``now_us``: wall clock."""
        if self._trust is None or not 0 <= now_us - self._trust[0] < _TRUST_US:
            labels, last_us = self._labels(now_us, with_file=False)
            judged = [0.0, 0.0]
            for feature in self._features():
                if feature.identity == self.identity:
                    n, failed = feature.total.effective()
                    judged = [judged[0] + n, judged[1] + failed]
            evidence = evidence_of(self.judge, self.identity, labels, last_us, (judged[0], judged[1]))
            self._trust = now_us, trust_of(self.judge, self.identity, evidence, now_us, self.doubt)
        return self._trust[1]

    def trust_in(self, ledger: Ledger, service: str, feature: str, now_us: int) -> Trust:
        """Return whether the judge may page about a feature now: it is calibrated, and the labels of the feature do
        not contradict.

        Args:
            ledger: of the feature's partition.
            now_us: wall clock.
        """
        trust = self.trust(now_us)
        labels = ledger.feature_matrix(self.identity, service, feature, now_us)
        if not labels.n or (counts := ledger.features.get((service, feature))) is None:
            return trust
        doubt = feature_doubt(self.judge, f"{service}/{feature}", labels, counts.total.effective())
        return trust._replace(reasons=(*trust.reasons, doubt)) if doubt else trust

    def labels_for(self, ledger: Ledger, service: str, feature: str, now_us: int) -> Matrix:
        """Return the labels by which the rate of a feature is corrected: its own if they are enough, else all."""
        own = ledger.feature_matrix(self.identity, service, feature, now_us)
        return own if are_enough(own) else self._labels(now_us)[0]

    def suspect(self, feature: FeatureLedger) -> None:
        """Look for a rise of the judged rate of a feature after a verdict; in doubt the anchors decide."""
        if not self.doubt and (rise := feature.watch.rise()).size:
            self.doubt = (
                f"its failure rate rose from {rise.usual:.1%} to {rise.usual + rise.size:.1%}: the anchors are judged"
                " again, to know whether the answers or the judge changed"
            )
            feature.labels_since_rise = [0, 0]
            self._trust = None

    def anchors_due(self, now_us: int) -> bool:
        """Return whether the anchors should be judged now: daily, and in doubt. ``now_us``: wall clock."""
        if not self.judge.anchors or not self.ledgers:
            return False
        day, runs = self.checks
        if day != now_us // DAY_US:
            return True
        return bool(self.doubt) and now_us - self.checked_us >= CHECK_US and runs < MOST_CHECKS

    def take_anchors(self, verdicts: dict[str, bool], name: str, now_us: int) -> AnchorCheck:
        """Take a run of the anchors.

        Args:
            verdicts: anchor -> passed; without those that got no verdict.
            name: identity of the judge that gave them.
            now_us: wall clock.
        """
        day, runs = self.checks
        self.checks = now_us // DAY_US, runs + 1 if day == now_us // DAY_US else 1
        self.checked_us, self.anchors_differ, self._trust = now_us, True, None
        check = self.history.compare(verdicts)
        state = "changed" if check.changed else "unchanged"
        if self.doubt and check.n:
            state = self._explain(check)
        if name != self.identity:  # it changed within the run
            return check
        if state == "changed":
            self.changed_us = now_us
            self.change = f"{check.flips} of {check.n} anchors have another verdict than usual"
            base = self.identity.partition("-")[0]
            self.generations[base] = self.generations.get(base, 0) + 1
            self.identity, self.history, self.doubt = f"{base}-{self.generations[base]}", AnchorHistory(), ""
        elif state == "unchanged":
            self.doubt = ""
            for feature in self._features():
                if feature.watch.rise().size:
                    feature.watch.accept()
        if state != "unclear":
            self.history.add(verdicts)
        return check

    def rates(self, now_us: int) -> Iterator[FailureRate]:
        """Yield the judged and the corrected failure rate of each feature that was judged today."""
        for ledger in self.ledgers.values():
            yield from self.rates_of(ledger, now_us)

    def rates_of(self, ledger: Ledger, now_us: int) -> Iterator[FailureRate]:
        """``rates`` of the features of one partition."""
        for (service, name), feature in ledger.features.items():
            n, failed = feature.today.effective()
            if feature.identity == self.identity and feature.day == now_us // DAY_US and n:
                labels = self.labels_for(ledger, service, name, now_us)
                corrected = corrected_rate((n, failed), labels, feature.total.effective())
                yield FailureRate(service, name, n, failed / n, corrected, labels)

    def anchor_row(self) -> dict[str, Any]:
        """Return the anchors as one partition keeps them."""
        return {
            "identity": self.identity,
            "generations": self.generations,
            "counts": {anchor: list(counts) for anchor, counts in self.history.counts.items()},
            "flips": [self.history.flips, self.history.comparisons],
            "doubt": self.doubt,
            "change": self.change,
            "times": [self.changed_us, self.checked_us, *self.checks],
        }

    def restore_anchors(self, row: dict[str, Any]) -> None:
        """Take the anchors that a partition kept, unless those here are newer."""
        if row["times"][1] < self.checked_us:
            return
        self.identity, self.generations = row["identity"], dict(row["generations"])
        self.history = AnchorHistory()
        self.history.counts = {anchor: (runs, failed) for anchor, (runs, failed) in row["counts"].items()}
        self.history.flips, self.history.comparisons = row["flips"]
        self.doubt, self.change = row["doubt"], row["change"]
        self.changed_us, self.checked_us, *checks = row["times"]
        self.checks = checks[0], checks[1]
        self._trust = None

    def _labels(self, now_us: int, with_file: bool = True) -> tuple[Matrix, int]:
        """Return all labels that count, and the time of the newest that came."""
        labels, last_us = Matrix(), 0
        for ledger in self.ledgers.values():
            more, newest_us = ledger.matrix(self.identity, now_us)
            labels, last_us = labels.plus(more), max(last_us, newest_us)
        if with_file:
            labels = evidence_of(self.judge, self.identity, labels, 0).labels
        return labels, last_us

    def _explain(self, check: AnchorCheck) -> str:
        """Decide what explains the largest rise."""
        features = [feature for feature in self._features() if feature.watch.rise().size]
        if not features:
            return "changed" if check.changed else "unchanged"
        feature = max(features, key=lambda each: each.watch.rise().size * each.watch.rise().n)
        rise = feature.watch.rise()
        labels: Sequence[int] = feature.labels_since_rise
        total = Matrix()
        for ledger in self.ledgers.values():
            for counts in ledger.labels.get(self.identity, {}).values():
                total = total.plus(counts)
        total = evidence_of(self.judge, self.identity, total, 0).labels
        right = total.both_failed / max(1, total.both_failed + total.failed_passed)
        return rise_state(check, rise.size, (labels[0], labels[1]), right, rise.usual)[0]

    def _features(self) -> Iterator[FeatureLedger]:
        for ledger in self.ledgers.values():
            yield from ledger.features.values()
