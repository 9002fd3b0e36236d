"""Count what came of the deliveries of episodes; the counts survive restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from monitor.protocol.metrics import Measure

STATE_KEY = b"counts"

Outcome = Literal["delivered", "retried", "refused", "silenced"]
_UNREADABLE = ""  # counts stand by channel; no channel has this name


class DeliveryCounts:
    """Outcomes of deliveries by channel, and records that could not be read.

    ``channels``: those that are configured.
    """

    def __init__(self, channels: Sequence[str] = ()) -> None:
        self._channels = channels
        self.by_channel: dict[str, dict[str, int]] = {}
        self._is_changed = False

    def add(self, channel: str, outcome: Outcome) -> None:
        """Count an outcome."""
        outcomes = self.by_channel.setdefault(channel, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self._is_changed = True

    def add_unreadable(self) -> None:
        """Count a record of the alerts topic that could not be read."""
        self.add(_UNREADABLE, "refused")

    def refused(self, channel: str) -> int:
        """Return how many steps a channel has ever refused."""
        return self.by_channel.get(channel, {}).get("refused", 0)

    def measures(self) -> Iterator[Measure]:
        """Yield the counters for /metrics, also those that are 0."""
        zeros = dict.fromkeys(get_args(Outcome), 0)
        all_counts = dict.fromkeys(self._channels, zeros) | {_UNREADABLE: {"refused": 0}}
        for channel, outcomes in self.by_channel.items():
            all_counts[channel] = all_counts.get(channel, {}) | outcomes
        for channel, outcomes in sorted(all_counts.items()):
            for outcome, count in sorted(outcomes.items()):
                if channel == _UNREADABLE:
                    yield Measure("softfail_dead_letters_total", ("alert",), count)
                elif outcome == "silenced":
                    yield Measure("softfail_deliveries_silenced_total", (channel,), count)
                else:
                    yield Measure("softfail_deliveries_total", (channel, outcome), count)

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state record if it differs since the last call."""
        is_changed, self._is_changed = self._is_changed, False
        return [(STATE_KEY, json.dumps(self.by_channel, sort_keys=True).encode())] if is_changed else []

    def restore(self, value: bytes | None) -> None:
        """Take back the state record.

        Raises:
            ValueError, TypeError, AttributeError: it cannot be read.
        """
        counts = json.loads(value or b"{}").items()
        self.by_channel = {str(channel): dict(outcomes) for channel, outcomes in counts}
