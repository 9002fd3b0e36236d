"""The worker of ``tests/agents/web``, and a browser."""

from __future__ import annotations

import shutil

import pytest

from tests.agents.web.conftest import realistic_worker  # noqa: F401 - a fixture
from tests.tiers import missing_service


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium."""
    return shutil.which("chromium") or missing_service("needs Debian's chromium: apt-get install chromium")
