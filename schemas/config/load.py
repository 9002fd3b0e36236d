"""Read softfail.yaml and the environment into a validated ``Config``."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from schemas.bounded_file import read_bounded
from schemas.config.connections import OPEN_TOKEN
from schemas.config.fault_text import faults_in
from schemas.config.monitor_config import Config
from schemas.config.yaml_text import MAX_BYTES, YamlLimitExceeded, read_yaml
from schemas.judge_files import inline_judges
from schemas.pin_file import inline_pins

_PREFIX = "SOFTFAIL_"
MAX_SCHEMA_BYTES = 16 << 20
"""Of a JSON Schema file; its subschemas are limited, too."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRETS = {"routing_key", "password", "key_password", "token", "secret", "webhook_url", "dead_mans_url"}
_STAND_INS: dict[str, dict[str, Any]] = {
    "features": {},
    "rules": {"name": "invalid", "on": "error_rate", "above": 0.5},
    "drift": {"name": "invalid"},
    "objectives": {"name": "invalid", "on": "pass_rate", "target": 0.5},
    "gates": {"name": "invalid", "feature": "invalid/invalid"},
}
"""Valid entries that take the place of invalid ones."""
_MAY_BE_SECRET = re.compile(
    r"channels\.webhook\.(url|headers\..*)"
)  # a secret in some configurations, so it may be written in the file


class InvalidConfig(ValueError):
    """Raised for an invalid configuration.

    ``faults``: one line each, with path, fault and remedy. ``valid_part``: the sections without a fault; None
    if the file could not be read.
    """

    def __init__(self, faults: list[str], valid_part: Config | None = None) -> None:
        super().__init__("\n".join(faults))
        self.faults, self.valid_part = faults, valid_part


def load(
    path: Path | None,
    environment: Mapping[str, str] | None = None,
    *,
    with_secrets: bool | str = True,
    with_pins: bool = True,
) -> Config:
    """Read a configuration file, apply the environment to it, and validate all of it.

    `SOFTFAIL_KAFKA__BROKERS=host:9092` overrides `kafka.brokers`. Two underscores separate the keys, list
    items are numbers, values are YAML. The file contains secrets only as `${NAME}`; their values come from
    the environment.

    Args:
        path: the file; None: an empty file.
        environment: variables; None: those of the process.
        with_secrets: whether the secrets must be set. False, for commands that deliver nothing: a secret that
            is not set is replaced by a valid placeholder. The name of a section: only its secrets must be
            set.
        with_pins: whether to read the files under `pinned`, and calibrations of judges. False, for the commands
            that write them.

    Raises:
        InvalidConfig: with all faults.
    """
    environment = os.environ if environment is None else environment
    tree = _read(path) if path else {}
    faults: list[str] = []
    _overlay(tree, environment, faults)
    unset = _Unset(environment)
    tree = {
        name: _filled(part, environment if with_secrets in (True, name) else unset, str(name), faults)
        for name, part in tree.items()
    }
    if not faults:
        _inline_schemas(tree, path.parent if path else Path(), faults)
        inline_judges(tree, path.parent if path else Path(), faults, with_calibration=with_pins)
        if with_pins:
            inline_pins(tree, path.parent if path else Path(), faults)
    config = None
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        faults += faults_in([dict(detail) for detail in error.errors(include_url=False)], Config, _is_secret)
    if faults or config is None:
        raise InvalidConfig(list(dict.fromkeys(faults)), _valid_part(tree))
    return config


