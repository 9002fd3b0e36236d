"""Check that answers follow a JSON Schema."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from pydantic import Field, model_validator

from monitor.evaluators.interface import Parameters
from monitor.evaluators.json_answer import (
    SKIPPED_TOO_LARGE,
    JsonEvaluator,
    JsonParameters,
    JsonSize,
    parse,
)
from monitor.evaluators.verdict import PASSED, State, Verdict, failed

_REASON_CHARS = 300


class JsonSchemaParameters(JsonParameters):
    """Parameters of ``json_schema``: a schema, or a file that the configuration loader replaces by its
    content.
    """

    content: dict[str, Any] | bool | None = Field(
        None, alias="schema", description="The JSON Schema (draft 2020-12 unless `$schema` says otherwise)"
    )  # pydantic has a method named `schema`
    file: str | None = Field(None, description="In place of `schema`: its file, relative to softfail.yaml")

    @model_validator(mode="after")
    def _schema_given(self) -> Self:
        if self.content is None and self.file is not None:
            raise ValueError(
                f"file {self.file!r} has not been read; the configuration's reader must put its content under"
                " `schema`"
            )
        if self.content is None:
            raise ValueError("needs `schema` (a JSON Schema object) or `file` (a path to one)")
        return self


class JsonSchemaEvaluator(JsonEvaluator):
    """Fails when the output is not JSON or violates the schema; the reason names the path.

    Skipped as too large if the answer times the schema could take too long. Runs only where configured.
    """

    name = "json_schema"
    parameters_model = JsonSchemaParameters
    parameters: JsonSchemaParameters
    failure_text = "answers did not fit their JSON schema"
    failing_example = {"output": '{"total": "three"}'}
    example_parameters = {"schema": {"properties": {"total": {"type": "number"}}}}
    next_step = (
        "Hold a failing answer against the schema; compare prompt versions and models, roll back a new one."
    )

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        # imported late: it takes 0.1 s, and few configurations need it
        from monitor.evaluators.json_schema_check import SchemaValidator

        self._schema = SchemaValidator(self.parameters.content)

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Fail with path and keyword of the first violation as reason."""
        verdict, value = parse(event, self.parameters.fenced)
        if verdict.state is not State.PASSED:
            return verdict
        size = JsonSize.measure(event.output)
        if self._schema.too_large(size.values, size.chars, size.large_integers):
            return SKIPPED_TOO_LARGE
        if self._schema.is_valid(value):
            return PASSED
        place, keyword, expected = self._schema.violation(value, size.chars)
        # The reason quotes the schema, never the answer: reasons are stored where answers are not.
        return failed(f"{place}: breaks {keyword}: {expected!r}"[:_REASON_CHARS])
