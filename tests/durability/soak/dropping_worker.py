"""The real worker, which drops a share of its bundles, as Faust may do:
``python -m tests.durability.soak.dropping_worker --config FILE``.

DROP_SHARE_FILE names the file with the share; it is read again each second. Bundles at the end of their topic
are dropped twice as often, because no later bundle would reveal the gap.
"""

from __future__ import annotations

import logging
import os
import random
import time
from pathlib import Path
from typing import Any

from agents.commands.worker import main
from agents.runtime.bundle_intake import BundleIntake

log = logging.getLogger("softfail.dropping")


class Share:
    """Return the share to drop, 0 to 1; 0 without the file."""

    def __init__(self, path: Path) -> None:
        self._path, self._value, self._read_at = path, 0.0, float("-inf")

    def now(self) -> float:
        """Return the share in the file, read at most a second ago."""
        if time.monotonic() - self._read_at > 1:
            self._read_at = time.monotonic()
            try:
                self._value = float(self._path.read_text())
            except (OSError, ValueError):
                self._value = 0.0
        return self._value


def drop_bundles(share: Share, rng: random.Random) -> None:
    """Make ``BundleIntake.take`` drop a share of the bundles."""
    take = BundleIntake.take

    async def sometimes(self: BundleIntake, tp: Any, bundle: Any) -> None:
        partition = self._store.owned.get(tp)
        last = partition is not None and partition.end is not None and bundle.stop >= partition.end
        if rng.random() < share.now() * (2 if last else 1):
            log.info("dropped %s/%d [%d, %d)%s", *tp, bundle.start, bundle.stop, ", the last" if last else "")
            return
        await take(self, tp, bundle)

    BundleIntake.take = sometimes  # type: ignore[method-assign]


if __name__ == "__main__":
    drop_bundles(Share(Path(os.environ["DROP_SHARE_FILE"])), random.Random(os.getpid()))
    raise SystemExit(main())