class _Unset(dict[str, str]):
    """An environment that gives secrets that are not set a valid placeholder."""

    @staticmethod
    def placeholder(leaf: str) -> str:
        """Return a placeholder that is valid under this key."""
        return "https://host.invalid/0" if leaf in ("url", "webhook_url", "dead_mans_url") else "0" * 32


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            tree = read_yaml(file.read(MAX_BYTES + 1).decode("utf-8"))
    except OSError as error:
        raise InvalidConfig([f"{path}: cannot be read: {error.strerror}"]) from None
    except yaml.MarkedYAMLError as error:  # its text quotes the line, which may contain a secret
        position = (
            f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: "
            if error.problem_mark
            else ""
        )
        raise InvalidConfig([f"{path}: not YAML: {position}{error.problem or error.context}"]) from None
    except YamlLimitExceeded as error:
        raise InvalidConfig([f"{path}: {error}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise InvalidConfig([f"{path}: not YAML: {' '.join(str(error).split())}"]) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InvalidConfig([f"{path}: must be a mapping (key: value), not a {type(tree).__name__}"])
    return tree


def _overlay(tree: dict[str, Any], environment: Mapping[str, str], faults: list[str]) -> None:
    for name in sorted(environment):
        if not name.startswith(_PREFIX):
            continue
        steps = name[len(_PREFIX) :].lower().split("__")
        if steps[0] not in Config.model_fields:
            if len(steps) > 1:
                close = difflib.get_close_matches(steps[0], Config.model_fields, 1)
                faults.append(
                    f"{name} (environment): {steps[0]!r} is not a section of the configuration"
                    + (f"; did you mean {close[0]!r}?" if close else "")
                )
            continue
        try:
            value = read_yaml(environment[name])
        except (yaml.YAMLError, ValueError):
            value = environment[name]
        if steps[-1] in _SECRETS:
            value = environment[name]  # as text: YAML would read 0123 as a number
        try:
            _put(tree, steps, value)
        except (TypeError, IndexError, ValueError):
            faults.append(f"{name} (environment): {'.'.join(steps)} does not fit the structure of the file")


def _put(tree: Any, steps: list[str], value: Any) -> None:
    path: list[Any] = [int(step) if step.isdigit() else step for step in steps]
    *parents, last = path
    for step in parents:
        if isinstance(tree, list):
            tree = tree[int(step)]
        else:
            if tree.get(step) is None:
                tree[step] = {}
            tree = tree[step]
    if isinstance(tree, list) and last == len(tree):
        tree.append(value)
    elif isinstance(tree, list | dict):
        tree[last] = value
    else:
        raise TypeError


def _filled(value: Any, environment: Mapping[str, str], path: str, faults: list[str]) -> Any:
    """Return the tree with `${NAME}` replaced; report secrets that are written in the file."""
    if isinstance(value, dict):
        return {
            key: _filled(item, environment, f"{path}.{key}" if path else str(key), faults)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_filled(item, environment, f"{path}[{index}]", faults) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    leaf = path.rsplit(".", 1)[-1]
    from_environment = f"{_PREFIX}{path.replace('.', '__').upper()}" in environment
    is_off = path == "http.token" and value == OPEN_TOKEN
    if leaf in _SECRETS and not _VARIABLE.fullmatch(value) and not from_environment and not is_off:
        faults.append(
            f"{path}: the file contains a secret; move it to the environment and write ${{NAME}} here"
        )
        return value

    def variable(match: re.Match[str]) -> str:
        if (leaf in _SECRETS or _MAY_BE_SECRET.fullmatch(path)) and isinstance(environment, _Unset):
            return environment.get(match[1], _Unset.placeholder(leaf))
        if match[1] not in environment:
            faults.append(f"{path}: the environment has no variable {match[1]}; set it")
        return environment.get(match[1], "")

    return _VARIABLE.sub(variable, value)


def _inline_schemas(tree: dict[str, Any], folder: Path, faults: list[str]) -> None:
    """Read the JSON Schema files that evaluators name into the tree, so that the core reads no files."""
    features = tree.get("features")
    for feature_index, feature in enumerate(features if isinstance(features, list) else ()):
        evaluators = feature.get("evaluators") if isinstance(feature, dict) else None
        for evaluator_index, setting in enumerate(evaluators if isinstance(evaluators, list) else ()):
            for parameters in setting.values() if isinstance(setting, dict) else ():
                if isinstance(parameters, dict) and isinstance(file := parameters.get("file"), str):
                    try:
                        parameters["schema"] = json.loads(read_bounded(folder / file, MAX_SCHEMA_BYTES))
                        del parameters["file"]
                    except OSError as error:
                        faults.append(
                            f"features[{feature_index}].evaluators[{evaluator_index}].file: {file} cannot "
                            f"be read:"
                            f" {error.strerror}"
                        )
                    except (ValueError, RecursionError) as error:
                        faults.append(
                            f"features[{feature_index}].evaluators[{evaluator_index}].file: {file} is not "
                            f"JSON:"
                            f" {error}"
                        )


def unset_variables(path: Path, environment: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the path and the variable of each ``${NAME}`` in a file that the environment does not have. A key
    that the environment overrides needs none.

    Raises:
        InvalidConfig: the file cannot be read.
    """
    environment = os.environ if environment is None else environment
    unset: list[tuple[str, str]] = []

    def visit(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{place}.{key}" if place else str(key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                visit(item, f"{place}[{index}]")
        elif isinstance(value, str):
            steps = re.sub(r"[.\[]+", "__", place).replace("]", "")
            if f"{_PREFIX}{steps.upper()}" not in environment:
                unset.extend((place, name) for name in _VARIABLE.findall(value) if name not in environment)

    visit(_read(path), "")
    return unset


def _valid_part(tree: Mapping[str, Any]) -> Config:
    """Return the sections and list entries that are valid, so that the others do not hide their faults.

    An invalid entry is replaced, so that the others keep their index.
    """
    parts: dict[str, Any] = {}
    for name, value in tree.items():
        field = Config.model_fields.get(name)
        if field is None or field.annotation is None:
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(field.annotation)
        stand_in = _STAND_INS.get(name)
        if stand_in is not None and isinstance(value, list):
            value = [_valid_entry(adapter, entry, stand_in) for entry in value]
        with contextlib.suppress(ValidationError):
            parts[name] = adapter.validate_python(value)
    return Config.model_construct(**parts)


def _valid_entry(adapter: TypeAdapter[Any], entry: Any, stand_in: dict[str, Any]) -> Any:
    """Return an entry of a list without its invalid keys; the stand-in if that is not enough."""
    for _ in range(2):
        try:
            adapter.validate_python([entry])
        except ValidationError as error:
            invalid = {detail["loc"][1] for detail in error.errors() if len(detail["loc"]) > 1}
            if not isinstance(entry, dict):
                break
            entry = stand_in | {key: value for key, value in entry.items() if key not in invalid}
        else:
            return entry
    return stand_in


def _is_secret(path: str) -> bool:
    return path.rsplit(".", 1)[-1] in _SECRETS or bool(_MAY_BE_SECRET.fullmatch(path))
