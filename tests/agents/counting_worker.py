"""A worker whose agent only counts events per key and minute. The runtime below it is that of the product.

python counting_worker.py CONFIG.json
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from agents.kafka.topic_ids import TopicObserver
from agents.runtime.app import run
from agents.runtime.bundle_intake import BundleIntake
from monitor.protocol.messages import Message, Outputs
from schemas.config.monitor_config import Config


class Counts:
    """Events per key and minute (of the value's `minute`); a window is written when a later minute starts."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.latest = 0
        self.dirty: set[str] = set()

    def apply(self, records, now_us=None):
        outputs = Outputs()
        for record in records:
            try:
                event = json.loads(record.value)
                key = f"{event['key']} {event['minute']}"
            except (ValueError, KeyError, TypeError) as error:
                outputs.add(
                    "deadletter",
                    Message(record.key, json.dumps({"offset": record.offset, "error": str(error)}).encode()),
                )
                continue
            self.counts[key] = self.counts.get(key, 0) + 1
            self.dirty.add(key)
            if event["minute"] > self.latest:
                self.latest = event["minute"]
                self.dirty.add("latest")
                window = {"key": key, "minute": self.latest, "padding": event.get("padding", "")}
                outputs.add("windows", Message(key.encode(), json.dumps(window).encode()))
        return outputs

    def set_aside(self, record, reason, error, records=1):
        outputs = Outputs()
        letter = {"offset": record.offset, "error": error, "records": records}
        outputs.add("deadletter", Message(record.key, json.dumps(letter).encode()))
        return outputs

    def changed(self):
        records = [
            (key.encode(), b"%d" % (self.latest if key == "latest" else self.counts[key]))
            for key in sorted(self.dirty)
        ]
        self.dirty.clear()
        return records

    def restore(self, records):
        for key, value in records:
            if key == b"latest":
                self.latest = int(value)
            else:
                self.counts[key.decode()] = int(value)


class CountingAgent:
    name, source = "watch", "events"

    def core(self, partition, partitions):
        return Counts()

    async def tend(self, partition):
        pass


def drop_bundles(share: float) -> None:
    """Drop a share of the bundles of the stream, as Faust may."""
    take, rng = BundleIntake.take, random.Random(1)

    async def sometimes(self, tp, bundle):
        if rng.random() >= share:
            await take(self, tp, bundle)

    BundleIntake.take = sometimes


def without_topic_ids() -> None:
    """See topics as on a broker that keeps no ids: one that was created again is the same, reported late."""
    look = TopicObserver.look

    async def without_ids(self):
        return {name: identity._replace(topic_id="") for name, identity in (await look(self)).items()}

    TopicObserver.look = without_ids


if __name__ == "__main__":
    if os.environ.get("WITHOUT_TOPIC_IDS"):
        without_topic_ids()
    drop_bundles(float(os.environ.get("DROP_BUNDLES", "0")))
    run(Config.model_validate_json(Path(sys.argv[1]).read_text()), [CountingAgent()])
