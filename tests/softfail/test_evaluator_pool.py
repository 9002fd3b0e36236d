"""Laws of the processes of users' evaluators: a bad one costs its own verdicts, and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from softfail import evaluator_process, evaluator_runner
from softfail.evaluator import Verdict
from softfail.evaluator_pool import EvaluatorPool, Request
from softfail.evaluator_process import Description, EvaluatorSpec
from softfail.evaluator_runner import CUT_OFF, NO_TIME
from tests.polling import wait_until

GOOD = EvaluatorSpec("tests.softfail.own_evaluators:CitesSource")
BAD = EvaluatorSpec("tests.softfail.own_evaluators:by_text", timeout_s=10, memory_mb=256)
HURRIED = EvaluatorSpec("tests.softfail.own_evaluators:by_text", timeout_s=1.5)


def request(spec: EvaluatorSpec, text: str, number: int = 0) -> Request:
    return spec, json.dumps({"event_id": str(number), "output": text}).encode()


def states(pool: EvaluatorPool, spec: EvaluatorSpec, texts: Sequence[str], **how: float) -> list[Verdict]:
    requests = [request(spec, text, number) for number, text in enumerate(texts)]
    verdicts = pool.evaluate(requests, **how)
    return [verdicts[request] for request in requests]


@pytest.fixture(scope="module")
def pool() -> Iterator[EvaluatorPool]:
    with EvaluatorPool(cuts_off=False) as pool:
        yield pool


def test_a_class_and_a_function_are_described_and_evaluate(pool):
    assert pool.describe(GOOD) == Description("3", reads_text=True)
    assert states(pool, GOOD, ["yes [1]", "no", "skip"]) == [
        Verdict("passed", "", 1.0),
        Verdict("failed", "no [1]", 0.0),
        Verdict("skipped", "not asked for", None),
    ]
    short = EvaluatorSpec("tests.softfail.own_evaluators:is_short", '{"most": 3}')
    assert [verdict.state for verdict in states(pool, short, ["abc", "abcd"])] == ["passed", "failed"]


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("sleep", "error", "took more than 1.5 s"),
        ("hold", "error", "took more than 1.5 s"),
        ("ignore SIGTERM", "error", "took more than 1.5 s"),
        ("raise", "error", "ValueError: no such answer"),
        ("awkward", "error", "_Awkward: its text cannot be read"),
        ("exit", "error", "SystemExit: 3"),
        ("interrupt", "error", "KeyboardInterrupt"),
        ("leak", "error", "used more than 256 MB of memory"),
        ("die", "error", "ended its process with code 7"),
        ("kill", "error", "was ended by signal 9"),
        ("print", "passed", ""),
        ("fork", "passed", ""),
        ("fork and stay", "passed", ""),
        ("thread", "passed", ""),
        ("close", "error", "ended its process with code 1"),
        ("garbage", "error", "TypeError: returned dict, not a Verdict or a bool"),
        ("nothing", "error", "TypeError: returned NoneType, not a Verdict or a bool"),
        ("long", "failed", "x" * 500),
        ("not a number", "error", "ValueError: returned the score nan; scores lie between -10^9 and 10^9"),
        ("other state", "error", "ValueError: returned the verdict 'fine' with a reason of type str"),
        ("unpicklable", "failed", "my own text"),
    ],
)
def test_a_response_at_which_an_evaluator_misbehaves_has_its_own_verdict_and_its_neighbours_theirs(
    pool, text, state, reason
):
    spec = HURRIED if text in ("sleep", "hold", "ignore SIGTERM") else BAD
    verdicts = states(pool, spec, ["a", "b", text, "c", *"defghijklmnopqrstuvwxyz"])
    assert (verdicts[2].state, verdicts[2].reason) == (state, reason)
    assert {verdict.state for verdict in verdicts[:2] + verdicts[3:]} == {"passed"}


def test_an_evaluator_that_reads_its_standard_input_gets_nothing_of_the_worker():
    reader, writer = os.pipe()
    before = os.dup(0)
    os.write(writer, b"for the worker\n")
    os.dup2(reader, 0)
    try:
        with EvaluatorPool() as pool:
            assert states(pool, HURRIED, ["read input"]) == [Verdict("passed", "", None)]
        assert os.read(reader, 100) == b"for the worker\n"
    finally:
        os.dup2(before, 0)
        for descriptor in (before, reader, writer):
            os.close(descriptor)


def test_a_process_that_writes_into_its_results_is_replaced(pool):
    verdicts = states(pool, BAD, ["write", *"abc"])
    assert len(verdicts) == 4
    assert states(pool, BAD, ["a", "raise"])[1].reason == "ValueError: no such answer"


def test_every_process_that_an_evaluator_started_ends_with_it():
    with EvaluatorPool() as pool:
        states(pool, BAD, ["fork and stay"])
        (runner,) = pool._runners.values()
        group = runner._process._child.pid
    wait_until(lambda: not _alive(group), missing="a process of the group runs")


def _alive(group: int) -> list[str]:
    """Return the processes of a group that run; one that ended may wait for its parent to notice."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp, *_ = stat.read_text().rpartition(") ")[2].split()
            if int(pgrp) == group and state not in "ZX":
                alive.append(stat.parent.name)
    return alive


