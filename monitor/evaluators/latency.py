"""Check the duration of a call against a latency budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.verdict import State, Verdict, failed, skipped

_NO_INTERACTION = skipped("neither the event nor the configuration names an interaction")
_UNKNOWN = skipped("no duration")
_PASSED = State.PASSED
Budget = Annotated[float, Field(gt=0)]


class LatencyParameters(Parameters):
    """Latency budgets, seconds."""

    sync_s: Budget = Field(1.0, description="Budget of a `sync` call")
    first_token_s: Budget = Field(0.5, description="Budget of the first token of a `progressive` call")
    progressive_s: Budget = Field(5.0, description="Budget of a `progressive` call")
    async_s: Budget = Field(20.0, description="Budget of an `async` call")

    def budget_s(self, quantity: str, interaction: str | None) -> float | None:
        """Return the budget of a quantity (``duration_s`` or ``time_to_first_token_s``), seconds; None where
        the interaction has none.
        """
        if quantity == "time_to_first_token_s":
            return self.first_token_s if interaction == "progressive" else None
        budgets_s = {"sync": self.sync_s, "progressive": self.progressive_s, "async": self.async_s}
        return budgets_s.get(interaction or "")


class LatencyEvaluator(Evaluator):
    """Fails when the call took longer than the budget of its interaction. Informative; the score is the
    duration in seconds.

    The interaction is that of the event, else that of the configuration; skipped without either.
    """

    name = "latency"
    labels = ("interaction",)
    gating = False
    parameters_model = LatencyParameters
    parameters: LatencyParameters
    failure_text = "calls exceeded their latency budget"
    failing_example = {"duration_s": 1.4, "interaction": "sync"}
    next_step = (
        "Look at the provider's status page, then at which stage of a call is slow and whether texts grew."
    )

    def __init__(self, parameters: Parameters | None = None, interaction: str | None = None) -> None:
        super().__init__(parameters)
        self._interaction = interaction
        self._duration_budgets = {
            "sync": self.parameters.sync_s,
            "progressive": self.parameters.progressive_s,
            "async": self.parameters.async_s,
        }
        self._first_token_budget = self.parameters.first_token_s

    @classmethod
    def build(cls, parameters: Parameters, interaction: str | None) -> Self:
        """Make the evaluator with the feature's interaction, for events without one."""
        return cls(parameters, interaction)

    def identity(self) -> dict[str, Any]:
        """Include the configured interaction, which selects the budget."""
        return {**super().identity(), "interaction": self._interaction}

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether there is no interaction, and so no budget."""
        return event.interaction is None and self._interaction is None

    def suspects(self, events: Sequence[Any]) -> Sequence[int]:
        """Return those without a duration or over budget."""
        interaction = events[0].interaction or self._interaction
        if interaction is None or interaction == "progressive":
            return range(len(events))
        budget = self._duration_budgets[interaction]
        return [
            index
            for index, event in enumerate(events)
            if (duration := event.duration_s) is None or duration > budget
        ]

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail if over budget; the reason has duration and budget."""
        interaction = event.interaction or self._interaction
        if interaction is None:
            return _NO_INTERACTION
        duration, first = event.duration_s, event.time_to_first_token_s
        if interaction == "progressive" and first is not None and first > self._first_token_budget:
            return failed(f"first token after {first:.3g} s, budget {self._first_token_budget:g} s", duration)
        if duration is None:
            return _UNKNOWN
        budget = self._duration_budgets[interaction]
        if duration > budget:
            return failed(f"{duration:.3g} s, budget {budget:g} s ({interaction})", duration)
        return Verdict(_PASSED, "", duration)
