"""``python -m agents demo``: a service whose answers degrade, a worker that detects it, a receiver of pages, and a
gate that keeps the fault from coming back.

It needs no Kafka.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.demo.scenario import Phase

OK, NOT_AS_PLANNED, INTERRUPTED = 0, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 only if each planned fault was paged once and resolved, and nothing else was."""
    from agents.demo.scenario import LONGEST_S, SHORTEST_S, phases

    parser = argparse.ArgumentParser(
        prog="python -m agents demo",
        description=(
            "Run everything on this machine without Kafka: a feature degrades, a page is sent, the feature"
            " recovers, the page is resolved; then the fault becomes a case of a golden set, and a gate is red with it and"
            " green without it."
        ),
    )
    parser.add_argument(
        "--duration",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="duration of all phases together, at least 40 (default: 60)",
    )
    parser.add_argument("--headless", action="store_true", help="plain lines instead of a live display")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port of the status page (default: any free port)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the golden set and the failure samples in this folder"
    )
    options = parser.parse_args(argv)
    if not SHORTEST_S <= options.duration <= LONGEST_S:
        parser.error(f"--duration: {options.duration:g} s does not lie in {SHORTEST_S:g} to {LONGEST_S:g}")
    if not 0 <= options.port <= 65_535:
        parser.error(f"--port: {options.port} does not lie in 0 to 65535")
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        parser.error(
            "the demo's broker comes with confluent-kafka: pip install 'softfail[demo]', or `make setup`"
        )
    logging.basicConfig(level=logging.ERROR, format="%(name)s %(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it, the SDK says
    try:
        return asyncio.run(
            _run(
                phases(options.duration),
                options.headless or not sys.stdout.isatty(),
                options.port,
                options.keep,
            )
        )
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything is stopped")
        return INTERRUPTED
    except RuntimeError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return NOT_AS_PLANNED


async def _run(plan: Sequence[Phase], headless: bool, port: int, keep: Path | None) -> int:
    from agents.demo.runner import outcome, show
    from agents.demo.terminal import Terminal

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with Terminal(plan, headless) as screen:
        faults = await show(plan, screen, port, keep)
        screen.say(outcome(faults, plan), "bold red" if faults else "bold green")
    return NOT_AS_PLANNED if faults else OK
