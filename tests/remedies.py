"""Takes away one remedy after the other and demands that a test fails without it: ``python tests/remedies.py
[--fast] [NAME ...]``

For each entry of ``removals.REMOVALS`` the tree is copied, the remedy is taken out of the copy, and the tests
that are said to hold it are run there. A failure counts only in the test itself: a module that cannot be
imported, a fixture that breaks or a test that is skipped shows nothing about the law. First everything that
is named is run on an untouched copy: a test that fails anyway proves nothing either.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from removals import REMOVALS, Removal

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300
WHERE = (
    "import agents, monitor, schemas, softfail; print(*(module.__file__ for module in (agents, monitor,"
    " schemas, softfail)), sep='\\n')"
)


def files() -> list[str]:
    """List files tracked by git in the working directory, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def environment(copy: Path) -> dict[str, str]:
    """Return an environment in which every process imports the copy."""
    return {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'sdk'}", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def copied(tree: Path, names: Iterable[str]) -> Iterator[Path]:
    """Copy these files of a tree into a temporary folder, with the jars of Kafka."""
    copy = Path(tempfile.mkdtemp(prefix="softfail-remedy-")).resolve()
    try:
        for name in names:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, copy / name)
        (copy / ".cache").symlink_to(ROOT / ".cache")
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def check_imports(copy: Path) -> None:
    """Check that Python imports everything of ours from the copy; ``softfail`` is installed from elsewhere.

    Raises:
        SystemExit: it does not.
    """
    imported = subprocess.run(
        [sys.executable, "-c", WHERE], cwd=copy, env=environment(copy), capture_output=True, text=True
    )
    if imported.returncode:
        raise SystemExit(f"the tree cannot be imported:\n{imported.stderr}")
    if strangers := [path for path in imported.stdout.splitlines() if not Path(path).is_relative_to(copy)]:
        raise SystemExit(f"the copy would test what is not in it: {strangers}")


def remove(removal: Removal, copy: Path) -> None:
    """Remove the remedy.

    Raises:
        SystemExit: its code is not there exactly once.
    """
    path = copy / removal.file
    try:
        path.write_text(removal.apply(path.read_text("utf-8")), "utf-8")
    except ValueError as error:
        raise SystemExit(str(error)) from None


class Outcome(NamedTuple):
    """The worst outcome of the cases of a test: "passed", "failed", "error", "skipped", "hung" or "not
    run".
    """

    state: str
    took_s: float = 0.0


def outcomes(copy: Path, tests: Sequence[str], patience_s: float) -> dict[str, Outcome]:
    """Run the tests in one process; their output is in ``copy/said``."""
    report = copy / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        f"--junitxml={report}",
        *tests,
    ]
    with open(copy / "said", "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=copy,
            env=environment(copy),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the broker and the workers that it has started
            process.wait()
            return dict.fromkeys(tests, Outcome("hung", patience_s))
    cases: dict[str, list[ElementTree.Element]] = {test: [] for test in tests}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        ran = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"
        for test, test_cases in cases.items():
            if ran == test or ran.startswith(f"{test}["):
                test_cases.append(case)
    return {test: _worst(test_cases) for test, test_cases in cases.items()}


def _worst(cases: Sequence[ElementTree.Element]) -> Outcome:
    tags = {child.tag for case in cases for child in case}
    state = next(
        (
            state
            for tag, state in (("failure", "failed"), ("error", "error"), ("skipped", "skipped"))
            if tag in tags
        ),
        "passed",
    )
    return Outcome(state, sum(float(case.get("time", 0)) for case in cases)) if cases else Outcome("not run")


def baseline(removals: Iterable[Removal], tree: Path) -> list[str]:
    """Return the tests that fail without any removal, each with its outcome."""
    tests = sorted({test for removal in removals for test in removal.tests})
    wrong = [
        f"{test}: {outcome.state}"
        for test, outcome in outcomes(tree, tests, PATIENCE_S + 60 * len(tests)).items()
        if outcome.state != "passed"
    ]
    if wrong:
        print((tree / "said").read_text(errors="replace")[-6000:])
    return wrong


def try_without(removal: Removal, tree: Path, names: Sequence[str], verbose: bool) -> bool:
    """Return whether a test fails without the remedy; print a line per test."""
    with copied(tree, names) as copy:
        remove(removal, copy)
        outcomes_by_test = outcomes(copy, removal.tests, PATIENCE_S)
        for test, (state, took_s) in outcomes_by_test.items():
            verdict = "yes" if state == "failed" else f"NO ({state})"
            print(
                f"{removal.name:34} {removal.row:18} {test.split('::')[1][:94]:94} {verdict:12}"
                f" {took_s:5.1f} s",
                flush=True,
            )
        failed = [outcome.state == "failed" for outcome in outcomes_by_test.values()]
        if verbose or not all(failed):
            print((copy / "said").read_text(errors="replace")[-3000:])
        return any(failed)


def main(argv: Sequence[str] | None = None) -> int:
    """Try the named remedies, or all; return 0 if a test detected each removal."""
    parser = argparse.ArgumentParser(description="Does a test fail without each remedy?")
    parser.add_argument("names", nargs="*", metavar="NAME", help="remedies (default: all)")
    parser.add_argument("--fast", action="store_true", help="only what needs no Kafka")
    parser.add_argument("--verbose", action="store_true", help="show how each test failed")
    parser.add_argument(
        "--no-baseline",
        action="store_true",
        help="do not first see that the tests pass with every remedy in place",
    )
    parser.add_argument("--list", action="store_true", help="name the remedies and end")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - {removal.name for removal in REMOVALS}:
        parser.error(f"no such remedy: {', '.join(sorted(unknown))}; see --list")
    chosen = [removal for removal in REMOVALS if not options.names or removal.name in options.names]
    if options.fast:
        chosen = [removal for removal in chosen if not removal.kafka]
    if options.list:
        for removal in chosen:
            print(f"{removal.name:34} {removal.row:18} {removal.file}")
        return 0
    names = files()
    with copied(ROOT, names) as tree:  # others may be at work in ours
        check_imports(tree)
        if not options.no_baseline and (wrong := baseline(chosen, tree)):
            print("with every remedy in place these do not pass, so they prove nothing:", *wrong, sep="\n  ")
            return 1
        print(f"{'remedy':34} {'design':18} {'test':94} {'fails without it'}")
        unmissed = [
            removal.name for removal in chosen if not try_without(removal, tree, names, options.verbose)
        ]
    print(
        f"{len(chosen)} remedies, {len(chosen) - len(unmissed)} missed by a test"
        + (f"; NOT MISSED: {', '.join(unmissed)}" if unmissed else "")
    )
    return 1 if unmissed else 0


if __name__ == "__main__":
    raise SystemExit(main())
