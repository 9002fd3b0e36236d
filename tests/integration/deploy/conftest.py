"""Programs of Debian's prometheus."""

from __future__ import annotations

import shutil

import pytest

from tests.tiers import missing_service

LACK = "needs Debian's prometheus: apt-get install prometheus"


@pytest.fixture(scope="session")
def prometheus() -> str:
    """The server."""
    return shutil.which("prometheus") or missing_service(LACK)


@pytest.fixture(scope="session")
def promtool() -> str:
    """The checker of rules."""
    return shutil.which("promtool") or missing_service(LACK)
