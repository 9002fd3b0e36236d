"""The dead man's switch: signs of life to somebody who raises the alarm when they stop, and only while
everything that could page would.

Pure; the wall clock is an argument, and nothing is kept: whoever owns the alerts topic next begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from monitor.channels.alertmanager import Alertmanager
from monitor.channels.interface import CLIENT, Request
from monitor.delivery.outbox import Outbox
from monitor.protocol.metrics import Measure
from monitor.self_health.finding_state import NAMED, TEXT_CHARS
from monitor.self_health.worker_alerts import GAP_US, LEAST_SILENCE_US, HealthDesk
from monitor.wording.number_format import span
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from softfail.sanitize import sanitize

WATCHDOG_S = 60.0  # between two tellings of Alertmanager's watchdog
TIMEOUT_S = 10.0

Why = Literal["behind", "waiting", "no-heartbeat", "channel-down", "refused"]
WHYS: tuple[Why, ...] = ("behind", "waiting", "no-heartbeat", "channel-down", "refused")
Result = Literal["sent", "failed"]
RESULTS: tuple[Result, ...] = ("sent", "failed")


class Withheld(NamedTuple):
    """Nothing is to be sent, and why: in a word of ``WHYS``, and in words."""

    why: Why
    text: str


class Sign(NamedTuple):
    """A sign of life that is due. ``to``: ``url`` or ``alertmanager``."""

    to: str
    request: Request


class DeadMan:
    """Whether all is well, and whom to tell it when. What it knows is what the desk and the outbox know."""

    def __init__(self, config: Config, desk: HealthDesk, outbox: Outbox) -> None:
        self._desk, self._outbox, self._channels = desk, outbox, config.channels.names()
        # as for the finding `no-heartbeat`
        self._patience_us = max(round(config.health.window * 1e6), LEAST_SILENCE_US)
        self._url, settings = config.health.dead_mans_url, config.channels.alertmanager
        self._alertmanager = Alertmanager(config) if settings is not None and settings.watchdog else None
        self._every_us: dict[str, int] = {}
        if self._url is not None:
            self._every_us["url"] = round(config.health.dead_mans_interval * 1e6)
        if self._alertmanager is not None:
            self._every_us["alertmanager"] = round(WATCHDOG_S * 1e6)
        self._asked_us: dict[str, int] = {}
        self._sent_us: dict[str, int] = {}
        self._counts: dict[tuple[str, Result], int] = {
            (to, result): 0 for to in self._every_us for result in RESULTS
        }
        self._withheld: Withheld | None = None
        self._began_us: int | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self._every_us)

    def due(self, now_us: int) -> Withheld | list[Sign]:
        """The signs of life that are due now, each once an interval; or why there are none. ``now_us``: wall
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
            if to not in self._asked_us or not 0 <= now_us - self._asked_us[to] < every_us
        ]
        self._asked_us |= dict.fromkeys(ready, now_us)
        return [Sign(to, self._request(to, now_us)) for to in ready]

    def sent(self, sign: Sign, now_us: int, *, arrived: bool) -> None:
        """What came of a sign. One that did not arrive is followed by the next, an interval later, and
        withholds nothing.
        """
        self._counts[sign.to, "sent" if arrived else "failed"] += 1
        if arrived:
            self._sent_us[sign.to] = now_us

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
        """What is not as it should be, the root of it first."""
        if not 0 <= now_us - self._desk.looked_us <= GAP_US:
            return Withheld("behind", "not all of the alerts topic has been read")
        heard = self._desk.heard()
        if silent := [
            partition
            for partition, at_us in heard.items()
            if not 0 <= now_us - (at_us or began_us) < self._patience_us
        ]:
            return Withheld(
                "no-heartbeat", f"no heartbeat for {span(round(self._patience_us / 1e6))} of {_named(silent)}"
            )
        if missing := [partition for partition, at_us in heard.items() if not at_us]:
            return Withheld("waiting", f"waiting for the first heartbeat of {_named(missing)}")
        if not heard:
            return Withheld("waiting", "waiting for the first heartbeat of any partition")
        for name in self._channels:
            breaker = self._outbox.breaker(name)
            if breaker.open_since_us is not None or self._outbox.is_held(name, now_us):
                return Withheld(
                    "channel-down",
                    sanitize(f"{name} takes nothing: {breaker.reason or 'no answer'}", TEXT_CHARS),
                )
        for name in self._channels:
            if self._outbox.is_refusing(name):
                return Withheld(
                    "refused",
                    sanitize(
                        f"{name} refuses what it is told:"
                        f" {self._outbox.refusals(name)[1] or 'not known why'}",
                        TEXT_CHARS,
                    ),
                )
        return None

    def measures(self) -> Iterator[Measure]:
        """What /metrics shows; nothing where nobody is to be told."""
        if self._began_us is not None:
            for why in WHYS:
                yield Measure(
                    "softfail_dead_man_withheld",
                    (why,),
                    float(self._withheld is not None and self._withheld.why == why),
                )
        for at, count in self._counts.items():
            yield Measure("softfail_dead_man_pings_total", at, count)

    def status(self) -> dict[str, Any] | None:
        """What /api/status shows: why it is withheld, and when a sign arrived last. None where nobody is to
        be told, or before the first look.
        """
        if self._began_us is None:
            return None
        last = {to: rfc3339(self._sent_us[to]) if to in self._sent_us else None for to in self._every_us}
        return {"withheld": self._withheld.text if self._withheld is not None else None, "last": last}


def _named(partitions: Iterable[int]) -> str:
    """Partitions in words.

    >>> _named([3]), _named(range(10))
    ('partition 3', 'partitions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    found = sorted(partitions)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"partition{'s' if len(found) > 1 else ''} {', '.join(map(str, found[:NAMED]))}{more}"
