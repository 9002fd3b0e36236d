"""Run a demo: start all parts, play the phases, check the result, stop all parts."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agents.demo.fake_pagerduty import FakePagerDuty
from agents.demo.fake_services import FakeServices
from agents.demo.golden_gate import failing_samples, play_gate
from agents.demo.processes import PREFIX, EmbeddedBroker, WorkerProcess, configuration, free_port
from agents.demo.scenario import GRACE_S, Phase, misses, planned
from agents.demo.terminal import Terminal, announcer

LOOK_S = 0.25


async def show(plan: Sequence[Phase], screen: Terminal, port: int = 0, keep: Path | None = None) -> list[str]:
    """Run the demo; return what did not happen as planned.

    Args:
        plan: the phases.
        screen: shows them.
        port: of the status page; 0: any free one.
        keep: folder that gets the golden set and the samples; None: a temporary one.

    Raises:
        RuntimeError: a part did not start, or ended by itself.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="softfail-demo-")))
        receiver = FakePagerDuty(secrets.token_hex(16))
        await receiver.start()
        stack.push_async_callback(receiver.stop)
        broker = await asyncio.to_thread(EmbeddedBroker)
        screen.say(f"broker (embedded) at {broker.address}, PagerDuty receiver at {receiver.url}")
        config = configuration(broker.address, port or free_port(), receiver.url)
        worker = WorkerProcess(folder, config, receiver.routing_key)
        stack.push_async_callback(worker.stop)
        shop = FakeServices(broker.address, f"{PREFIX}.events")
        stack.push_async_callback(asyncio.to_thread, shop.stop)
        shop.start()
        await worker.start()
        screen.say(f"worker ready after {time.monotonic() - began:.1f} s; status page: {worker.url}", "bold")
        try:
            await _play(plan, screen, shop, worker, receiver, began)
        except RuntimeError:
            screen.say(worker.log())
            raise
        faults = misses(receiver.incidents, plan)
        if not faults:
            samples = await asyncio.to_thread(failing_samples, broker.address, f"{PREFIX}.samples")
            await worker.stop()
            gate_folder = keep or folder
            gate_folder.mkdir(parents=True, exist_ok=True)
            return await play_gate(gate_folder, samples, screen.say)
        screen.say("the end of the worker's log:\n" + worker.log())
        return faults


async def _play(
    plan: Sequence[Phase],
    screen: Terminal,
    shop: FakeServices,
    worker: WorkerProcess,
    receiver: FakePagerDuty,
    began: float,
) -> None:
    rates: dict[str, float] = {}
    announce = announcer(screen.say)
    paged = False
    for number, phase in enumerate((*plan, Phase("waiting for the end of the episode", GRACE_S))):
        is_grace = number == len(plan)
        if not is_grace:
            screen.say(f"now: {phase.name}")
        shop.faulty = phase.faulty
        start = looked = time.monotonic()
        while (elapsed_s := time.monotonic() - start) < phase.duration_s:
            if is_grace and not misses(receiver.incidents, plan):
                return
            if worker.ended:
                raise RuntimeError("the worker ended by itself")
            if time.monotonic() - looked >= 1:
                looked, rates = time.monotonic(), await worker.pass_rates()
            announce(receiver.incidents)
            if receiver.incidents and not paged:
                paged = True
                screen.say(f"first page {time.monotonic() - began:.1f} s after the start of the demo")
            screen.show(
                min(number, len(plan) - 1), elapsed_s, shop.sent, rates, receiver.incidents, worker.url
            )
            await asyncio.sleep(LOOK_S)
    announce(receiver.incidents)


def outcome(faults: Sequence[str], plan: Sequence[Phase]) -> str:
    """Return the last line of the demo."""
    if faults:
        return "NOT AS PLANNED:\n  " + "\n  ".join(faults)
    count = len(planned(plan))
    return (
        f"as planned: {count} fault{'' if count == 1 else 's'}, each one episode, triggered and resolved;"
        " nothing else was paged; the gate was red with the fault and green without it"
    )
