"""``python -m agents worker``: watch, notify and the web in one process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from agents.commands.command_line import add_config, invalid_configuration
from agents.process import exits
from monitor.config_check import folder_of, load_checked_config, with_user_evaluators
from schemas.config.load import InvalidConfig
from softfail.evaluator_pool import EvaluatorPool
from softfail.sanitize import sanitize


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped; return 78 for an invalid configuration, else the process ends itself
    (``agents.process.exits``).
    """
    parser = argparse.ArgumentParser(
        prog="python -m agents worker",
        description="Read events, compute windows, evaluate rules and deliver episodes. State is kept in Kafka. The worker"
        " serves a status page.",
    )
    add_config(parser)
    options = parser.parse_args(argv)
    try:
        config = load_checked_config(options.config, with_secrets=True)
    except InvalidConfig as error:
        return invalid_configuration(error)
    exits.reap()
    pool = EvaluatorPool()
    config, faults = with_user_evaluators(config, folder_of(options.config), pool.describe, pool.start)
    for fault in faults:  # the worker goes on: what it says of the others does not depend on this one
        print(
            sanitize(f"{fault}; until it can be started, each of its evaluations is an error"),
            file=sys.stderr,
        )
    # Faust takes a second to import: a wrong configuration is reported before.
    from agents.notify import NotifyAgent
    from agents.runtime.app import run
    from agents.watch import WatchAgent
    from agents.web.server import serve

    run(config, [WatchAgent(config, pool), NotifyAgent(config)], beside=[serve])
    raise AssertionError("run returned")  # pragma: no cover
