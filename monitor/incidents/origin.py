"""The provider and the model that an episode is attributed to."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Provider and model of most of the calls that failed. A name is empty where it is not known, or where
    there are several.
    """

    provider: str = ""
    model: str = ""


NO_ORIGIN = Origin()
