"""``python -m agents golden``: golden sets with the judges of the configuration, and failures from Kafka."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from agents.commands.command_line import CONFIG_ERRORS, KAFKA_ERRORS, connected
from agents.judging.configured_judge import ConfiguredJudge
from agents.kafka.topic_reader import BlockingTopicReader
from agents.process import exits
from monitor.backtest.event_files import UnreadableInput
from monitor.cli.golden.judges import RunJudge
from monitor.cli.golden.main import main as golden
from schemas.config.judges import Judge


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of golden sets; return its exit code."""
    return golden(argv, prog="python -m agents golden", configured_judge=_judge, read_topic=_samples)


def _judge(judge: Judge) -> RunJudge:
    """Make a judge with its client.

    Raises:
        UnreadableInput: its key or its package is missing.
    """
    variable = judge.endpoint.api_key_variable
    if not (key := os.environ.get(variable)):
        raise UnreadableInput(
            f"--judge {judge.name}: the environment has no variable {variable}; set it, to any text if the server asks"
            " for no key"
        )
    if judge.calibration is None:
        print(
            f"the judge {judge.name} has no calibration; nobody knows how often its grades are right (docs/judges.md)",
            file=sys.stderr,
        )
    try:
        return ConfiguredJudge(judge, key)
    except exits.Misconfigured as error:
        raise UnreadableInput(str(error)) from None


def _samples(path: Path | None, topic: str | None) -> Iterator[bytes]:
    """Yield the records of the topic of samples, up to where it ends now.

    Raises:
        UnreadableInput: Kafka or the topic cannot be read.
    """
    try:
        kafka = connected(path).kafka
        name = topic or f"{kafka.prefix}.samples"
        with BlockingTopicReader(kafka) as reader:
            if not reader.partitions(name):
                raise UnreadableInput(f"topic {name} does not exist; check kafka.prefix or --topic")
            yield from (record.value for record in reader.records(name) if record.value)
    except exits.Refused as error:
        raise UnreadableInput(str(error)) from None
    except CONFIG_ERRORS as error:
        raise UnreadableInput(str(error)) from None
    except KAFKA_ERRORS as error:
        raise UnreadableInput(f"Kafka cannot be read: {type(error).__name__}: {error}") from None
