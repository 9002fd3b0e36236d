"""The core of the judge agent: which responses wait for which judge, and what became of them.

``agents.judging`` makes the calls. State, position and outputs are one transaction: what is chosen waits in the state
until its verdict is written, so no verdict is lost, and none is written twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from monitor.evaluators.suite import Suite
from monitor.evaluators.verdict import State
from monitor.ingest.dead_letters import RejectedRecord
from monitor.ingest.record_decoding import decode_record
from monitor.judging.findings import heartbeat
from monitor.judging.judged_rates import judged_rates
from monitor.judging.ledger import Ledger
from monitor.judging.records import (
    Judgement,
    Pending,
    evaluation,
    event_id,
    feature_of,
    own_call,
    pending_of,
)
from monitor.judging.sampling import Draw, Stratum, draw, wanted_rate
from monitor.judging.standing import Standing
from monitor.normal_form.response import call_failed, normal_form
from monitor.protocol.messages import AsideReason, Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.protocol.service import SERVICE
from monitor.stats.judge_correction import JudgeCorrection
from monitor.windows.segment_series import LATE_US
from schemas.config.monitor_config import Config
from softfail.partitioning import partition_of

MOST_PENDING = 2000
"""Responses of one judge and partition that wait at most; while there are as many, none is chosen."""
_MOST_NAMES = 10_000
_HEARTBEAT_US = 60_000_000


class JudgeCore:
    """The state of one partition of the events topic for all judges.

    Args:
        config: the whole configuration.
        standings: judge -> what the process knows of it.
        partition, partitions: of the events topic.
    """

    def __init__(
        self, config: Config, standings: Mapping[str, Standing], partition: int, partitions: int
    ) -> None:
        self.partition, self.partitions = partition, partitions
        self.standings = standings
        self.ledgers = {name: Ledger(name) for name in standings}
        self.pending: dict[str, dict[int, Pending]] = {name: {} for name in standings}
        self._config = config
        self._judges: dict[tuple[str, str], tuple[Standing, ...]] = {}
        self._suites: dict[int, Suite] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._beat_us, self._beaten = 0, list[str]()

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Choose the responses to judge, and take labels of people. What cannot be read is left to ``Watch``.

        ``now_us``: the wall clock, microseconds since 1970.
        """
        for record in records:
            try:
                event, time_us, *_ = decode_record(record)
            except RejectedRecord:
                continue
            clock_us = time_us if now_us is None else now_us
            if event.kind == "response":
                for standing in self._judges_of(event.service, event.feature):
                    self._consider(standing, event, time_us, record.offset, clock_us)
            elif event.kind == "evaluation" and event.passed is not None:
                for standing in self._judges_of(event.service, event.feature):
                    if event.evaluator == standing.judge.label_evaluator:
                        labelled = self.ledgers[standing.judge.name].label(
                            event.service, event.feature, event.response_id, not event.passed, clock_us
                        )
                        self.ledgers[standing.judge.name].tally(
                            "label" if labelled else "label/unknown response"
                        )
        return Outputs()

    def complete(self, offset: int, judge: str, judgement: Judgement, now_us: int) -> Outputs:
        """Take what came of a response that waited; return the events to write.

        Args:
            offset, judge: of what waited.
            judgement: a verdict, or an error.
            now_us: wall clock.
        """
        standing, ledger, out = self.standings[judge], self.ledgers[judge], Outputs()
        pending = self.pending[judge].pop(offset)
        self._changed[_pending_key(judge, offset)] = None
        standing.budget.settle(pending.estimate_usd, judgement.cost_usd, now_us)
        ledger.spend(judgement.cost_usd, now_us)
        if judgement.calls:
            name = event_id(judge, self.partition, offset, "call-")
            out.add("events", self._own_call(standing, judgement, name, now_us))
        if judgement.error is not None:
            ledger.tally(f"error/{judgement.error}")
            return out
        version = standing.answered_by(judgement.model)
        failed = not standing.judge.rubric.passed(judgement.choice)
        service, feature = pending.labels["service"], pending.labels["feature"]
        counts = ledger.feature(service, feature)
        counts.count(version, pending.probability, failed, now_us // 86_400_000_000)
        standing.suspect(counts)
        trust = standing.trust_in(ledger, service, feature, now_us)
        evaluator = standing.judge.name if trust.calibrated else standing.judge.uncalibrated_name
        name = event_id(judge, self.partition, offset)
        correction = None
        if trust.calibrated:
            labels = standing.labels_for(ledger, service, feature, now_us)
            correction = JudgeCorrection(labels, counts.total.effective())
        message = evaluation(standing.judge, pending, judgement, evaluator, version, name, correction)
        out.add("events", message._replace(partition=self.partition))
        ledger.remember(service, feature, pending.response_id, failed, version)
        ledger.tally("verdict" if trust.calibrated else "verdict/uncalibrated")
        return out

    def drop_late(self, judge: str, now_us: int, under_way: Collection[int] = ()) -> Outputs:
        """Give up what has waited so long that no rule would read its verdict; it is counted as an error.

        ``under_way``: offsets of what is being judged now.
        """
        out = Outputs()
        late = [
            offset
            for offset, pending in self.pending[judge].items()
            if offset not in under_way and now_us - pending.time_us > LATE_US
        ]
        for offset in late:
            out.extend(self.complete(offset, judge, Judgement(error="unavailable", calls=0), now_us))
        return out

    def anchor_call(self, judge: str, number: int, judgement: Judgement, now_us: int) -> Outputs:
        """Count a call about an anchor; return the event that reports it. ``number``: of the call."""
        standing, out = self.standings[judge], Outputs()
        standing.budget.spend(judgement.cost_usd, now_us)
        self.ledgers[judge].spend(judgement.cost_usd, now_us)
        self.ledgers[judge].tally("anchor" if judgement.error is None else f"anchor error/{judgement.error}")
        name = event_id(judge, self.partition, number, f"anchor-{now_us}-")
        out.add("events", self._own_call(standing, judgement, name, now_us))
        return out

    def keep_anchors(self, judge: str) -> None:
        """Keep the anchors of a judge in this partition."""
        self._changed[f"a/{judge}".encode()] = msgspec.json.encode(self.standings[judge].anchor_row())
        self.standings[judge].anchors_differ = False

    def heartbeat(self, now_us: int) -> Outputs:
        """Write findings about judges and their rates for ``alerts``: each minute, and when the findings change. ``now_us``: wall clock."""
        record = heartbeat(self, now_us)
        names = [finding.name for finding in record.findings]
        out = Outputs()
        if names != self._beaten or now_us - self._beat_us >= _HEARTBEAT_US:
            self._beaten, self._beat_us = names, now_us
            out.write("alerts", f"judge/{self.partition}".encode(), record, 0)
            for name, standing in self.standings.items():
                rates = judged_rates(standing, self.ledgers[name], self.partition, now_us)
                out.write("alerts", f"judged/{name}/{self.partition}".encode(), rates, 0)
        return out

    def pending_usd(self, judge: str) -> float:
        """Return the estimated cost of what waits."""
        return sum(pending.estimate_usd for pending in self.pending[judge].values())

    def set_aside(self, record: Record, reason: AsideReason, error: str, records: int = 1) -> Outputs:
        """Pass records that must not be applied; ``Watch`` writes their dead letters."""
        del record, reason, error, records
        return Outputs()

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call; None deletes."""
        records = list(self._changed.items())
        self._changed.clear()
        for ledger in self.ledgers.values():
            records += ledger.changed()
        return records

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Restore the records that ``changed`` returned. Those of judges that are not configured stay unread.

        Raises:
            ValueError: a record cannot be read; the message names its key.
        """
        for key, value in records:
            parts = key.decode("utf-8", "surrogatepass").split("/")
            if value is None or len(parts) < 2 or parts[1] not in self.ledgers:
                continue
            try:
                if parts[0] == "p":
                    self.pending[parts[1]][int(parts[2])] = msgspec.json.decode(value, type=Pending)
                elif parts[0] == "a":
                    self.standings[parts[1]].restore_anchors(msgspec.json.decode(value))
                else:
                    self.ledgers[parts[1]].restore(parts, value)
            except (msgspec.MsgspecError, ValueError, LookupError, TypeError) as error:
                raise ValueError(f"the record {key!r} cannot be read: {error}") from None

    def measures(self) -> Iterator[Measure]:
        """Yield the measures of this partition for /metrics."""
        for name, ledger in self.ledgers.items():
            yield Measure("softfail_judge_pending", (name,), len(self.pending[name]))
            yield Measure("softfail_judge_cost_usd_total", (name,), ledger.total_usd)
            for result, n in ledger.results.items():
                yield Measure("softfail_judge_results_total", (name, result), n)

    def _judges_of(self, service: str, feature: str) -> tuple[Standing, ...]:
        """Return the judges of a feature; none of another partition's features, and none of softfail's own."""
        judges = self._judges.get((service, feature))
        if judges is None:
            name = f"{service}/{feature}"
            is_here = not self.partitions or partition_of(service, feature, self.partitions) == self.partition
            judges = tuple(
                standing
                for standing in self.standings.values()
                if is_here
                and service != SERVICE
                and any(fnmatchcase(name, pattern) for pattern in standing.judge.match)
            )
            if len(self._judges) >= _MOST_NAMES:  # names come from outside
                self._judges.clear()
            self._judges[service, feature] = judges
        return judges

    def _consider(self, standing: Standing, event: Any, time_us: int, offset: int, now_us: int) -> None:
        judge = standing.judge
        ledger, waiting = self.ledgers[judge.name], self.pending[judge.name]
        if not event.output or call_failed(event) or not (normal := normal_form(event)).output:
            return
        if not ledger.has_room(event.service, event.feature, time_us):
            ledger.tally("skip/too many features")
            return
        counts = ledger.feature(event.service, event.feature)
        stratum = self._stratum(event)
        rate = wanted_rate(judge.sample, stratum, counts.hourly.at(time_us))
        counts.hourly.add(time_us)
        if now_us - time_us > LATE_US:
            ledger.tally("skip/late")
            return
        factor = standing.budget.factor(now_us) if len(waiting) < MOST_PENDING else 0.0
        sent = event.sample_probability * event.content_probability
        result: Draw = draw(event.event_id, standing.salt, rate, factor, sent)
        if result.probability <= 0:
            ledger.tally("skip/queue" if len(waiting) >= MOST_PENDING else f"skip/{result.reason}")
            return
        if not result.chosen:
            return
        chars = sum(
            min(len(text or ""), judge.text_chars) for text in (event.input, event.output, event.context)
        )
        estimate_usd = standing.estimate.usd(chars + len(judge.rubric.prompt) + 800)
        pending = pending_of(judge, normal, stratum, result.probability, estimate_usd)
        waiting[offset] = pending
        self._changed[_pending_key(judge.name, offset)] = msgspec.json.encode(pending)
        standing.budget.choose(estimate_usd, now_us)
        ledger.tally("chosen")

    def _stratum(self, event: Any) -> Stratum:
        settings = self._config.feature(event.service, event.feature)
        suite = self._suites.get(id(settings))
        if suite is None:
            suite = self._suites[id(settings)] = Suite.from_settings(
                settings.evaluators, settings.gating, settings.interaction
            )
        verdicts = zip(suite.judge(event), suite.gating, strict=True)
        return (
            "failed"
            if any(gates and verdict.state == State.FAILED for verdict, gates in verdicts)
            else "ordinary"
        )

    def _own_call(self, standing: Standing, judgement: Judgement, name: str, now_us: int) -> Any:
        partition = partition_of(SERVICE, feature_of(standing.judge), max(1, self.partitions))
        return own_call(standing.judge, judgement, name, now_us, partition)


def _pending_key(judge: str, offset: int) -> bytes:
    return f"p/{judge}/{offset}".encode()
