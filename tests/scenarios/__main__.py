"""Print what a person gets in each scenario: ``python -m tests.scenarios [PART OF A NAME]``."""

from __future__ import annotations

import sys

from tests.scenarios.laws import broken, run, table
from tests.scenarios.plans import scenarios

for scenario in scenarios():
    if all(part in scenario.name for part in sys.argv[1:]):
        deployment = run(scenario)
        print("\n".join(table(scenario, deployment)))
        for fault in broken(scenario, deployment):
            print(f"  BROKEN {fault}")
