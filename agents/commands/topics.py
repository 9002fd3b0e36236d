"""``python -m agents topics``: create the topics that are missing and report settings that differ."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence

from agents.commands.command_line import add_config, exit_code
from agents.kafka.topics import SETTLE_S, admin_client, await_broker, create, describe
from agents.process import exits
from schemas import topics
from schemas.config.connections import Kafka
from schemas.config.load import load


async def _run(kafka: Kafka) -> int:
    await await_broker(kafka, patience_s=30)
    for name in await create(kafka):
        print(f"created  {name}")
    deadline = time.monotonic() + SETTLE_S
    while True:
        async with admin_client(kafka) as admin:
            existing = await describe(admin, kafka.prefix)
        faults = topics.faults(existing, kafka.prefix, kafka.partitions)
        if len(existing) == len(topics.TOPICS) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)  # created, but not yet known to the broker that we asked
    for fault in faults:
        print(f"{'WRONG  ' if fault.fatal else 'differs'}  {fault.text}")
    print(f"{len(existing)} topics, {len(faults)} differences")
    return exits.CONFIGURATION if any(fault.fatal for fault in faults) else exits.OK


def main(argv: Sequence[str] | None = None) -> int:
    """Create and check the topics; 0 when a worker can run on them, else 78."""
    parser = argparse.ArgumentParser(
        prog="python -m agents topics",
        description="Create softfail's topics, and report settings that differ.",
    )
    add_config(parser)
    options = parser.parse_args(argv)

    def command() -> int:
        kafka = load(options.config, with_secrets="kafka").kafka
        if kafka.embedded:
            print("the embedded broker makes its topics by itself")
            return exits.OK
        return asyncio.run(_run(kafka))

    return exit_code(command)
