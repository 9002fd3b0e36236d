"""Settings by feature: how its events are evaluated, and where its episodes go."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.fields import Part, Severity


class Feature(Part):
    """Settings of the features that match. The order matters: the first entry that matches a feature is the
    only one that applies to it, so put the specific ones first.
    """

    match: str = Field("*", description="`service/feature`, with * and ?")
    interaction: Literal["sync", "progressive", "async"] | None = Field(
        None,
        description=(
            "Who waits for the answer; decides the latency budget: `sync` 1 s, `progressive` 0.5 s to the "
            "first"
            " token and 5 s in all, `async` 20 s"
        ),
    )
    dimensions: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (), max_length=8, description="Dimensions of the events that become labels of segments"
    )
    evaluators: tuple[str | dict[str, Any], ...] | None = Field(
        None,
        description="Names, `name: {parameters}`, or `use: package.module:Name` for your own; `defaults`"
        " stands for all that need no parameters, and is the default",
    )
    gating: dict[str, bool] = Field(
        {},
        description="Evaluator -> whether its failures make a response fail, where that differs from its "
        "default",
    )


class Route(Part):
    """A route from episodes to channels. The first route that matches an episode is the only one it takes."""

    severity: tuple[Severity, ...] = Field(
        ("critical", "error", "warning", "info"), description="Severities of the episodes"
    )
    environment: str = Field("*", description="Environment of the episodes, with * and ?")
    match: str = Field("*", description="`service/feature` of the episodes, with * and ?")
    to: tuple[str, ...] = Field(description="Names of channels")


ANY_FEATURE = Feature()
