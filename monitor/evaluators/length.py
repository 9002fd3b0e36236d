"""Check the length of answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.verdict import SKIPPED_ERROR, State, Verdict, failed, skipped

_NO_LIMIT = skipped("neither min_chars nor max_chars is configured")
_UNKNOWN = skipped("neither output_chars nor output text")


class LengthParameters(Parameters):
    """Bounds of the length of an answer, inclusive."""

    min_chars: Annotated[int, Field(ge=0)] | None = Field(None, description="Fewest characters that pass")
    max_chars: Annotated[int, Field(ge=0)] | None = Field(None, description="Most characters that pass")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_chars is not None and self.max_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self


class LengthEvaluator(Evaluator):
    """Fails outside of ``min_chars`` to ``max_chars``; skipped without either. Informative; the score is the
    length. Thoughts do not count.
    """

    name = "length"
    version = "2"
    sizes = ("output_chars",)
    labels = ("error_type",)
    gating = False
    parameters_model = LengthParameters
    parameters: LengthParameters
    failure_text = "answers had an unusual length"
    failing_example = {"output": "Yes."}
    example_parameters = {"min_chars": 20}

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        self._least, self._most = self.parameters.min_chars, self.parameters.max_chars

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether no limit is configured or the call failed."""
        return bool(event.error_type) or (self._least is None and self._most is None)

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail if the output is too short or too long, in characters."""
        least, most = self._least, self._most
        if least is None and most is None:
            return _NO_LIMIT
        if event.error_type:
            return SKIPPED_ERROR
        size = event.output_chars
        if size is None:
            if event.output is None:
                return _UNKNOWN
            size = len(event.output)
        if least is not None and size < least:
            return failed(f"{size} characters, under {least}", float(size))
        if most is not None and size > most:
            return failed(f"{size} characters, over {most}", float(size))
        return Verdict(State.PASSED, "", float(size))
