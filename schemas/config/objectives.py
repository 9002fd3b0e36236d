"""Service level objectives and their burn rates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.config.rules import METRIC, Named, Watched
from schemas.fields import Duration, Part, Severity


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
