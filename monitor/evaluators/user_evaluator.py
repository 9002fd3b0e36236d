"""Evaluators of users: their settings, and an evaluator whose verdicts come from outside.

A process that the caller of the core runs evaluates the responses (``softfail.evaluator_pool``). The core says
which responses an evaluator needs, and gets the verdicts with the records: it starts no process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from monitor.evaluators.interface import Evaluator, Parameters
from monitor.evaluators.verdict import (
    PASSED,
    SKIPPED_ERROR,
    SKIPPED_NO_TEXT,
    State,
    Verdict,
)
from monitor.normal_form.finish_reason import finish_of
from schemas.config.monitor_config import Config
from schemas.fields import Duration
from softfail.evaluator import ModelResponse
from softfail.evaluator import Verdict as UserVerdict
from softfail.evaluator_process import Description, EvaluatorSpec
from softfail.evaluator_runner import CUT_OFF, NO_TIME
from softfail.sampling import hash_to_unit

Verdicts = Mapping[tuple[EvaluatorSpec, bytes], UserVerdict]
"""Evaluator and response, as in ``UserEvaluator.request`` -> verdict."""
Requests = Sequence[tuple[EvaluatorSpec, bytes]]
"""Evaluator and response of each verdict that is wanted."""
Describe = Callable[[EvaluatorSpec], Description]
"""Returns what an evaluator states about itself; raises ``ValueError`` with fault and remedy."""

SKIPPED_UNSAMPLED = Verdict(State.SKIPPED, "not sampled")
UNASKED = frozenset((SKIPPED_UNSAMPLED.reason, CUT_OFF.reason, NO_TIME.reason))
"""Reasons why an evaluator was not asked; they say nothing of the response."""
_NOT_EVALUATED = Verdict(State.ERROR, "nothing here runs the evaluators of users")
_STATES = {state.name.lower(): state for state in State}
UNKNOWN = ""
"""Version of an evaluator that could not be described."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_USE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*|[\w.-]+")
_SALT = b"evaluator"  # the sample must not depend on which events were sent
_FIELDS = tuple(field.name for field in fields(ModelResponse))
_values = attrgetter(*_FIELDS)
_FINISH = _FIELDS.index("finish_reason")


class UserEvaluatorSettings(Parameters):
    """Settings of an evaluator of a user in the configuration."""

    use: str = Field(
        description="`package.module:Name`, or the name of an entry point in `softfail.evaluators`"
    )
    name: str | None = Field(
        None, description="Its name in metrics; by default that of the class or function"
    )
    sample: float = Field(
        1.0, ge=0.001, le=1, description="Share of the responses that it evaluates; they weigh by it"
    )
    timeout: Duration = Field(1.0, ge=0.01, le=10, description="Limit of one response")
    memory: int = Field(1024, ge=128, le=65_536, description="Limit of its process, MB of address space")
    environment: list[str] = Field([], description="Environment variables that its process gets")
    parameters: dict[str, Any] = Field({}, description="Keyword arguments of the class or function")


class UserEvaluator(Evaluator):
    """An evaluator of a user. ``UserSetting.build`` makes a subclass for each, with its name and version.

    Attributes:
        spec: names its process.
        sample: share of responses that it evaluates.
        verdicts: where its verdicts are looked up; set by the suite's caller.
    """

    gating = False
    opt_in = True
    spec: ClassVar[EvaluatorSpec]

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: Verdicts = {}

    def identity(self) -> dict[str, Any]:
        """Return the program and its parameters; limits and sample do not change a verdict."""
        return {"use": self.spec.use, "parameters": self.spec.parameters}

    def depends_only_on_labels(self, event: Any) -> bool:
        """Return whether a response is skipped for what its labels say."""
        return self._unfit(event) is not None

    def request(self, event: Any) -> tuple[EvaluatorSpec, bytes] | None:
        """Return the request for a response in normal form; None if the evaluator skips it."""
        if self._unfit(event) is not None or not self._is_sampled(event):
            return None
        return self.spec, encode(event)

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """Return the verdict that was given."""
        if (unfit := self._unfit(event)) is not None:
            return unfit
        if not self._is_sampled(event):
            return SKIPPED_UNSAMPLED
        verdict = self.verdicts.get((self.spec, encode(event)))
        if verdict is None:
            return _NOT_EVALUATED
        if verdict.state == "passed" and verdict.score is None:
            return PASSED
        return Verdict(_STATES[verdict.state], verdict.reason, verdict.score)

    def _unfit(self, event: Any) -> Verdict | None:
        if event.error_type:
            return SKIPPED_ERROR
        return SKIPPED_NO_TEXT if self.reads_text and not event.output else None

    def _is_sampled(self, event: Any) -> bool:
        return self.sample >= 1 or hash_to_unit(f"{self.name} {event.event_id}", _SALT) < self.sample


