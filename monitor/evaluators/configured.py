"""Parse evaluators of the configuration: ``length``, ``{length: {max_chars: 400}}``, or ``{use: mine:Check}``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from monitor.evaluators import EVALUATORS
from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.user_evaluator import UserEvaluatorSettings, UserSetting, user_setting
from schemas.config.fault_text import plain_text


@dataclass(frozen=True, slots=True)
class EvaluatorSetting:
    """The name of an evaluator and its valid parameters."""

    name: str
    parameters: Parameters

    def build(self, interaction: str | None = None) -> Evaluator:
        """Make the evaluator.

        Args:
            interaction: of the feature's configuration; None: not configured.

        Raises:
            ValueError: the parameters contradict each other.
        """
        return EVALUATORS[self.name].build(self.parameters, interaction)


def parse_setting(value: Any) -> EvaluatorSetting | UserSetting:
    """Parse a value of the configuration: a name, ``{name: {parameter: value}}``, or ``{use: ...}`` for an
    evaluator of a user, which is not imported.

    Raises:
        ValueError: the name or a parameter is unknown, or a value is invalid; the message names what is
            valid.

    >>> parse_setting({"length": {"max_chars": 400}}).parameters.max_chars
    400
    """
    if isinstance(value, EvaluatorSetting | UserSetting):
        return value
    if isinstance(value, dict) and "use" in value:
        return _user_setting(value)
    parameters: Any = {}
    if isinstance(value, str):
        name = value
    elif isinstance(value, dict) and len(value) == 1:
        name, parameters = next(iter(value.items()))
        parameters = {} if parameters is None else parameters
    else:
        raise ValueError(f"an evaluator is a name, or {{name: {{parameter: value}}}}; got {value!r:.80}")
    if name not in EVALUATORS:
        raise ValueError(
            f"evaluator {name!r} is unknown{closest(str(name), EVALUATORS)}; there are"
            f" {', '.join(EVALUATORS)}"
        )
    model = EVALUATORS[name].parameters_model
    if not isinstance(parameters, dict):
        example = next(iter(_names(model)), "parameter")
        raise ValueError(
            f"evaluator {name}: parameters are a mapping, like {{{name}: {{{example}: ...}}}}; got"
            f" {parameters!r:.80}"
        )
    try:
        setting = EvaluatorSetting(name, model.model_validate(parameters))
        setting.build()
    except ValidationError as error:
        raise ValueError(_message(name, model, error)) from None
    except ValueError as error:
        raise ValueError(f"evaluator {name}: {error}") from None
    return setting


def _user_setting(value: dict[Any, Any]) -> UserSetting:
    use = f"use {value['use']!s:.80}"
    try:
        return user_setting(value, EVALUATORS)
    except ValidationError as error:
        raise ValueError(_message(use, UserEvaluatorSettings, error, "key")) from None
    except ValueError as error:
        raise ValueError(f"evaluator {use}: {error}") from None


def closest(name: str, valid_names: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` if a valid name is similar, else an empty string.

    >>> closest("lenght", ["length"])
    "; did you mean 'length'?"
    """
    matches = get_close_matches(name, list(valid_names), 1, 0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _names(model: type[Parameters]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _message(name: str, model: type[Parameters], error: ValidationError, kind: str = "parameter") -> str:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = _names(model)
        valid = f"valid are {', '.join(names)}" if names else "it has none"
        return f"evaluator {name}: {kind} {path!r} is unknown{closest(path, names)}; {valid}"
    message = plain_text(dict(first))
    return f"evaluator {name}: {f'{kind} {path}: ' if path else ''}{message}" + (
        f"; got {first['input']!r:.60}" if path else ""
    )
