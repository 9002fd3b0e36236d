"""Interface of an evaluator: name, version, parameters, patterns, texts, and a pure verdict on a response."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from monitor.evaluators.verdict import Verdict

READ_FAILURES = "Read the failing answers; compare prompt versions and models, roll back a new one."


class Parameters(BaseModel):
    """Base class of the parameters of an evaluator: frozen; unknown parameters are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Evaluator:
    """Judge one response; pure. One instance serves every event of a feature configuration.

    All texts and properties of an evaluator are attributes of its class. A subclass and one
    line in ``monitor.evaluators.EVALUATORS`` are all the code that a new evaluator needs.

    Verdicts:
        gating: whether a failure makes the response fail, unless the configuration says otherwise.
        opt_in: whether it runs only if the configuration names it. Without it the evaluator runs for every
            feature that lists no evaluators.
        reads_text: whether the verdict needs the text.
        sample: share of the responses that it evaluates, (0, 1]; its verdicts weigh by it.
        sizes: fields that replace the text; an event without any of them is judged by its text.
        patterns: name -> RE2 expression. The patterns of all evaluators are matched in one pass over the
            output; a call gets the names of its own patterns that occur. They are a filter before the exact
            check, so they must match every text that the exact check can fail.
        non_ascii_patterns: names of the patterns that match no ASCII text; such texts are not searched for
            them.
        labels, depends_only_on_labels: when few values decide a verdict; the suite then caches it. ``labels``
            are text fields with few values. Without them verdicts are the same, but slower.

    Texts:
        failure_text: completes "23 % of ..." in findings, like "answers refused". Empty: "answers failed the
            evaluator NAME".
        next_step: one line for the person on call.
        failing_example: fields of a response that fails, for the documentation.
        example_parameters: the parameters that the example needs, as the configuration has them.

    Diagnosis, when its failures rise:
        signals_provider_fault: whether the error types of the calls may name the cause.
        signals_loop: whether, together with longer texts, a loop or an injection is likely.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    parameters_model: ClassVar[type[Parameters]] = Parameters

    gating: ClassVar[bool] = True
    opt_in: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    sample: ClassVar[float] = 1.0
    sizes: ClassVar[tuple[str, ...]] = ()
    patterns: ClassVar[Mapping[str, str]] = {}
    non_ascii_patterns: ClassVar[Collection[str]] = frozenset()
    labels: ClassVar[tuple[str, ...]] = ()

    failure_text: ClassVar[str] = ""
    next_step: ClassVar[str] = READ_FAILURES

    failing_example: ClassVar[Mapping[str, Any]] = {}
    example_parameters: ClassVar[Mapping[str, Any]] = {}

    signals_provider_fault: ClassVar[bool] = False
    signals_loop: ClassVar[bool] = False

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = self.parameters_model() if parameters is None else parameters

    @classmethod
    def build(cls, parameters: Parameters, interaction: str | None) -> Self:
        """Make the evaluator of a feature.

        Args:
            parameters: of the class's ``parameters_model``.
            interaction: the feature's: ``sync`` | ``progressive`` | ``async``; None: not configured.
        """
        return cls(parameters)

    def join(self, evaluators: Collection[Evaluator]) -> None:
        """Note the other evaluators of the feature; called once, before the first verdict."""

    def identity(self) -> dict[str, Any]:
        """Return what distinguishes two evaluators of one name and version as statistics; JSON types only."""
        return {"parameters": self.parameters.model_dump(mode="json"), "patterns": dict(self.patterns)}

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether the verdict is the same for all events with the same labels as this event.

        Compared are events that also have, or also lack, output text, and in whose text none of the
        evaluator's own patterns occurs. The result must be the same for all these events, too.
        """
        return False

    def suspects(self, events: Sequence[Any]) -> Sequence[int]:
        """Return the indices of events that may not pass; all others pass. By default all may.

        A filter that reads many events at once, before a call for each. The events are in normal form and have
        the same labels, all of them have an output or all lack it, and none of the evaluator's own patterns
        occurs in it.

        Args:
            events: at least one.
        """
        return range(len(events))

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Judge a decoded ``response``; ``hits`` are the names of own patterns found in its output."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")