@dataclass(frozen=True, slots=True)
class UserSetting:
    """A user's evaluator as configured. ``description``: None until its process has described it."""

    name: str
    spec: EvaluatorSpec
    sample: float = 1.0
    description: Description | None = None

    def build(self, interaction: str | None = None) -> UserEvaluator:
        """Make the evaluator."""
        described = self.description or Description(version=UNKNOWN)
        attributes = {
            "name": self.name,
            "version": described.version,
            "reads_text": described.reads_text,
            "spec": self.spec,
            "sample": self.sample,
        }
        evaluator: UserEvaluator = type("UserEvaluator", (UserEvaluator,), attributes)()
        return evaluator

    def beside(self, folder: Path) -> UserSetting:
        """Return the setting of an evaluator whose module is searched in a folder first."""
        return replace(self, spec=replace(self.spec, paths=(str(folder.resolve()),)))

    def described(self, describe: Describe) -> UserSetting:
        """Return the setting with what the evaluator states.

        Raises:
            ValueError: the evaluator cannot be made.
        """
        return replace(self, description=describe(self.spec))


def user_setting(value: Mapping[str, Any], builtin: Collection[str]) -> UserSetting:
    """Check the settings of a user's evaluator, without importing it.

    Args:
        value: valid ``UserEvaluatorSettings``.
        builtin: names that are taken.

    Raises:
        ValueError: its name or its parameters are invalid.
    """
    settings = UserEvaluatorSettings.model_validate(value)
    if not _USE.fullmatch(settings.use):
        raise ValueError(
            f"use: {settings.use!r:.80} is neither package.module:Name nor the name of an entry point"
        )
    name = settings.name if settings.name is not None else _default_name(settings.use)
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: {name!r:.80} must be letters, digits, _ and -, at most 64; set `name`")
    if name in builtin:
        raise ValueError(f"name: softfail has an evaluator {name!r}; give yours another `name`")
    try:
        parameters = json.dumps(settings.parameters, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"parameters: not JSON: {error}") from None
    spec = EvaluatorSpec(
        settings.use,
        parameters,
        settings.timeout,
        settings.memory,
        environment=tuple(settings.environment),
    )
    return UserSetting(name, spec, settings.sample)


def encode(event: Any) -> bytes:
    """Return a response in normal form as the JSON that a process reads.

    Args:
        event: a decoded response in normal form.
    """
    values = list(_values(event))
    values[_FINISH] = finish_of(values[_FINISH]).value
    response = dict(zip(_FIELDS, values, strict=True))
    try:
        return msgspec.json.encode(response)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry
        return json.dumps(response).encode()


def requests_of(evaluators: Sequence[UserEvaluator], event: Any) -> list[tuple[EvaluatorSpec, bytes]]:
    """Return the requests of several evaluators for one response in normal form."""
    requests = (evaluator.request(event) for evaluator in evaluators)
    return [request for request in requests if request is not None]


def has_user_evaluators(config: Config) -> bool:
    """Return whether any feature uses an evaluator of a user."""
    return any(
        isinstance(value, UserSetting) or (isinstance(value, dict) and "use" in value)
        for feature in config.features
        for value in feature.evaluators or ()
    )


def _default_name(use: str) -> str:
    """Return the name of a class or function in lower case with underscores.

    >>> _default_name("mine.checks:CitesSource"), _default_name("cites-source")
    ('cites_source', 'cites-source')
    """
    name = use.rpartition(":")[2].rpartition(".")[2] if ":" in use else use
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() if ":" in use else name
