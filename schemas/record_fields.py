"""Base classes of records: frozen models, and the labels of a segment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Written(BaseModel):
    """A record that softfail writes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Labels(Written):
    """A segment; at feature level all but the first three are empty."""

    level: Literal["segment", "feature"]
    service: str
    feature: str
    environment: str
    model: str = ""
    prompt_version: str = ""
    variant: str = ""
    dimensions: dict[str, str] = {}
