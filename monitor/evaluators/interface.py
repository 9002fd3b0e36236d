"""What every evaluator has: a name, a version, parameters, patterns, and a pure answer to one response."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from monitor.evaluators.verdict import Verdict


class Parameters(BaseModel):
    """The parameters of an evaluator: frozen, and an unknown one is an error. This one has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Evaluator:
    """``Response -> Verdict``, pure. One instance serves every event of a feature configuration.

    ``patterns`` are RE2 expressions, name -> pattern. All evaluators' patterns are matched in one pass over
    the output; a call gets the names of its own that occur. They say where a closer look pays, so they must
    match whatever the closer look can find. One that is ``opt_in`` judges only where the configuration names
    it.

    ``reads_text``: whether the verdict needs the text. ``sizes``: fields that answer in its place; an event
    without any of them is judged by its text.

    ``labels`` and ``settled`` say when few values decide a verdict: the suite then asks once and remembers.
    Without them nothing is wrong, only slow. ``labels`` are text fields with few values.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    gating: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False
    sizes: ClassVar[tuple[str, ...]] = ()
    patterns: ClassVar[Mapping[str, str]] = {}
    parameters_model: ClassVar[type[Parameters]] = Parameters
    opt_in: ClassVar[bool] = False
    labels: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = self.parameters_model() if parameters is None else parameters

    def identity(self) -> dict[str, Any]:
        """What makes two evaluators of one name and version different statistics; JSON types only."""
        return {"parameters": self.parameters.model_dump(mode="json"), "patterns": dict(self.patterns)}

    def settled(self, event: Any) -> bool:
        """Whether the verdict, this answer included, is the same on every event that agrees with this one in
        ``labels`` and in having output text or not, as long as no own pattern occurs in the text.
        """
        return False

    def __call__(self, event: Any, hits: Collection[str]) -> Verdict:
        """The verdict on a decoded ``response``; ``hits`` are the names of own patterns found in its output."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")
