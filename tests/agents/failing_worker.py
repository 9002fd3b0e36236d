"""A counting worker with one fault until its restart, and a watchdog with a short timeout.

python failing_worker.py CONFIG.json FAULT
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from faust.assignor.partition_assignor import PartitionAssignor

from agents.process import exits
from agents.runtime import watchdog
from agents.runtime.app import run
from agents.runtime.bundle_intake import BundleIntake
from schemas.config.monitor_config import Config
from tests.agents.counting_worker import CountingAgent

PATIENCE_S = 5.0  # instead of a minute


class HangingAgent(CountingAgent):
    """Blocks the event loop for ever."""

    async def tend(self, partition):
        await asyncio.sleep(2)
        time.sleep(10_000)  # noqa: ASYNC251 - on purpose


async def deaf(self, tp, bundle):
    """Accepts nothing, as if the stream had ended silently."""


def unnamed(cls, topics, cluster, subscriptions):
    """A topic that the broker does not report: Faust assigns nothing."""
    return {}


if __name__ == "__main__":
    fault, agent = sys.argv[2], CountingAgent()
    watchdog.STUCK_S, watchdog.GROUP_S = PATIENCE_S, 1.0
    if not exits.total_restarts():
        if fault == "hang":
            agent = HangingAgent()
        elif fault == "deaf":
            BundleIntake.take = deaf
        elif fault == "unassigned":
            PartitionAssignor._get_copartitioned_groups = classmethod(unnamed)
    run(Config.model_validate_json(Path(sys.argv[1]).read_text()), [agent])
