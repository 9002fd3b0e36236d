"""``python -m agents judge``: have a sample of the responses graded by models."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence

from agents.commands.command_line import add_config, invalid_configuration
from agents.process import exits
from monitor.config_check import load_checked_config
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped; return 78 for a configuration that cannot be used, else the process ends itself."""
    parser = argparse.ArgumentParser(
        prog="python -m agents judge",
        description="Have a sample of the responses graded by the models under `judges`. State is kept in Kafka. Its page"
        " and /metrics take http.port: beside a worker on one machine, set SOFTFAIL_HTTP__PORT.",
    )
    add_config(parser)
    options = parser.parse_args(argv)
    try:
        config = load_checked_config(options.config)
        keys = _keys(config, os.environ)
        # Faust takes a second to import: a wrong configuration is reported before.
        from agents.judging.agent import JudgeAgent
        from agents.judging.caller import Caller
        from agents.judging.clients import client_of
        from agents.kafka.consumer_group import group_of
        from agents.runtime.app import run
        from agents.web.server import serve
        from monitor.judging.standing import Standing

        standings = {judge.name: Standing(judge) for judge in config.judges}
        callers = {
            name: Caller(standing, client_of(standing.judge, keys[name]))
            for name, standing in standings.items()
        }
    except (InvalidConfig, exits.Misconfigured) as error:
        return invalid_configuration(error)
    agent = JudgeAgent(config, callers, standings)
    run(config, [agent], beside=[serve], group=group_of(config.kafka, agent.name))
    raise AssertionError("run returned")  # pragma: no cover


def _keys(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the key of each judge.

    Raises:
        Misconfigured: there is no judge, or a variable is not set.
    """
    if not config.judges:
        raise exits.Misconfigured("judges: there is none in the configuration; docs/judges.md has an example")
    if config.kafka.embedded:
        raise exits.Misconfigured(
            "kafka.embedded: the embedded broker keeps nothing; judges need an Apache Kafka"
        )
    faults = [
        f"judges[{index}].endpoint.api_key_variable: the environment has no variable {name}; set it, to any text if the"
        " server asks for no key"
        for index, judge in enumerate(config.judges)
        if not environment.get(name := judge.endpoint.api_key_variable)
    ]
    if faults:
        raise exits.Misconfigured("\n".join(faults))
    return {judge.name: environment[judge.endpoint.api_key_variable] for judge in config.judges}
