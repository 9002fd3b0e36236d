"""Records of the alerts topic as others may write them."""

from __future__ import annotations

import pytest

from monitor.delivery.alert_records import read_alert_record


@pytest.mark.parametrize("kind", ["episode", "silence", "change", "health"])
def test_a_record_that_is_nested_too_deep_is_unreadable_at_every_depth(kind: str) -> None:
    """Python reads some depths that it cannot write again, and what is no ValueError ends the notifier."""
    for depth in (*range(900, 1010), 2_000, 100_000):
        value = b'{"record": "%s", "x": ' % kind.encode() + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(ValueError, match=r"not JSON|: "):
            read_alert_record(value, ())
