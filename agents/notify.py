"""The notify agent: deliver what is due in the outbox. Each channel has a task, so that a slow one delays no
other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from agents.notify_http import deliver, post, session_of
from agents.runtime.clock import wall_clock_us
from agents.runtime.partition import Partition
from monitor.channels import change_channels, configured
from monitor.channels.interface import (
    ChangeChannel,
    ChangeStep,
    Channel,
    Delivered,
    DeliveryResult,
    Permanent,
    Retry,
    Step,
)
from monitor.delivery.outbox import Outbox
from monitor.notifier import Notifier
from monitor.protocol.messages import Outputs
from monitor.self_health.dead_mans_switch import DeadMansSwitch, Ping, Withheld
from schemas.config.monitor_config import Config

log = logging.getLogger("softfail.notify")
HEALTH_S = 2.0  # between two checks of softfail's own health
DEAD_MAN_S = 1.0  # between two checks whether a sign of life is due
POLL_S = 0.5  # between two looks at the outbox without a change: deliveries also fall due by the clock
CHANGES_S = 0.5  # between two looks for a change to deliver


class NotifyAgent:
    """Reads the alerts topic, keeps an outbox and delivers to the channels."""

    name = "notify"
    source = "alerts"

    def __init__(self, config: Config) -> None:
        self._config = config
        self._channels = configured(config)

    def core(self, partition: int, partitions: int) -> Notifier:
        """Make the core. The alerts topic has one partition (more in the embedded broker, all empty)."""
        del partitions
        return Notifier(self._config, partition)

    async def tend(self, partition: Partition) -> None:
        """Deliver while the partition is owned, once everything is read: a resolved episode must not page."""
        while not partition.caught_up:  # noqa: ASYNC110 - no event announces when it becomes true
            await asyncio.sleep(0.05)
        # pages are rare: a kept connection would be stale
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            session_of(connector) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_check_health(partition))
            if (switch := _core(partition).dead_mans_switch) is not None and switch.is_wanted:
                group.create_task(_send_life_signs(switch, session))
            for channel in self._channels.values():
                group.create_task(_send_episodes(channel, partition, session))
            for change_channel in change_channels(self._config).values():
                group.create_task(_send_changes(change_channel, partition, session))


def _core(partition: Partition) -> Notifier:
    core = partition.core
    assert isinstance(core, Notifier)
    return core


def _headline(episode: Any) -> str:
    """Write an episode record of self-health as a log line."""
    firing = [incident.text for incident in episode.incidents if incident.state == "firing"]
    more = f": {'; '.join(firing)}" if firing else ""
    return f"{episode.feature} {episode.state} ({episode.reason}){more}"


async def _check_health(partition: Partition) -> None:
    core = _core(partition)
    while True:
        await asyncio.sleep(HEALTH_S)
        if partition.caught_up and (outputs := core.check_health(wall_clock_us())):
            partition.add(outputs)
            for episode in outputs.records["alerts"]:
                log.warning("health: %s", _headline(episode))


async def _send_life_signs(switch: DeadMansSwitch, session: aiohttp.ClientSession) -> None:
    """Send signs of life to the dead man's switch while softfail is healthy.

    Addresses are secrets, so the log names only the kind of a failure.
    """
    last_reason: str | None = ""
    await asyncio.sleep(HEALTH_S)  # not before the first health check
    while True:
        due = switch.due(wall_clock_us())
        if isinstance(due, Withheld):
            if due.reason != last_reason:
                log.log(
                    logging.INFO if due.reason == "waiting" else logging.WARNING,
                    "dead man's switch: no sign of life: %s",
                    due.text,
                )
            last_reason = due.reason
        else:
            if last_reason is not None:
                log.info("dead man's switch: softfail is healthy, signs of life are sent")
            last_reason = None
            await asyncio.gather(*(_send_ping(switch, ping, session) for ping in due))
        await asyncio.sleep(DEAD_MAN_S)


async def _send_ping(switch: DeadMansSwitch, ping: Ping, session: aiohttp.ClientSession) -> None:
    try:
        status, headers, body = await post(ping.request, session)
        arrived = switch.is_arrived(ping, status, headers, body)
        answer = (
            f"answered {status}" if status is not None else body.decode("utf-8", "replace").partition(":")[0]
        )
    except Exception as error:  # noqa: BLE001 - it must never stop the channels
        arrived, answer = False, type(error).__name__
    switch.sent(ping, wall_clock_us(), arrived=arrived)
    if not arrived:
        log.warning("dead man's switch: no sign of life reached %s: %s", ping.to, answer)


async def _send_episodes(channel: Channel, partition: Partition, session: aiohttp.ClientSession) -> None:
    """Send the steps of episodes to one channel."""
    outbox = _core(partition).outbox

    async def wait() -> None:
        partition.changed_event.clear()
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event,
        # and the task would never end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await partition.changed_event.wait()

    await _send(lambda: outbox.due(channel.name, wall_clock_us()), wait, channel, partition, session)


async def _send_changes(channel: ChangeChannel, partition: Partition, session: aiohttp.ClientSession) -> None:
    """Send changes to one channel. They have a task of their own, so that no page waits for their answers."""
    outbox = _core(partition).outbox

    def due() -> ChangeStep | None:
        return outbox.change_due(channel.name, wall_clock_us()) if partition.caught_up else None

    await _send(due, lambda: asyncio.sleep(CHANGES_S), channel, partition, session)


async def _send(
    due: Callable[[], Step | ChangeStep | None],
    wait: Callable[[], Awaitable[None]],
    channel: Channel,
    partition: Partition,
    session: aiohttp.ClientSession,
) -> None:
    """Send whatever is due, one step after the other; wait while nothing is."""
    outbox = _core(partition).outbox
    while True:
        step = due()
        if step is None:
            await wait()
            continue
        record(outbox, partition, step, await deliver(channel, step, session))
        # Before the next step is sent, the next owner of the partition must know of this step.
        await partition.checkpoint()


def record(outbox: Outbox, partition: Partition, step: Step | ChangeStep, result: DeliveryResult) -> None:
    """Note a result in the outbox. No await: outbox and outputs change together."""
    match result:
        case Delivered():
            outbox.delivered(step, wall_clock_us())
            partition.add(Outputs())
            log.info("%s delivered", step.label)
        case Retry(reason, after_s, hold, unexpected):
            wait_s = outbox.failed(
                step, wall_clock_us(), random.random(), after_s, hold, reason, unexpected=unexpected
            )
            partition.add(Outputs())
            log.warning("%s failed, again in %.1f s: %s", step.label, wait_s, reason)
        case Permanent(reason):
            partition.add(outbox.refused(step, reason, wall_clock_us()))
            log.error("%s refused: %s", step.label, reason)
