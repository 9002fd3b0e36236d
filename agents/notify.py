"""The notifier: sends what the outbox says is due. One task a channel, so that a slow one delays nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random

import aiohttp

from agents.notify_http import deliver, post
from agents.runtime.clock import wall_clock_us
from agents.runtime.partition import Partition
from monitor.channels import change_tellers, configured
from monitor.channels.interface import (
    ChangeTeller,
    Channel,
    Delivered,
    Permanent,
    Retry,
    Step,
    Verdict,
)
from monitor.delivery.change_outbox import Announcement, Announcements
from monitor.delivery.outbox import Outbox
from monitor.notifier import Notifier
from monitor.protocol.messages import Outputs
from monitor.self_health.dead_mans_switch import DeadMan, Sign, Withheld
from schemas.config.monitor_config import Config

log = logging.getLogger("softfail.notify")
HEALTH_S = 2.0  # between two looks at softfail's own health
DEAD_MAN_S = 1.0  # between two looks whether a sign of life is due
LOOK_S = 0.5  # between two looks when nothing is news: waits end and triggers fall due by the clock
CHANGES_S = 0.5  # between two looks whether a change is to be told


class NotifyAgent:
    """Reads the alerts topic, keeps an outbox, tends its channels."""

    name = "notify"
    source = "alerts"

    def __init__(self, config: Config) -> None:
        self._config = config
        self._channels = configured(config)

    def core(self, partition: int, partitions: int) -> Notifier:
        """A fresh core. The alerts topic has one partition, so there is one (the embedded broker has more,
        and nothing in them).
        """
        del partitions
        return Notifier(self._config, partition)

    async def tend(self, partition: Partition) -> None:
        """Deliver while the partition is owned. First everything is read: what is over already must not page."""
        while not partition.caught_up:  # noqa: ASYNC110 - it also becomes true without news
            await asyncio.sleep(0.05)
        # pages are rare: a kept connection would be stale by the next one
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, trust_env=True) as session,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_look_after_health(partition))
            if (dead_man := _core(partition).dead_man) is not None and dead_man.is_wanted:
                group.create_task(_show_life(dead_man, session))
            for channel in self._channels.values():
                group.create_task(_serve(channel, partition, session))
            for teller in change_tellers(self._config).values():
                group.create_task(_tell_changes(teller, partition, session))


def _core(partition: Partition) -> Notifier:
    core = partition.core
    assert isinstance(core, Notifier)
    return core


def _headline(value: bytes) -> str:
    episode = json.loads(value)
    firing = [one["text"] for one in episode["incidents"] if one["state"] == "firing"]
    return (
        f"{episode['feature']} {episode['state']}"
        f" ({episode['reason']}){': ' if firing else ''}{'; '.join(firing)}"
    )


async def _look_after_health(partition: Partition) -> None:
    core = _core(partition)
    while True:
        await asyncio.sleep(HEALTH_S)
        if partition.caught_up and (outputs := core.look(wall_clock_us())):
            partition.add(outputs)
            for message in outputs.messages["alerts"]:
                log.warning("health: %s", _headline(message.value))


async def _show_life(dead_man: DeadMan, session: aiohttp.ClientSession) -> None:
    """Tell the dead man's switch that all is well while it is. Addresses are secrets: no failure is shown but
    by its kind.
    """
    before: str | None = ""
    await asyncio.sleep(HEALTH_S)  # not before somebody has looked after the health
    while True:
        due = dead_man.due(wall_clock_us())
        if isinstance(due, Withheld):
            if due.why != before:
                log.log(
                    logging.INFO if due.why == "waiting" else logging.WARNING,
                    "dead man's switch: no sign of life: %s",
                    due.text,
                )
            before = due.why
        else:
            if before is not None:
                log.info("dead man's switch: all is well, and it is told so")
            before = None
            await asyncio.gather(*(_show(dead_man, sign, session) for sign in due))
        await asyncio.sleep(DEAD_MAN_S)


async def _show(dead_man: DeadMan, sign: Sign, session: aiohttp.ClientSession) -> None:
    try:
        status, _, body = await post(sign.request, session)
        arrived = status is not None and 200 <= status < 300
        what = (
            f"answered {status}" if status is not None else body.decode("utf-8", "replace").partition(":")[0]
        )
    except Exception as error:  # noqa: BLE001 - it must never take the channels down with it
        arrived, what = False, type(error).__name__
    dead_man.sent(sign, wall_clock_us(), arrived=arrived)
    if not arrived:
        log.warning("dead man's switch: %s was not told that all is well: %s", sign.to, what)


async def _serve(channel: Channel, partition: Partition, session: aiohttp.ClientSession) -> None:
    outbox = _core(partition).outbox
    while True:
        step = outbox.due(channel.name, wall_clock_us())
        if step is None:
            partition.changed_event.clear()
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the news,
            # and the task would never end.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await partition.changed_event.wait()
            continue
        record(outbox, partition, step, await deliver(channel, step, session))
        # Before the next step of the same episode is sent, this one must be known to whoever takes over.
        await partition.checkpoint()


async def _tell_changes(channel: ChangeTeller, partition: Partition, session: aiohttp.ClientSession) -> None:
    """Changes go out by themselves, so that a page never waits for the answer to one."""
    core = _core(partition)
    while True:
        one = core.change_due(channel.name, wall_clock_us()) if partition.caught_up else None
        if one is None:
            await asyncio.sleep(CHANGES_S)
            continue
        try:
            request = channel.change_request(one.change, wall_clock_us())
        except Exception as error:
            log.exception("%s cannot tell the change %s", channel.name, one.change.change_id)
            verdict: Verdict = Permanent(f"no request could be made: {type(error).__name__}")
        else:
            verdict = channel.judge(*await post(request, session), wall_clock_us())
        _record_change(core.announcements, partition, one, verdict)
        await partition.checkpoint()


def _record_change(
    announcements: Announcements, partition: Partition, one: Announcement, verdict: Verdict
) -> None:
    what = (
        f"{one.channel}: change {one.change.change_id} ({one.change.service}/{one.change.feature},"
        f" {one.change.kind})"
    )
    match verdict:
        case Delivered():
            announcements.delivered(one, wall_clock_us())
            partition.add(Outputs())
            log.info("%s delivered", what)
        case Retry(reason, after_s):
            wait_s = announcements.failed(one, wall_clock_us(), random.random(), after_s)
            log.warning("%s failed, again in %.1f s: %s", what, wait_s, reason)
        case Permanent(reason):
            partition.add(announcements.refused(one, reason, wall_clock_us()))
            log.error("%s refused: %s", what, reason)


def record(outbox: Outbox, partition: Partition, step: Step, verdict: Verdict) -> None:
    """Note a verdict in the outbox. No await: outbox and outputs move together."""
    what = f"{step.channel}: {step.action} {step.dedup_key} ({step.reason})"
    match verdict:
        case Delivered():
            outbox.delivered(step, wall_clock_us())
            partition.add(Outputs())
            log.info("%s delivered", what)
        case Retry(reason, after_s, hold):
            wait_s = outbox.failed(step, wall_clock_us(), random.random(), after_s, hold, reason)
            partition.add(Outputs())
            log.warning("%s failed, again in %.1f s: %s", what, wait_s, reason)
        case Permanent(reason):
            partition.add(outbox.refused(step, reason, wall_clock_us()))
            log.error("%s refused: %s", what, reason)
