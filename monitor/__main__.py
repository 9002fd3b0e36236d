"""``python -m monitor COMMAND``: the commands that need no Kafka."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

USAGE = """usage: python -m monitor COMMAND ...

  baseline pin    write the distributions of a period to a file, as a named reference for drift rules
  check FILE      check a configuration file; print each fault with its path and remedy, and what matches nothing seen
  compare FILES   compare two versions of a feature: every metric, with intervals that are valid at any time of looking
  evaluate FILES  print the verdicts on each response in NDJSON files
  gate FILES      whether a new version may be promoted, as an exit code: 0 promote, 1 roll back, 3 cannot tell
  golden          sets of cases that a model must answer well: run them before a release, and fail only if it is worse
  judge calibrate FILES
                  compare the verdicts of a judge with labels of people; write its calibration file
  plan            say how many calls and days a comparison of two versions needs
  replay FILES    run the rules over files of events; report the episodes that they would have opened, as text or as
                  a page with plots, and how another configuration would change them
  report weekly   write a page: what moved this week, new inputs, cost, trust in judges, what to review
  review sample   draw answers for people to read, with a page to label them by keyboard
  review status   show progress, agreement, the rate of the labels, and how many labels are missing
  review import   make evaluation events of labels

python -m monitor COMMAND --help prints the options of a command."""


def main(argv: Sequence[str]) -> int:
    """Run a command; return its exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    command = _command(argv[0])
    if command is None:
        print(f"python -m monitor: no command {argv[0]!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    return command(argv[1:])


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    if name == "baseline":
        from monitor.cli.baseline import main as command
    elif name == "check":
        from monitor.cli.check import main as command
    elif name == "compare":
        from monitor.cli.compare import main as command
    elif name == "evaluate":
        from monitor.cli.evaluate import main as command
    elif name == "gate":
        from monitor.cli.gate import main as command
    elif name == "golden":
        from monitor.cli.golden.main import main as command
    elif name == "judge":
        from monitor.cli.judge import main as command
    elif name == "plan":
        from monitor.cli.plan import main as command
    elif name == "replay":
        from monitor.cli.replay import main as command
    elif name == "report":
        from monitor.cli.report import main as command
    elif name == "review":
        from monitor.cli.review import main as command
    else:
        return None
    return command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