def test_a_bad_evaluator_leaves_the_verdicts_of_a_good_one_as_they_are(pool):
    good = [request(GOOD, f"text {number} [1]", number) for number in range(200)]
    bad = [request(BAD, "die" if number % 40 == 0 else "x", number) for number in range(200)]
    mixed = pool.evaluate([item for pair in zip(bad, good, strict=True) for item in pair])
    assert {mixed[item] for item in good} == {Verdict("passed", "", 1.0)}
    assert [mixed[item].state for item in bad].count("error") == 5


def test_equal_requests_are_evaluated_once(pool):
    before = pool.counts()[GOOD].verdicts
    pool.evaluate([request(GOOD, "same [1]")] * 50)
    assert pool.counts()[GOOD].verdicts == before + 1


def test_a_process_that_is_killed_from_outside_costs_nothing():
    with EvaluatorPool() as pool:
        pool.describe(GOOD)
        (runner,) = pool._runners.values()
        os.kill(runner._process._child.pid, signal.SIGKILL)
        assert [verdict.state for verdict in states(pool, GOOD, ["[1]", "no"])].count("error") <= 1
        assert [verdict.state for verdict in states(pool, GOOD, ["[1]", "no"])] == ["passed", "failed"]


def test_where_the_system_has_no_descriptor_of_a_process_its_end_is_noticed_all_the_same(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    with EvaluatorPool() as pool:
        states(pool, BAD, ["fork and stay"])  # what it forked keeps its pipe open
        assert [verdict.state for verdict in states(pool, BAD, ["a", "die", "b"])] == [
            "passed",
            "error",
            "passed",
        ]


KILLED = """
import os, sys, threading, time
from softfail.evaluator_pool import EvaluatorPool
from softfail.evaluator_process import EvaluatorSpec

pool = EvaluatorPool()
spec = EvaluatorSpec("tests.softfail.own_evaluators:by_text", timeout_s=1)
pool.describe(spec)
print(pool._runners[spec]._process._child.pid, flush=True)
pool._runners[spec].begin([b'{"event_id": "1", "output": "sleep"}'], 0.0, 0.0)
time.sleep(3600)
"""


def test_a_process_that_hangs_ends_by_itself_when_the_worker_was_killed():
    worker = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    group = int(worker.stdout.readline())
    worker.kill()
    worker.wait()
    worker.stdout.close()
    wait_until(lambda: not _alive(group), 60, missing="a process of the group runs")


class TestBudget:
    def test_what_is_left_at_the_end_of_the_time_is_skipped_and_the_next_bundle_starts_anew(self):
        with EvaluatorPool() as pool:
            pool.describe(BAD)
            verdicts = states(pool, BAD, ["a", "sleep", "b"], budget_s=1.5)
            assert verdicts == [Verdict("passed"), NO_TIME, NO_TIME]
            assert states(pool, BAD, ["c"], budget_s=60) == [Verdict("passed")]

    def test_an_evaluator_that_raises_on_half_of_its_last_responses_is_cut_off_for_ten_minutes(self):
        with EvaluatorPool() as pool:
            texts = ["raise", "a"] * 15
            first = states(pool, BAD, texts, now_s=1000)
            assert [verdict.state for verdict in first].count("error") == 15
            assert states(pool, BAD, ["b"], now_s=1599) == [CUT_OFF]
            (cut_off,) = pool.cut_offs(1599)
            assert cut_off.reason == (
                "11 of its last 21 responses got no verdict: ValueError: no such answer"
            )
            assert states(pool, BAD, ["b"], now_s=1600) == [Verdict("passed")]
            assert not pool.cut_offs(1600)
            assert pool.counts()[BAD].cut_off == 1

    def test_an_evaluator_whose_process_ends_ten_times_within_ten_minutes_is_cut_off(self):
        with EvaluatorPool() as pool:
            for number in range(10):
                verdicts = states(pool, BAD, ["die", *"abcdefghi"], now_s=number * 60)
            assert verdicts[0].state == "error"
            assert set(verdicts[1:]) == {CUT_OFF}
            assert pool.counts()[BAD].ends["exit"] == 10

    def test_errors_that_are_few_cut_nothing_off(self):
        with EvaluatorPool() as pool:
            for number in range(20):
                assert states(pool, BAD, ["raise", *"abc"], now_s=number)[1] == Verdict("passed")
            assert not pool.cut_offs()


class TestStart:
    def test_an_import_that_hangs_is_given_up(self, monkeypatch):
        monkeypatch.setattr(evaluator_process, "START_S", 0.5)
        monkeypatch.setattr(evaluator_runner, "START_S", 0.5)
        hangs = EvaluatorSpec("tests.softfail.own_evaluator_hangs:anything")
        with EvaluatorPool() as pool:
            with pytest.raises(ValueError, match=r"the import of tests\.\S+:anything took more than 0\.5 s"):
                pool.describe(hangs)
            assert pool.counts()[hangs].ends["start"] == 1

    def test_imports_that_hang_are_given_up_together(self, monkeypatch):
        monkeypatch.setattr(evaluator_process, "START_S", 0.5)
        monkeypatch.setattr(evaluator_runner, "START_S", 0.5)
        module = "tests.softfail.own_evaluator_hangs"
        hanging = [EvaluatorSpec(f"{module}:{name}") for name in "abcd"]
        with EvaluatorPool() as pool:
            pool.start(hanging)
            assert {runner._process is not None for runner in pool._runners.values()} == {True}
            deadlines = {runner.deadline_s for runner in pool._runners.values()}
            assert max(deadlines) - min(deadlines) < 0.5
            for spec in hanging:
                with pytest.raises(ValueError, match="took more than"):
                    pool.describe(spec)

    def test_a_bundle_does_not_wait_for_an_import_that_hangs(self):
        hangs = EvaluatorSpec("tests.softfail.own_evaluator_hangs:anything")
        with EvaluatorPool() as pool:
            assert states(pool, hangs, ["a", "b"], budget_s=0.2) == [NO_TIME, NO_TIME]

    def test_an_import_that_ends_the_process_is_an_error_of_each_response(self):
        ends = EvaluatorSpec("tests.softfail.own_evaluator_exits:anything")
        with EvaluatorPool() as pool:
            verdicts = states(pool, ends, ["a", "b"])
            assert set(verdicts) == {Verdict("error", "cannot be started: ended its process with code 5")}

    @pytest.mark.parametrize(
        ("use", "parameters", "says"),
        [
            ("cites", {}, "there is no entry point 'cites' in the group softfail.evaluators"),
            ("nowhere.at_all:X", {}, "there is no module 'nowhere'; put it beside softfail.yaml"),
            ("tests.softfail.own_evaluators:CitesSorce", {}, "did you mean 'CitesSource'?"),
            ("tests.softfail.own_evaluators:LEAK", {}, "is a list; name a function or a class"),
            ("tests.softfail.own_evaluators:NoCall", {}, "has no method __call__"),
            ("tests.softfail.own_evaluators:TakesTwo", {}, "cannot be called with one response"),
            ("tests.softfail.own_evaluators:waits", {}, "is asynchronous"),
            ("tests.softfail.own_evaluators:BadVersion", {}, "version is 3; it must be a text"),
            ("tests.softfail.own_evaluators:is_short", {}, "parameter 'most' is required"),
            (
                "tests.softfail.own_evaluators:CitesSource",
                {"marc": "x"},
                "parameter 'marc' is unknown; did you mean 'mark'?; valid are mark",
            ),
        ],
    )
    def test_an_evaluator_that_cannot_be_made_says_why_and_what_to_do(self, use, parameters, says):
        with EvaluatorPool() as pool, pytest.raises(ValueError, match=r"\w") as fault:
            pool.describe(EvaluatorSpec(use, json.dumps(parameters)))
        assert says in str(fault.value)

    def test_an_entry_point_of_an_installed_package_is_found_by_name(self, tmp_path):
        (tmp_path / "my_package.py").write_text("def good(response):\n    return True\n")
        installed = tmp_path / "my_package-1.0.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
        (installed / "entry_points.txt").write_text("[softfail.evaluators]\ncites = my_package:good\n")
        with EvaluatorPool() as pool:
            paths = (str(tmp_path),)
            assert states(pool, EvaluatorSpec("cites", paths=paths), ["a"]) == [Verdict("passed")]
            with pytest.raises(ValueError, match=r"did you mean 'cites'\?; installed are: cites"):
                pool.describe(EvaluatorSpec("cite", paths=paths))

    def test_a_module_beside_the_configuration_is_found(self, tmp_path):
        (tmp_path / "my_own.py").write_text("def good(response):\n    return True\n")
        with EvaluatorPool() as pool:
            spec = EvaluatorSpec("my_own:good", paths=(str(tmp_path),))
            assert states(pool, spec, ["a"]) == [Verdict("passed")]

    def test_a_process_has_no_secret_of_the_worker_and_the_variables_that_are_named(
        self, tmp_path, monkeypatch
    ):
        (tmp_path / "my_env.py").write_text(
            "import os\nfrom softfail.evaluator import failed\n"
            "def names(response):\n    return failed(' '.join(sorted(os.environ)))\n"
        )
        monkeypatch.setenv("PAGERDUTY_ROUTING_KEY", "secret")
        monkeypatch.setenv("MODEL_PATH", "/models")
        with EvaluatorPool() as pool:
            spec = EvaluatorSpec("my_env:names", paths=(str(tmp_path),), environment=("MODEL_PATH",))
            names = states(pool, spec, ["a"])[0].reason.split()
        assert "MODEL_PATH" in names
        assert "PAGERDUTY_ROUTING_KEY" not in names
