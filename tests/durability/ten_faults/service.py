"""The service of the ten faults: ``service.py BROKERS TOPIC START``, killed and started again by the command.

Four features, each call through the SDK. START: wall clock of minute 0, seconds since 1970.
"""

from __future__ import annotations

import random
import sys
import time

from softfail import Softfail
from tests.scenarios.faults import FAULTS, healthy
from tests.scenarios.ten_faults import CALLS_A_MINUTE, FEATURES, PLAN

TICK_S = 0.05


def main(brokers: str, topic: str, start_s: float) -> None:
    """Report calls until the process is killed."""
    service = FEATURES[0].partition("/")[0]
    client = Softfail(service=service, bootstrap_servers=brokers, topic=topic, content_probability=1.0)
    draw = random.Random(start_s)
    began_s, calls = time.time(), 0
    while True:
        time.sleep(TICK_S)
        now_s = time.time()
        minute = (now_s - start_s) / 60
        while calls < (now_s - began_s) * CALLS_A_MINUTE / 60:
            calls += 1
            for feature in FEATURES:
                fields = healthy(feature, minute, draw)
                for planned in PLAN:
                    lasts = planned.feature == feature and planned.begin <= minute < planned.end
                    if lasts and planned.fault != "silent":
                        fields = FAULTS[planned.fault].change(fields, draw) or fields
                del fields["service"]
                client.response(**fields)  # type: ignore[typeddict-item]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
