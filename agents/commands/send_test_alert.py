"""``python -m agents test-alert``: send a test through each channel and resolve it. Kafka is not used."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp

from agents.commands.command_line import INTERRUPTED, add_config, duration, exit_code
from agents.notify_http import deliver, session_of
from agents.process import exits
from monitor.channels import configured
from monitor.channels.interface import (
    Action,
    Channel,
    Delivered,
    DeliveryResult,
    Permanent,
    Retry,
    Step,
    Urgency,
)
from schemas.config.load import load
from schemas.config.monitor_config import Config
from schemas.fields import Severity
from schemas.records import Episode, EpisodeIncident
from softfail.backoff import Backoff
from softfail.sanitize import sanitize

FAILED, WRONG_ARGUMENTS = 1, 2
PATIENCE_S = 30.0
BACKOFF = Backoff(first_s=1.0, longest_s=300.0)
LAST_RESOLVE_S = 5.0  # for the resolve after an interrupt
TEXT = (
    "TEST, nothing is wrong: this is a test of the channel (python -m agents test-alert); it resolves itself"
)


class Attempt(NamedTuple):
    """The last result of a step, and how often it was sent."""

    result: DeliveryResult
    times: int


def episode_of(
    config: Config, name: str, urgency: Urgency, began: datetime, resolved: datetime | None = None
) -> Episode:
    """Make an episode that says that it is a test: opened, or resolved at ``resolved``."""
    environment = next(iter(config.page_environments), "production")
    severity: Severity = "error" if urgency == "high" else "warning"
    state = "resolved" if resolved else "firing"
    feature = {"service": "softfail", "feature": "test-alert", "environment": environment}
    incident = EpisodeIncident.model_validate(
        {
            **feature,
            "level": "feature",
            "incident_id": name,
            "rule": "test-alert",
            "severity": severity,
            "state": state,
            "since": began,
            "text": TEXT,
            "evidence": {
                "metric": "test",
                "value": None,
                "low": None,
                "high": None,
                "n": 0,
                "window_s": 0,
            },
        }
    )
    return Episode.model_validate(
        {
            **feature,
            "record": "episode",
            "episode_id": name,
            "dedup_key": f"{config.kafka.prefix}/{name}",
            "state": "resolved" if resolved else "opened",
            "reason": "test",
            "severity": severity,
            "urgency": urgency,
            "started_at": began,
            "time": resolved or began,
            "decided_at": resolved or began,
            "firing": 0 if resolved else 1,
            "incidents": [incident],
            "examples": [],
        }
    )


async def send(channel: Channel, step: Step, session: aiohttp.ClientSession, patience_s: float) -> Attempt:
    """Send a step until the result is final, or ``patience_s`` have passed.

    An attempt that has begun ends with the timeout of the channel.
    """
    deadline, times = time.monotonic() + patience_s, 0
    while True:
        times += 1
        result = await deliver(channel, step, session)
        if _is_final(result):
            return Attempt(result, times)
        assert isinstance(result, Retry)
        pause_s = max(BACKOFF.wait_s(times, jitter=0.0), result.after_s)
        if time.monotonic() + pause_s >= deadline:
            return Attempt(result, times)
        await asyncio.sleep(pause_s)


async def attempt(
    channel: Channel, config: Config, urgency: Urgency, session: aiohttp.ClientSession, patience_s: float
) -> tuple[bool, str]:
    """Open a test and resolve it; return whether the channel accepted both, and the outcome as text."""
    name, began, began_s = f"test-{secrets.token_hex(8)}", datetime.now(UTC), time.monotonic()

    def step(action: Action) -> Step:
        over = datetime.now(UTC) if action == "resolve" else None
        return Step(
            channel.name, name, action, urgency, "test", episode_of(config, name, urgency, began, over)
        )

    try:
        opened = await send(channel, step("trigger"), session, patience_s)
        if _is_final(opened.result) and not isinstance(opened.result, Delivered):
            return False, _outcome(opened)
        # A trigger without an answer may have arrived all the same, and nothing else would resolve it.
        closed = await send(
            channel, step("resolve"), session, patience_s if isinstance(opened.result, Delivered) else 0.0
        )
    except asyncio.CancelledError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_RESOLVE_S):
                await deliver(channel, step("resolve"), session)
        raise
    key = step("trigger").dedup_key
    if not isinstance(opened.result, Delivered):
        return (
            False,
            (
                f"{_outcome(opened)}; if {key} is open there nevertheless, close it by hand"
                if not isinstance(closed.result, Delivered)
                else _outcome(opened)
            ),
        )
    if not isinstance(closed.result, Delivered):
        return False, f"delivered, but not resolved: {_outcome(closed)}; close {key} by hand"
    return True, f"delivered and resolved: {key}, {urgency} urgency, {time.monotonic() - began_s:.1f} s"


def _is_final(result: DeliveryResult) -> bool:
    """Return whether trying again within a minute is of no use: a person has to correct the configuration."""
    return not isinstance(result, Retry) or result.unexpected


def _outcome(attempt_result: Attempt) -> str:
    match attempt_result.result:
        case Permanent(reason) | Retry(reason, unexpected=True):
            return f"refused: {reason}"
        case Retry(reason):
            return (
                f"no final answer: {reason} (tried {attempt_result.times}"
                f" {'time' if attempt_result.times == 1 else 'times'})"
            )
    return "delivered"


async def _try_all(config: Config, channels: Sequence[Channel], urgency: Urgency, patience_s: float) -> bool:
    """Test all channels at once and print a line for each; return whether all accepted the test."""
    connector = aiohttp.TCPConnector(force_close=True)
    # as in the notifier
    async with session_of(connector) as session:

        async def test(channel: Channel) -> bool:
            passed, outcome = await attempt(channel, config, urgency, session, patience_s)
            print(sanitize(f"{channel.name}: {outcome}"), flush=True)
            return passed

        return all(await asyncio.gather(*map(test, channels)))


def _patience(text: str) -> float:
    seconds = duration(text)
    if not 0 <= seconds <= 3600 or math.isnan(seconds):
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 s and 1 h")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents test-alert",
        description=(
            "Send a test alert through each configured channel, wait for the answer, and resolve it. Routes"
            " and silences do not apply, and Kafka is not used. The exit code is 0 only if every channel"
            " accepted both."
        ),
    )
    add_config(parser)
    parser.add_argument("--channel", metavar="NAME", help="only this channel, as named in the configuration")
    parser.add_argument("--urgency", choices=["low", "high"], default="low", help="high pages (default: low)")
    parser.add_argument(
        "--patience",
        type=_patience,
        default=PATIENCE_S,
        metavar="30s",
        help="how long to retry without an answer (default: 30 s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Test the channels; return 0 when all accepted test and resolve, 1 when one did not, 2 for wrong
    arguments, 78 when the configuration does not allow it.
    """
    options = _parser().parse_args(argv)

    def command() -> int:
        config = load(options.config, with_secrets="channels")
        channels = configured(config)
        if not channels:
            raise exits.Misconfigured(
                "channels: none is configured, so no alert would be sent; add one, like channels:"
                " {console: {}}"
            )
        if options.channel is not None and options.channel not in channels:
            print(
                sanitize(
                    f"--channel: {options.channel!r} is not configured; the channels are"
                    f" {', '.join(channels)}"
                ),
                file=sys.stderr,
            )
            return WRONG_ARGUMENTS
        wanted = [channel for name, channel in channels.items() if options.channel in (None, name)]
        delivered = asyncio.run(_try_all(config, wanted, options.urgency, options.patience))
        return exits.OK if delivered else FAILED

    return exit_code(
        command, interrupted=(INTERRUPTED, "stopped; a resolve was sent for each test that was opened")
    )
