"""Every exported metric, defined once, and the histograms that the worker measures.

Dashboards and alert rules are checked against this list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """Kind, help text and label names of an exported metric. Every ``Measure`` of a histogram has one more
    label: see ``SUM``.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


class Measure(NamedTuple):
    """One value now. Measures of equal name and labels from several partitions are added up."""

    name: str
    labels: tuple[str, ...]
    value: float


SUM = "sum"
"""Last label of the measure with a histogram's sum. The last label of its cumulative counts is the upper bound
(``le``), up to ``+Inf``.
"""

FEATURE = ("service", "feature", "environment")
SEGMENT = ("level", *FEATURE, "model", "prompt_version", "variant", "dimensions")
_OVER = (
    "over the last 5 minutes of event time (closed panes; the last pane that had events, if that is longer"
    " ago)"
)

METRICS: dict[str, Metric] = {
    # what came in (durable; exported as since this process took the partition:
    # agents/runtime/process_counters.py)
    "softfail_received_events_total": Metric("counter", "Events read and measured", (*FEATURE, "kind")),
    "softfail_dead_letters_total": Metric("counter", "Records that could not be read", ("reason",)),
    "softfail_left_out_fields_total": Metric(
        "counter",
        "Optional fields of events with an odd value: left out, or a long label cut; the event was counted",
        ("field", "reason"),
    ),
    "softfail_merged_segments_total": Metric(
        "counter", "Segments that were merged into `other`, because a feature had too many", FEATURE
    ),
    "softfail_unrepeated_label_events_total": Metric(
        "counter",
        "Events whose value of a label was measured as `other`, because its values never repeat",
        (*FEATURE, "label"),
    ),
    "softfail_late_events_total": Metric(
        "counter",
        "Events that came after their pane had closed, and were counted in a revision",
        ("service", "feature"),
    ),
    "softfail_expired_events_total": Metric(
        "counter", "Events too far behind the watermark to be measured", ("service", "feature")
    ),
    "softfail_forwarded_events_total": Metric(
        "counter", "Events found in a wrong partition and forwarded to their own", ("partition",)
    ),
    "softfail_producer_calls_total": Metric(
        "counter",
        "Calls as producers' meters count them: seen ≥ sampled ≥ sent + dropped",
        (*FEATURE, "stage"),
    ),
    "softfail_missing_events": Metric(
        "gauge", "Numbered events that have not arrived although later ones have; falls if they come", FEATURE
    ),
    "softfail_verdicts_total": Metric(
        "counter", "Responses that an evaluator passed or failed", (*FEATURE, "evaluator")
    ),
    "softfail_skipped_verdicts_total": Metric(
        "counter", "Responses to which an evaluator did not apply", (*FEATURE, "evaluator", "reason")
    ),
    "softfail_evaluator_errors_total": Metric(
        "counter", "Evaluations that broke", ("service", "feature", "evaluator")
    ),
    # quality
    "softfail_pass_rate": Metric("gauge", f"Share of responses that pass, {_OVER}", SEGMENT),
    "softfail_error_rate": Metric("gauge", f"Share of responses with an error type, {_OVER}", SEGMENT),
    "softfail_evaluator_fail_rate": Metric(
        "gauge", f"Share of verdicts that failed, {_OVER}", (*SEGMENT, "evaluator")
    ),
    "softfail_mean": Metric(
        "gauge",
        f"Mean of a number in its own unit (seconds, tokens, US dollars), {_OVER}",
        (*SEGMENT, "metric"),
    ),
    "softfail_quantile": Metric(
        "gauge", f"Quantile of a number in its own unit, {_OVER}", (*SEGMENT, "metric", "quantile")
    ),
    "softfail_window_events": Metric("gauge", f"Events measured, {_OVER}", SEGMENT),
    "softfail_segments": Metric("gauge", "Live segments", FEATURE),
    "softfail_segments_not_exported": Metric(
        "gauge",
        "Live segments without series of quality, because their partition has too many",
        ("partition",),
    ),
    # judges
    "softfail_judge_results_total": Metric(
        "counter",
        "Responses and anchors by result: chosen, verdict (also uncalibrated), error/KIND, skip/REASON, label",
        ("judge", "result"),
    ),
    "softfail_judge_cost_usd_total": Metric("counter", "US dollars that a judge has cost", ("judge",)),
    "softfail_judge_pending": Metric("gauge", "Responses that wait for a judge", ("judge",)),
    "softfail_judge_calibrated": Metric(
        "gauge", "1 if the verdicts of a judge may page, for each process", ("judge",)
    ),
    "softfail_judge_labels": Metric(
        "gauge", "Labels of people on verdicts of the judge as it is", ("judge",)
    ),
    "softfail_judge_agreement": Metric(
        "gauge",
        "Agreement with people, sensitivity and specificity, with 95 % bounds",
        ("judge", "figure", "bound"),
    ),
    "softfail_judge_failure_rate": Metric(
        "gauge",
        "Failure rate of today: as judged, corrected for the judge's errors, and the 95 % bounds of that",
        ("judge", "service", "feature", "figure"),
    ),
    "softfail_judge_sampling_factor": Metric(
        "gauge", "Share of the wanted sampling rate that the budget allows", ("judge",)
    ),
    "softfail_judge_credit_usd": Metric(
        "gauge", "US dollars that may be spent now: accrued today, less spent and under way", ("judge",)
    ),
    # alerts
    "softfail_incidents": Metric("gauge", "Firing incidents", (*FEATURE, "rule", "severity")),
    "softfail_episodes": Metric("gauge", "Open episodes", (*FEATURE, "urgency")),
    # time and work of the worker
    "softfail_watermark_seconds": Metric(
        "gauge", "Event time up to which a partition is complete, seconds since 1970", ("partition",)
    ),
    "softfail_watermark_lag_seconds": Metric("gauge", "Wall clock minus watermark", ("partition",)),
    "softfail_consumer_lag_records": Metric(
        "gauge", "Records in the source that are not applied yet", ("agent", "partition")
    ),
    "softfail_owned_partitions": Metric("gauge", "Partitions this worker owns", ("agent",)),
    "softfail_restoring_partitions": Metric("gauge", "Partitions whose state is being read", ("agent",)),
    "softfail_checkpoints_total": Metric("counter", "Checkpoints committed by this process"),
    "softfail_checkpoint_seconds_total": Metric("counter", "Time spent in checkpoints by this process"),
    "softfail_gaps_refetched_total": Metric("counter", "Bundles lost on the way and fetched again"),
    "softfail_lost_records_total": Metric(
        "counter", "Records that the source had dropped before they were read"
    ),
    "softfail_applied_records_total": Metric("counter", "Records of all sources applied by this process"),
    "softfail_restore_seconds_total": Metric("counter", "Time spent reading state back by this process"),
    "softfail_checkpoint_duration_seconds": Metric(
        "histogram", "Time of one checkpoint, from collecting changes to the commit"
    ),
    "softfail_checkpoint_size_bytes": Metric("histogram", "Keys and values that one checkpoint wrote"),
    "softfail_checkpoint_age_seconds": Metric(
        "gauge", "Time since the last checkpoint of a partition", ("agent", "partition")
    ),
    "softfail_large_checkpoints_total": Metric(
        "counter", "Checkpoints above 16 MB, more than a transaction should contain"
    ),
    "softfail_apply_duration_seconds": Metric(
        "histogram", "Time to apply one bundle, or a part of it, during which the event loop is blocked"
    ),
    "softfail_loop_delay_seconds": Metric(
        "histogram", "How late the event loop wakes from a sleep, looked at each second"
    ),
    "softfail_restored_records_total": Metric("counter", "Records of state read back by this process"),
    "softfail_restored_share": Metric(
        "gauge", "How much of the log of its state a partition has read back, 0 to 1", ("agent", "partition")
    ),
    "softfail_state_records": Metric(
        "gauge", "Records of state of a partition, as they lie in Kafka", ("agent", "partition")
    ),
    "softfail_state_bytes": Metric("gauge", "Keys and values of those records", ("agent", "partition")),
    "softfail_pending_bytes": Metric(
        "gauge", "Outputs that wait in memory for the next checkpoint", ("agent", "partition")
    ),
    "softfail_oversized_outputs_total": Metric("counter", "Records above 256 KB that were not written"),
    "softfail_oversized_state_records_total": Metric(
        "counter", "Records of state above 256 KB, written all the same"
    ),
    "softfail_restarts_total": Metric(
        "counter", "Times this process started itself anew without a checkpoint between"
    ),
    # evaluators of users
    "softfail_user_evaluator_seconds_total": Metric(
        "counter", "Time that bundles waited for an evaluator of a user", ("evaluator",)
    ),
    "softfail_user_evaluator_process_ends_total": Metric(
        "counter",
        "Processes of an evaluator of a user that ended: `start` (it cannot be imported), `timeout`, `memory`,"
        " or `exit`",
        ("evaluator", "reason"),
    ),
    "softfail_user_evaluator_cut_off": Metric(
        "gauge",
        "Whether an evaluator of a user is not asked now, because it broke too often: 0 or 1",
        ("evaluator",),
    ),
    # delivery
    "softfail_deliveries_total": Metric("counter", "Deliveries of episodes", ("channel", "result")),
    "softfail_deliveries_silenced_total": Metric(
        "counter", "Episodes that fired and resolved under a silence, and so were never sent", ("channel",)
    ),
    "softfail_deliveries_pending": Metric("gauge", "Deliveries waiting", ("channel",)),
    "softfail_dead_man_withheld": Metric(
        "gauge",
        "Whether the signs of life to the dead man's switch are withheld, and why: 0 or 1",
        ("reason",),
    ),
    "softfail_dead_man_pings_total": Metric(
        "counter", "Signs of life sent by this process", ("to", "result")
    ),
    "softfail_channel_open": Metric(
        "gauge",
        "Circuit breaker of a channel: 0 closed, 1 open (it is down), 0.5 a probe is due",
        ("channel",),
    ),
}

