"""Rules: thresholds, falls against a learnt baseline, drift, burn rates of error budgets, no data."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PrivateAttr, model_validator

from schemas.fields import Duration, Part, Severity, duration_s

METRIC = re.compile(r"[a-z][a-z0-9_]*(\.([A-Za-z0-9_\-]+|\*))*")
GATING = "evaluator.*.fail_rate"
"""The metric of a rule on every gating evaluator's failures, each against its own baseline."""

_REFERENCE = re.compile(
    r"trailing [0-9.]+ ?[mhdw]|same hours last week|previous prompt version|pinned"
    r" [A-Za-z0-9][A-Za-z0-9_.\-]{0,63}"
)


class Named(Part):
    """A rule with a name and the key `on`."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$", description="Name, unique; pages and metrics carry it"
    )

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, value: Any) -> Any:
        if isinstance(value, dict) and True in value:  # YAML 1.1: the key `on` is a boolean
            value = {("on" if key is True else key): item for key, item in value.items()}
        return value


class Watched(Named):
    """Keys of every rule on a series of panes."""

    level: Literal["feature", "segment", "both"] = Field(
        "both", description="Whether it reads whole features, their segments, or both"
    )
    match: str = Field("*", description="`service/feature`, with * and ?")
    environments: tuple[str, ...] | None = Field(None, description="Environments; by default all")
    window: Duration = Field(300.0, description="Shortest window that is read")
    for_: Duration = Field(
        0.0, alias="for", ge=0, le=86_400, description="How long a breach must last before the rule fires"
    )
    keep_firing_for: Duration = Field(
        120.0, ge=0, le=86_400, description="How long the value must be good before the incident resolves"
    )
    min_events: int = Field(50, ge=1, le=10**9, description="Effective events that a window needs")
    confidence: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="One-sided confidence of the interval; by default from the budget of false pages",
    )
    severity: Severity = Field(
        "error", description="`critical` and `error` page, `warning` and `info` open a ticket"
    )
    page_newborn: bool = Field(
        True, description="Whether a feature that was never healthy may page; otherwise it gets a warning"
    )

    @model_validator(mode="after")
    def _window_is_one(self) -> Watched:
        if not 1 <= self.window <= 90 * 86_400:
            raise ValueError(f"window: {self.window:g} s must lie between 1 s and 90 d")
        return self


Side = Literal["above", "below"]
"""On which side of the threshold a value is bad."""


class FixedThreshold(NamedTuple):
    """A number."""

    side: Side
    value: float


class BudgetThreshold(NamedTuple):
    """The latency budget of the feature for a quantity: ``duration_s`` or ``time_to_first_token_s``. Above it
    a value is bad.
    """

    quantity: str


class BaselineThreshold(NamedTuple):
    """The baseline that is learnt of each series."""

    side: Side


Threshold = FixedThreshold | BudgetThreshold | BaselineThreshold


class Rule(Watched):
    """A threshold on a metric over a window."""

    on: str = Field(
        description=(
            "The metric: pass_rate, error_rate, evaluator.NAME.fail_rate, duration_s.p90,"
            " output_tokens.mean, ..."
        )
    )
    above: float | Literal["budget", "baseline"] | None = Field(
        None,
        description="Breach above this value, above the feature's latency `budget`, or above the learnt "
        "`baseline`",
    )
    below: float | Literal["baseline"] | None = Field(
        None,
        description="Breach below this value, or below the learnt `baseline`; exactly one of above and below",
    )
    clear: float | None = Field(
        None, description="Threshold at which the value is good again; by default that of the breach"
    )
    _threshold: Threshold = PrivateAttr()

    @model_validator(mode="after")
    def _has_one_threshold(self) -> Rule:
        if not METRIC.fullmatch(self.on) or ("*" in self.on and self.on != GATING):
            raise ValueError(
                f"on: {self.on!r} is not a metric's name; like pass_rate, duration_s.p90,"
                f" evaluator.refusal.fail_rate, or {GATING}"
            )
        if (self.above is None) == (self.below is None):
            raise ValueError("write exactly one of above and below")
        if self.above == "budget" and not self.on.startswith(("duration_s.", "time_to_first_token_s.")):
            raise ValueError("above: budget goes with duration_s.* and time_to_first_token_s.* only")
        if self.is_learnt and not self.is_rate:
            raise ValueError(
                f"baseline goes with rates only, and {self.on} is none; write a number, or list it under"
                " drift"
            )
        if self.on == GATING and not self.is_learnt:
            raise ValueError(f"on: {GATING} goes with above: baseline only; name one evaluator")
        threshold = self.above if self.above is not None else self.below
        if self.is_rate and isinstance(threshold, float) and not 0 <= threshold <= 1:
            raise ValueError(
                f"a rate lies between 0 and 1, the threshold is {threshold:g}; write 2 % as 0.02"
            )
        if self.clear is not None and isinstance(threshold, float):
            wrong = self.clear > threshold if self.above is not None else self.clear < threshold
            if wrong:
                raise ValueError(
                    f"clear: {self.clear:g} lies on the bad side of the threshold {threshold:g}, so it would"
                    " never stay resolved"
                )
        if self.clear is not None and self.is_learnt:
            raise ValueError("clear: a rule on the baseline clears when the rate is back there; remove clear")
        self._threshold = _threshold(self)
        return self

    @property
    def threshold(self) -> Threshold:
        """The threshold, resolved when the configuration is read."""
        return self._threshold

    @property
    def is_rate(self) -> bool:
        """Whether the metric is a share of events, 0 to 1."""
        return self.on.endswith("_rate")

    @property
    def is_learnt(self) -> bool:
        """Whether the threshold is the baseline that softfail learns."""
        return "baseline" in (self.above, self.below)


def _threshold(rule: Rule) -> Threshold:
    side: Side = "above" if rule.above is not None else "below"
    match rule.above if rule.above is not None else rule.below:
        case "budget":
            return BudgetThreshold(rule.on.rpartition(".")[0])
        case "baseline":
            return BaselineThreshold(side)
        case float() as value:
            return FixedThreshold(side, value)
    raise AssertionError("a rule has exactly one threshold")


class Drift(Watched):
    """A rule on distributions that should not change: numbers, categories, texts."""

    on: tuple[Annotated[str, Field(pattern=METRIC.pattern)], ...] | None = Field(
        None,
        min_length=1,
        description=(
            "Statistics: output_tokens, duration_s, finish_reason, response_model, ...; by default all that"
            " are counted"
        ),
    )
    reference: str = Field(
        "trailing 24h",
        description="`trailing 24h`, `same hours last week`, `previous prompt version`, or `pinned NAME`",
    )
    effect: float | None = Field(
        None,
        gt=0,
        le=100,
        description=(
            "Least effect, in standard deviations (numbers) or as Jensen-Shannon distance (categories); by"
            " default 0.1 each, 0.3 for languages"
        ),
    )
    least_change: float | None = Field(
        None,
        ge=0,
        le=1,
        description=(
            "Least change of a mean or quantile (numbers, as a share of the greater value), of the share of a"
            " label (categories, languages) or of a rate; by default 0.05, 0.02 and 0.01"
        ),
    )
    window: Duration = Field(
        60.0, description="Shortest window that is read; longer ones up to 2 h are read too"
    )
    severity: Severity = Field(
        "warning", description="`critical` and `error` page, `warning` and `info` open a ticket"
    )
    for_: Duration = Field(
        0.0, alias="for", ge=0, le=86_400, description="How long a breach must last before the rule fires"
    )
    keep_firing_for: Duration = Field(
        600.0, ge=0, le=86_400, description="How long there must be no breach before the incident resolves"
    )

    @model_validator(mode="after")
    def _reference_is_one(self) -> Drift:
        if not _REFERENCE.fullmatch(self.reference):
            raise ValueError(
                f"reference: {self.reference!r} is none; write trailing 24h, same hours last week, previous"
                " prompt version, or pinned NAME"
            )
        if (
            self.reference.startswith("trailing")
            and not 3600 <= duration_s(self.reference.removeprefix("trailing ")) <= 8 * 86_400
        ):
            raise ValueError(
                f"reference: {self.reference!r} must trail by 1h to 8d: hours are kept for eight days"
            )
        if self.window > 7200:
            raise ValueError(
                "window: of drift is the least that is looked at, 2h at most; longer ones are looked at where"
                " events are few"
            )
        return self


_DEFAULT = {"window": "5m", "for": "1m", "severity": "critical", "page_newborn": False}
DEFAULT_RULES = (
    Rule.model_validate({"name": "error-rate", "on": "error_rate", "above": 0.02, **_DEFAULT}),
    Rule.model_validate({"name": "pass-rate-floor", "on": "pass_rate", "below": 0.5, **_DEFAULT}),
    Rule.model_validate(
        {"name": "pass-rate-fell", "on": "pass_rate", "below": "baseline", "severity": "error"}
    ),
    Rule.model_validate({"name": "failures-rose", "on": GATING, "above": "baseline", "severity": "error"}),
)
DEFAULT_DRIFT = (Drift.model_validate({"name": "drift"}),)
"""The rules of an empty file, beside `no-data`. A rule of the same name replaces a default;
`default_rules: false` drops them all.
"""


class NoData(Part):
    """The rule on features that stop sending."""

    window: Duration = Field(300.0, ge=1, le=86_400, description="Shortest silence that counts")
    min_expected: int = Field(
        20,
        ge=1,
        le=10**6,
        description="Events that must have been expected in the silence, from the past",
    )
    severity: Severity | None = Field(
        "critical",
        description=(
            "Severity (a warning in a feature's first eight days, unless it stopped abruptly); null: no such"
            " rule"
        ),
    )
