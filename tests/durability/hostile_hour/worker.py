"""The real worker with two inputs that end it: ``python -m tests.durability.hostile_hour.worker --config FILE``.

No input is known that ends a worker. A record with ``KILL`` crashes it as native code does, one with ``HANG``
holds the interpreter for ever, whenever a core applies it.
"""

from __future__ import annotations

from agents.process.supervisor import supervise

CORES, CORES_S = "cores in memory: ", 5.0
LOOKS = 5  # in that time
PARTITIONS = 16
KILL, HANG = b'{"poison": "kill"}', b'{"poison": "hang"}'


def add_poison() -> None:
    """Make ``Watch.steps`` end the process at a record of poison."""
    import os
    import re
    import signal
    from typing import Any

    from monitor.watch import Watch

    steps = Watch.steps

    def poisoned(self: Watch, records: Any, *arguments: Any, **named: Any) -> Any:
        for record in records:
            if record.value == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if record.value == HANG:
                re.match("(a+)+$", "a" * 60 + "b")  # backtracks for ever, and no thread runs meanwhile
        return steps(self, records, *arguments, **named)

    Watch.steps = poisoned  # type: ignore[method-assign]


def log_cores() -> None:
    """Log every few seconds the least number of cores of partitions that were in memory since the last line,
    those that were released among them; if they are too many, what refers to them, too.

    A core is in memory for a moment after its release, while a task that used it ends.
    """
    import gc
    import threading
    import time
    import weakref
    from typing import Any

    from monitor.watch import Watch

    cores: weakref.WeakSet[Watch] = weakref.WeakSet()
    make = Watch.__init__

    def noted(self: Watch, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        cores.add(self)

    def log() -> None:
        while True:
            counts = []
            for _ in range(LOOKS):
                time.sleep(CORES_S / LOOKS)
                counts.append(len(cores))
            print(f"{CORES}{min(counts)}", flush=True)
            if min(counts) > PARTITIONS:
                for core in list(cores):
                    holders = [repr(holder)[:160] for holder in gc.get_referrers(core)]
                    print(f"held by {holders}", flush=True)

    Watch.__init__ = noted  # type: ignore[method-assign]
    threading.Thread(target=log, daemon=True).start()


if __name__ == "__main__":
    supervise()  # before anything large is imported
    from agents.commands.worker import main

    add_poison()
    log_cores()
    raise SystemExit(main())
