"""A random secret of a worker: the same for its life, restarts included."""

from __future__ import annotations

import os
import secrets

_SECRET = "_SOFTFAIL_SESSION"  # not SOFTFAIL_...: those are configuration


def session_secret() -> str:
    """Return the secret; the first call makes it. Processes that are started later inherit it."""
    return os.environ.setdefault(_SECRET, secrets.token_urlsafe(24))
