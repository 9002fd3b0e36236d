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
    """What a condition on a series of panes has, whatever it looks at."""

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


class Burn(Part):
    """A burn rate: how fast an error budget may be spent, over a long window and still over a short one."""

    long: Duration = Field(ge=300, le=30 * 86_400, description="Long window, like 1h")
    short: Duration = Field(
        ge=60, le=3 * 86_400, description="Short window, about a twelfth of the long one, like 5m"
    )
    factor: float = Field(
        gt=0, description="How many times too fast the budget burns: 14.4 spends 2 % of 30 days in an hour"
    )
    severity: Severity = Field(description="`critical` and `error` page, `warning` and `info` open a ticket")

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Burn:
        if self.short >= self.long:
            raise ValueError(
                f"short: {self.short:g} s is not shorter than the long window of {self.long:g} s"
            )
        return self


BURNS = (
    (3600.0, 300.0, 0.02, "critical"),
    (6 * 3600.0, 1800.0, 0.05, "critical"),
    (3 * 86_400.0, 6 * 3600.0, 0.1, "warning"),
)
"""Long and short window, seconds; the share of the period's budget that is spent when it fires; severity.

Source: Google SRE Workbook, chapter 5, table 5-8.
"""


class Objective(Named):
    """A service level objective over a period, alerted by burn rates over several windows.

    Source: Google SRE Workbook, chapter 5, "Multiwindow, multi-burn-rate alerts".
    """

    on: str = Field(description="A rate: pass_rate, error_rate or evaluator.NAME.fail_rate")
    target: float = Field(gt=0, lt=1, description="Share of events that must be good, like 0.97")
    period: Duration = Field(
        30 * 86_400.0, ge=86_400, le=90 * 86_400, description="Period of the error budget"
    )
    burn: tuple[Burn, ...] | None = Field(
        None,
        min_length=1,
        description="Burn rates; by default 2 % of the budget in 1h and 5 % in 6h (pages), 10 % in 3d (a "
        "ticket)",
    )
    level: Literal["feature", "segment", "both"] = Field(
        "feature", description="Whether it reads whole features, their segments, or both"
    )
    match: str = Field("*", description="`service/feature`, with * and ?")
    environments: tuple[str, ...] | None = Field(None, description="Environments; by default all")
    min_events: int = Field(50, ge=1, le=10**9, description="Effective events that the long window needs")

    @model_validator(mode="after")
    def _can_be_breached(self) -> Objective:
        if not METRIC.fullmatch(self.on) or not self.on.endswith("_rate") or "*" in self.on:
            raise ValueError(
                f"on: {self.on!r} is no rate; write pass_rate, error_rate or evaluator.NAME.fail_rate"
            )
        most = 1 / (1 - self.target)
        for burn in self.burns():
            if burn.factor >= most:
                raise ValueError(
                    f"burn: at a target of {self.target:g} the budget burns at most {most:.3g} times as fast"
                    f" as it may, so a factor of {burn.factor:.3g} over {burn.long / 3600:g} h can never be"
                    f" reached; write burn: with factors below that, like {{long: {burn.long / 3600:g}h,"
                    f" short: {burn.short / 60:g}m, factor: {most / 2:.2g}, severity: {burn.severity}}}"
                )
        return self

    def burns(self) -> tuple[Burn, ...]:
        """Those written, or the Workbook's for this period."""
        if self.burn is not None:
            return self.burn
        return tuple(
            Burn.model_validate(
                {"long": long, "short": short, "factor": share * self.period / long, "severity": severity}
            )
            for long, short, share, severity in BURNS
        )


class Burning(Watched):
    """One burn rate of an objective, as a rule among the others."""

    on: str
    target: float
    short: Duration
    factor: float

    @property
    def failing(self) -> float:
        """The share of bad events beyond which the budget burns so fast."""
        return self.factor * (1 - self.target)


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
    severity: Severity | None = Field("critical", description="Severity; null: no such rule")
