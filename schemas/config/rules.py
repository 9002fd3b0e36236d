"""What is looked for: thresholds, falls against a learnt baseline, drift, burnt error budgets, silence."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.fields import Duration, Part, Severity, duration_s

METRIC = re.compile(r"[a-z][a-z0-9_]*(\.([A-Za-z0-9_\-]+|\*))*")
GATING = "evaluator.*.fail_rate"
"""The metric of a rule on every gating evaluator's failures, each against its own baseline."""

_REFERENCE = re.compile(
    r"trailing [0-9.]+ ?[mhdw]|same hours last week|previous prompt version|pinned"
    r" [A-Za-z0-9][A-Za-z0-9_.\-]{0,63}"
)


class Named(Part):
    """A condition with a name, and the key `on`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, value: Any) -> Any:
        if isinstance(value, dict) and True in value:  # YAML 1.1: the key `on` is a boolean
            value = {("on" if key is True else key): item for key, item in value.items()}
        return value


class Watched(Named):
    """What a condition on a series of panes has, whatever it looks at."""

    level: Literal["feature", "segment", "both"] = "both"
    match: str = Field("*", description="service/feature, with * and ?")
    environments: tuple[str, ...] | None = Field(
        None, description="By default all of them; only `production` pages"
    )
    window: Duration = Field(300.0, description="The least window")
    for_: Duration = Field(
        0.0, alias="for", ge=0, le=86_400, description="How long it must last before it fires"
    )
    keep_firing_for: Duration = Field(
        120.0, ge=0, le=86_400, description="How long it must be well before it resolves"
    )
    min_events: int = Field(50, ge=1, le=10**9, description="Effective events that a window needs")
    confidence: float | None = Field(
        None,
        gt=0.5,
        lt=1,
        description="One-sided confidence of the interval; by default as the false-page budget says",
    )
    severity: Severity = "error"
    page_newborn: bool = Field(
        True, description="Whether a feature that never was well may page; if not it is a warning"
    )

    @model_validator(mode="after")
    def _window_is_one(self) -> Watched:
        if not 1 <= self.window <= 90 * 86_400:
            raise ValueError(f"window: {self.window:g} s must lie between 1 s and 90 d")
        return self


class Rule(Watched):
    """A condition on a window of one metric."""

    on: str = Field(
        description=(
            "The metric: pass_rate, error_rate, evaluator.NAME.fail_rate, duration_s.p90,"
            " output_tokens.mean, ..."
        )
    )
    above: float | Literal["budget", "baseline"] | None = None
    below: float | Literal["baseline"] | None = None
    clear: float | None = Field(
        None, description="Threshold to come back from; by default the one that fired"
    )

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
        return self

    @property
    def is_rate(self) -> bool:
        """Whether the metric is a share of events, 0 to 1."""
        return self.on.endswith("_rate")

    @property
    def is_learnt(self) -> bool:
        """Whether the threshold is the baseline that softfail learns."""
        return "baseline" in (self.above, self.below)


class Drift(Watched):
    """Distributions that should stay as they were: numbers, categories, texts."""

    on: tuple[Annotated[str, Field(pattern=METRIC.pattern)], ...] | None = Field(
        None,
        min_length=1,
        description=(
            "Statistics: output_tokens, duration_s, finish_reason, response_model, ...; all that are counted"
            " if absent"
        ),
    )
    reference: str = Field(
        "trailing 24h",
        description="trailing 24h, same hours last week, previous prompt version, or pinned NAME",
    )
    effect: float | None = Field(
        None,
        gt=0,
        le=100,
        description=(
            "Least effect: standard deviations (numbers), Jensen-Shannon distance (categories); 0.1 each,"
            " languages 0.3"
        ),
    )
    window: Duration = Field(60.0, description="The least window; up to 2 h are looked at too")
    severity: Severity = "warning"
    for_: Duration = Field(
        0.0, alias="for", ge=0, le=86_400, description="How long it must last before it fires"
    )
    keep_firing_for: Duration = Field(
        600.0, ge=0, le=86_400, description="How long it must be well before it resolves"
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
    """How fast an error budget may be spent: over a long window, and still over a short one."""

    long: Duration = Field(ge=300, le=30 * 86_400, description="1h")
    short: Duration = Field(ge=60, le=3 * 86_400, description="5m; about a twelfth of the long one")
    factor: float = Field(
        gt=0, description="Times as fast as the budget allows: 14.4 spends 2 % of 30 days in an hour"
    )
    severity: Severity

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
"""Long and short window, seconds; the share of the period's budget that is spent when it fires; severity. Google SRE Workbook, chapter 5, table 5-8."""


class Objective(Named):
    """What was promised over a period, watched by burn rates over several windows.

    Source: Google SRE Workbook, chapter 5, "Multiwindow, multi-burn-rate alerts".
    """

    on: str = Field(description="A rate: pass_rate, error_rate, evaluator.NAME.fail_rate")
    target: float = Field(gt=0, lt=1, description="Share that must be good: 0.97")
    period: Duration = Field(30 * 86_400.0, ge=86_400, le=90 * 86_400, description="What the budget is of")
    burn: tuple[Burn, ...] | None = Field(
        None,
        min_length=1,
        description="By default 2 % of the budget in 1h, 5 % in 6h (pages), 10 % in 3d (a ticket)",
    )
    level: Literal["feature", "segment", "both"] = "feature"
    match: str = Field("*", description="service/feature, with * and ?")
    environments: tuple[str, ...] | None = Field(
        None, description="By default all of them; only `production` pages"
    )
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
"""What an empty file gives, beside `no-data`. One of the same name replaces a default; `default_rules: false` drops them all."""


class NoData(Part):
    """The rule on features that have fallen silent. Its severity, or null for never."""

    window: Duration = Field(300.0, ge=1, le=86_400, description="The least silence that counts")
    min_expected: int = Field(
        20,
        ge=1,
        le=10**6,
        description="Events that the past leads one to expect in a silence before it counts",
    )
    severity: Severity | None = "critical"
