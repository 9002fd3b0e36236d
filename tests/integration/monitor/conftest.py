"""A browser."""

from __future__ import annotations

from tests.integration.agents.web.conftest import chromium  # noqa: F401 - a fixture
