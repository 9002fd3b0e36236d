"""Interface of an evaluator: name, version, parameters, patterns, words, and a pure verdict on a response."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from monitor.evaluators.verdict import Verdict

READ_FAILURES = "Read the failing answers; compare prompt versions and models, roll back a new one."


class Parameters(BaseModel):
    """Parameters of an evaluator: frozen, and an unknown one is an error. This one has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Evaluator:
    """Judge one response; pure. One instance serves every event of a feature configuration.

    Everything that the product says or assumes about an evaluator stands on its class. A subclass and one
    line in ``monitor.evaluators.EVALUATORS`` are all that a new evaluator needs.

    What it judges:
        gating: whether a failure makes the response fail, unless the configuration says otherwise.
        opt_in: judge only where the configuration names it.
        reads_text: whether the verdict needs the text.
        sizes: fields that answer in place of the text; an event without any of them is judged by its text.
        patterns: name -> RE2 expression. The patterns of all evaluators are matched in one pass over the
            output; a call gets the names of its own that occur. They say where a closer look pays, so they
            must match whatever the closer look can find.
        labels, depends_only_on_labels: say when few values decide a verdict; the suite then caches it.
            ``labels`` are text fields with few values. Without them nothing is wrong, only slow.

    What is said of it:
        failure_text: completes "23 % of ..." in findings, like "answers refused". Empty: "answers failed the
            evaluator NAME".
        next_step: one line for whoever was paged.
        failing_example: fields of a response that fails, for the documents.
        example_parameters: the parameters that the example needs, as the configuration has them.

    What a rise of its failures means to diagnosis:
        signals_provider_fault: the error types of the calls are looked at for a cause.
        signals_loop: together with longer texts it points at a loop or an injection.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    parameters_model: ClassVar[type[Parameters]] = Parameters

    gating: ClassVar[bool] = True
    opt_in: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    sizes: ClassVar[tuple[str, ...]] = ()
    patterns: ClassVar[Mapping[str, str]] = {}
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

    def identity(self) -> dict[str, Any]:
        """Return what makes two evaluators of one name and version different statistics; JSON types only."""
        return {"parameters": self.parameters.model_dump(mode="json"), "patterns": dict(self.patterns)}

    def depends_only_on_labels(self, event: Any) -> bool:
        """Whether the verdict, and this answer, is the same on every event that agrees with this one in
        ``labels`` and in having output text or not, as long as no own pattern occurs in the text.
        """
        return False

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Judge a decoded ``response``; ``hits`` are the names of own patterns found in its output."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")
