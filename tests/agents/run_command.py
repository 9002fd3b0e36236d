"""``python -m agents`` in this process: a command takes as long as its work, without the start of a process.

Real processes of the commands: ``tests/integration/agents/test_secured_on_kafka.py`` and, of ``silence``,
``test_silence_on_kafka.py``.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple
from unittest import mock

from agents.__main__ import main


class Finished(NamedTuple):
    """What a command returned and printed."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*arguments: str, environment: Mapping[str, str] | None = None, typed: str = "") -> Finished:
    """Run ``python -m agents ARGUMENTS``.

    Args:
        environment: variables beside those of this process.
        typed: what standard input gives; it is no terminal.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment or {}),
        mock.patch.object(sys, "stdin", io.StringIO(typed)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code: Any = main(arguments)
        except SystemExit as end:
            code = end.code
    print(out.getvalue(), err.getvalue())
    return Finished(code, out.getvalue(), err.getvalue())


def kafka_environment(topics: Any) -> dict[str, str]:
    """The configuration of the topics of a test, as variables."""
    return {
        "SOFTFAIL_KAFKA__BROKERS": topics.address,
        "SOFTFAIL_KAFKA__PREFIX": topics.prefix,
        "SOFTFAIL_KAFKA__PARTITIONS": str(topics.partitions),
    }
