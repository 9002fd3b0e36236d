"""Provider and model that an episode is attributed to."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """To whom most of what went wrong was sent; a name is empty where it is not known, or where there are
    several.
    """

    provider: str = ""
    model: str = ""


NOWHERE = Origin()
