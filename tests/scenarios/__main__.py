"""Print what a person gets in each scenario: ``python -m tests.scenarios [--texts] [PART OF A NAME]``.

``--texts``: each text of a page or ticket once, with its list, to be read as the person who is woken.
"""

from __future__ import annotations

import argparse

from tests.scenarios.laws import broken, run, table, texts
from tests.scenarios.plans import scenarios

parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
parser.add_argument("--texts", action="store_true", help="print texts instead of tables")
parser.add_argument("part", nargs="*", help="of the names of the scenarios to run; by default all")
options = parser.parse_args()
for scenario in scenarios():
    if not all(part in scenario.name for part in options.part):
        continue
    deployment = run(scenario)
    if options.texts:
        print(f"\n=== {scenario.name}", *texts(deployment), sep="\n")
    else:
        print("\n".join(table(scenario, deployment)))
    for fault in broken(scenario, deployment):
        print(f"  BROKEN {fault}")
