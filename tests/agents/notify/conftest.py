"""Episodes of the current time, and no proxy between a channel and its receiver."""

from __future__ import annotations

import time

import pytest


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def recent(episode_of, nine_us):
    """Make episodes of the current time."""
    minutes = (time.time_ns() // 1000 - nine_us) / 60e6
    return lambda *args, **more: episode_of(*args, minute=minutes, **more)