CHECKPOINT_BOUNDS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
APPLY_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LOOP_DELAY_BOUNDS_S = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_BOUNDS_BYTES = tuple(float(4**power) for power in range(5, 14))
"""1 KiB to 64 MiB."""


class FixedBucketHistogram:
    """Counts of values in buckets with fixed bounds, and the sum of the values, as a Prometheus histogram.

    Before the first observation all counts and the sum are 0.

    Args:
        bounds: upper bounds of the buckets, ascending, inclusive, in the unit of the values. One more bucket
            counts the values above the last bound.

    >>> histogram = FixedBucketHistogram((0.1, 1.0))
    >>> for seconds in (0.1, 0.3, 7.0):
    ...     histogram.observe(seconds)
    >>> [(measure.labels, round(measure.value, 6)) for measure in histogram.measures("checkpoint_seconds")]
    [(('0.1',), 1), (('1.0',), 2), (('+Inf',), 3), (('sum',), 7.4)]
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def measures(self, name: str) -> Iterator[Measure]:
        """Yield the cumulative count of each upper bound, then the sum; all are named ``name``."""
        cumulative = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            cumulative += count
            yield Measure(name, ("+Inf" if bound == float("inf") else str(bound),), cumulative)
        yield Measure(name, (SUM,), self.total)
