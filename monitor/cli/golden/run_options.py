"""Options of ``golden run`` and ``golden compare``, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from monitor.cli.golden.outputs import add_output_options
from monitor.golden.gate import DEFAULT_MARGIN
from schemas.fields import duration_s


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is asked, and how."""
    parser.add_argument("set", metavar="SET", help="NDJSON file of cases")
    parser.add_argument(
        "--target",
        required=True,
        metavar="TARGET",
        help="http(s)://..., a command, or python:module:function",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="of an address; ${VARIABLE} is read from the environment",
    )
    parser.add_argument(
        "--judge",
        metavar="NAME|TARGET",
        help="a judge of --config, which grades each answer; or a target like --target, which decides rubrics",
    )
    parser.add_argument(
        "--config", metavar="softfail.yaml", help="evaluators of the features that cases name"
    )
    parser.add_argument("--run", metavar="FILE", help="where the run is kept (default: SET with .run.ndjson)")
    _add_effort(parser)


def _add_effort(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--resume",
        action="store_true",
        help="continue an interrupted run; of a finished one, repeat the verdict",
    )
    how.add_argument("--fresh", action="store_true", help="replace an interrupted run")
    parser.add_argument(
        "--repeat",
        type=_whole(1, 100),
        default=1,
        metavar="K",
        help="ask each case K times (default: 1; a case that fails is asked three times)",
    )
    parser.add_argument(
        "--concurrency",
        type=_whole(1, 256),
        default=4,
        metavar="N",
        help="calls at the same time (default: 4)",
    )
    parser.add_argument(
        "--retries",
        type=_whole(0, 20),
        default=3,
        metavar="N",
        help="further attempts after one that failed (default: 3)",
    )
    parser.add_argument(
        "--timeout",
        type=_duration,
        default=60.0,
        metavar="TIME",
        help="of one attempt, like 30s (default: 60s)",
    )
    parser.add_argument(
        "--max-time", type=_duration, metavar="TIME", help="start no call after this time, like 20m"
    )
    parser.add_argument(
        "--max-cost",
        type=_dollars,
        metavar="USD",
        help="stay below this cost, by the cost_usd of the answers and the calls of the judge",
    )


def add_comparison_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` and `compare` have in common."""
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        help="the run to compare with; without it only cases that must pass decide",
    )
    parser.add_argument(
        "--history",
        action="append",
        default=[],
        metavar="FILE",
        help="an earlier run, which says which cases are flaky; may be repeated",
    )
    parser.add_argument(
        "--margin",
        type=_share,
        default=DEFAULT_MARGIN,
        metavar="SHARE",
        help="rise of the failure rate that does not matter (default: 0.05)",
    )
    add_output_options(parser)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse


def _duration(text: str) -> float:
    try:
        seconds = duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from None
    if not seconds:
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _dollars(text: str) -> float:
    if not 0 < (amount := _number(text)) < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: write dollars, like 2.50")
    return amount


def _share(text: str) -> float:
    if not 0 < (share := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a share between 0 and 1, like 0.05")
    return share
