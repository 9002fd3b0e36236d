"""A counting worker that hangs with the interpreter held when it counts the key `hang`, under a supervisor.

python hanging_worker.py CONFIG.json
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agents.process import pulse
from agents.process.supervisor import supervise

HANG_S = 1.0


def main() -> None:
    """Run the worker in a child process."""
    pulse.PERIOD_S = 0.2
    supervise(hang_s=HANG_S, brief_s=HANG_S)
    from agents.process import exits
    from agents.runtime.app import run
    from schemas.config.monitor_config import Config
    from tests.agents.counting_worker import CountingAgent, Counts

    exits.JITTER_S = (0.0, 0.1)
    apply = Counts.apply

    def hanging_apply(self, records, now_us=None):
        if any(b'"hang"' in record.value for record in records):
            re.match("(a+)+$", "a" * 60 + "b")  # backtracks for ever, and no thread runs meanwhile
        return apply(self, records, now_us)

    Counts.apply = hanging_apply
    run(Config.model_validate_json(Path(sys.argv[1]).read_text()), [CountingAgent()])


if __name__ == "__main__":
    main()
