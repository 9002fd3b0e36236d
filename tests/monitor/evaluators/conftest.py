from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.event_decoder import STRUCTS


@pytest.fixture(scope="session")
def response():
    """A function from fields to a decoded response."""

    def build(**fields):
        required = {
            "event_id": "1",
            "time": datetime(2026, 3, 2, 9, tzinfo=UTC),
            "service": "s",
            "feature": "f",
            "model": "m",
        }
        return STRUCTS["response"](**{**required, **fields})

    return build
