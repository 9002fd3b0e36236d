"""An evaluator as the configuration names it: ``length``, or ``{length: {max_chars: 400}}``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator, Parameters


@dataclass(frozen=True, slots=True)
class EvaluatorSetting:
    """A known evaluator with valid parameters."""

    name: str
    parameters: Parameters

    def build(self, interaction: str | None = None) -> Evaluator:
        """The evaluator. ``interaction`` is that of the feature's configuration.

        Raises:
            ValueError: the parameters cannot be used together.
        """
        return EVALUATORS[self.name].build(self.parameters, interaction)


def parse_setting(value: Any) -> EvaluatorSetting:
    """A setting from the configuration's value, a name or ``{name: {parameter: value}}``.

    Raises:
        ValueError: the name or a parameter is not known, or a value is not valid; the message names it and
            says what is.

    >>> parse_setting({"length": {"max_chars": 400}}).parameters.max_chars
    400
    """
    if isinstance(value, EvaluatorSetting):
        return value
    given: Any = {}
    if isinstance(value, str):
        name = value
    elif isinstance(value, dict) and len(value) == 1:
        name, given = next(iter(value.items()))
        given = {} if given is None else given
    else:
        raise ValueError(f"an evaluator is a name, or one {{name: {{parameter: value}}}}; got {value!r:.80}")
    if name not in EVALUATORS:
        raise ValueError(
            f"evaluator {name!r} is not known{closest(str(name), EVALUATORS)}; known are"
            f" {', '.join(EVALUATORS)}"
        )
    model = EVALUATORS[name].parameters_model
    if not isinstance(given, dict):
        example = next(iter(_names(model)), "parameter")
        raise ValueError(
            f"evaluator {name}: parameters are a mapping, like {{{name}: {{{example}: ...}}}}; got"
            f" {given!r:.80}"
        )
    try:
        setting = EvaluatorSetting(name, model.model_validate(given))
        setting.build()
    except ValidationError as error:
        raise ValueError(_explained(name, model, error)) from None
    except ValueError as error:
        raise ValueError(f"evaluator {name}: {error}") from None
    return setting


def closest(name: str, known: Iterable[str]) -> str:
    """``; did you mean ...?`` when one of the known names is near, else nothing.

    >>> closest("lenght", ["length"])
    "; did you mean 'length'?"
    """
    near = get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _names(model: type[Parameters]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _explained(name: str, model: type[Parameters], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = _names(model)
        valid = f"valid are {', '.join(names)}" if names else "it has none"
        return f"evaluator {name}: parameter {path!r} is not known{closest(path, names)}; {valid}"
    message = first["msg"].removeprefix("Value error, ")
    return f"evaluator {name}: {f'parameter {path}: ' if path else ''}{message}" + (
        f"; got {first['input']!r:.60}" if path else ""
    )
