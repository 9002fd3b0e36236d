"""Dead man's switch: ping a service that raises an alarm when the pings stop. Pings are sent only while
everything that may page works.

Pure; the wall clock is an argument. Nothing is durable: the next owner of the alerts topic begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from monitor.channels.alertmanager import Alertmanager
from monitor.channels.interface import CLIENT, Delivered, Request, is_success
from monitor.delivery.outbox import Outbox
from monitor.protocol.metrics import Measure
from monitor.self_health.finding_state import NAMED, TEXT_CHARS
from monitor.self_health.worker_alerts import GAP_US, LEAST_SILENCE_US, WorkerAlerts
from monitor.wording.number_format import span
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.sanitize import sanitize

WATCHDOG_S = 60.0  # between two pings of Alertmanager's watchdog
TIMEOUT_S = 10.0

Reason = Literal["behind", "waiting", "no-heartbeat", "channel-down", "refused"]
REASONS: tuple[Reason, ...] = ("behind", "waiting", "no-heartbeat", "channel-down", "refused")
Result = Literal["sent", "failed"]
RESULTS: tuple[Result, ...] = ("sent", "failed")


class Withheld(NamedTuple):
    """No ping is to be sent: the reason, and a text for people."""

    reason: Reason
    text: str


class Ping(NamedTuple):
    """A ping that is due. ``to``: ``url`` or ``alertmanager``."""

    to: str
    request: Request


class DeadMansSwitch:
    """Decide whether softfail is healthy, and when to ping whom.

    Args:
        config: the whole configuration.
        worker_alerts: knows the heartbeats.
        outbox: knows the channels.
    """

    def __init__(self, config: Config, worker_alerts: WorkerAlerts, outbox: Outbox) -> None:
        self._worker_alerts, self._outbox, self._channels = worker_alerts, outbox, config.channels.names()
        # as for the finding `no-heartbeat`
        self._patience_us = max(round(config.health.window * 1e6), LEAST_SILENCE_US)
        self._url, settings = config.health.dead_mans_url, config.channels.alertmanager
        self._alertmanager = Alertmanager(config) if settings is not None and settings.watchdog else None
        self._every_us: dict[str, int] = {}
        if self._url is not None:
            self._every_us["url"] = round(config.health.dead_mans_interval * 1e6)
        if self._alertmanager is not None:
            self._every_us["alertmanager"] = round(WATCHDOG_S * 1e6)
        self._tried_us: dict[str, int] = {}
        self._sent_us: dict[str, int] = {}
        self._counts: dict[tuple[str, Result], int] = {
            (to, result): 0 for to in self._every_us for result in RESULTS
        }
        self._withheld: Withheld | None = None
        self._began_us: int | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be pinged."""
        return bool(self._every_us)

    def due(self, now_us: int) -> Withheld | list[Ping]:
        """Return the pings that are due now, each once an interval, or why there are none. ``now_us``: wall
        clock, microseconds since 1970.
        """
        if self._began_us is None or now_us < self._began_us:
            self._began_us = now_us
        self._withheld = self._fault(now_us, self._began_us)
        if self._withheld is not None:
            return self._withheld
        ready = [
            to
            for to, every_us in self._every_us.items()
            if to not in self._tried_us or not 0 <= now_us - self._tried_us[to] < every_us
        ]
        self._tried_us |= dict.fromkeys(ready, now_us)
        return [Ping(to, self._request(to, now_us)) for to in ready]

    def is_arrived(self, ping: Ping, status: int | None, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether an answer confirms a ping: of an address any 2xx, of Alertmanager its own answer."""
        if ping.to == "alertmanager" and self._alertmanager is not None:
            return isinstance(self._alertmanager.interpret(status, headers, body, 0), Delivered)
        return status is not None and is_success(status, body)

    def sent(self, ping: Ping, now_us: int, *, arrived: bool) -> None:
        """Note whether a ping arrived. The next follows an interval later, also if it did not."""
        self._counts[ping.to, "sent" if arrived else "failed"] += 1
        if arrived:
            self._sent_us[ping.to] = now_us

    def _request(self, to: str, now_us: int) -> Request:
        if to == "alertmanager" and self._alertmanager is not None:
            request = self._alertmanager.watchdog(now_us)
            return replace(request, timeout_s=min(TIMEOUT_S, request.timeout_s))
        assert self._url is not None
        return Request(
            "GET",
            "dead-man/url",
            self._url.get_secret_value(),
            (("User-Agent", CLIENT),),
            timeout_s=TIMEOUT_S,
        )

    def _fault(self, now_us: int, began_us: int) -> Withheld | None:
        """Return what is wrong, the root cause first; None if nothing is."""
        if not 0 <= now_us - self._worker_alerts.evaluated_us <= GAP_US:
            return Withheld("behind", "not all of the alerts topic has been read")
        return self._heartbeat_fault(now_us, began_us) or self._channel_fault(now_us)

    def _heartbeat_fault(self, now_us: int, began_us: int) -> Withheld | None:
        heartbeats = self._worker_alerts.last_heartbeats()
        silent = [
            partition
            for partition, heard_us in heartbeats.items()
            if not 0 <= now_us - (heard_us or began_us) < self._patience_us
        ]
        if silent:
            text = f"no heartbeat for {span(round(self._patience_us / 1e6))} of {_partitions_text(silent)}"
            return Withheld("no-heartbeat", text)
        if missing := [partition for partition, heard_us in heartbeats.items() if not heard_us]:
            return Withheld("waiting", f"waiting for the first heartbeat of {_partitions_text(missing)}")
        if not heartbeats:
            return Withheld("waiting", "waiting for the first heartbeat of any partition")
        return None

    def _channel_fault(self, now_us: int) -> Withheld | None:
        for channel in self._channels:
            breaker = self._outbox.breaker(channel)
            if breaker.open_since_us is not None or self._outbox.is_paused(channel, now_us):
                text = f"{channel} takes nothing: {breaker.reason or 'no answer'}"
                return Withheld("channel-down", sanitize(text, TEXT_CHARS))
        for channel in self._channels:
            if self._outbox.is_refusing(channel):
                why = self._outbox.refusals(channel)[1] or "not known why"
                return Withheld("refused", sanitize(f"{channel} refuses what it is told: {why}", TEXT_CHARS))
        return None

    def measures(self) -> Iterator[Measure]:
        """Yield the values for /metrics; none where no ping is configured."""
        if self._began_us is not None:
            for reason in REASONS:
                is_reason = self._withheld is not None and self._withheld.reason == reason
                yield Measure("softfail_dead_man_withheld", (reason,), float(is_reason))
        for labels, count in self._counts.items():
            yield Measure("softfail_dead_man_pings_total", labels, count)

    def status(self) -> dict[str, Any] | None:
        """Return what /api/status shows: why pings are withheld, and when the last ones arrived. None where
        nobody is to be pinged, or before the first call of ``due``.
        """
        if self._began_us is None:
            return None
        last = {to: rfc3339(self._sent_us[to]) if to in self._sent_us else None for to in self._every_us}
        return {"withheld": self._withheld.text if self._withheld is not None else None, "last": last}


def _partitions_text(partitions: Iterable[int]) -> str:
    """Name partitions.

    >>> _partitions_text([3]), _partitions_text(range(10))
    ('partition 3', 'partitions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    numbers = sorted(partitions)
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:NAMED]))}{more}"
