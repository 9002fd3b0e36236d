from __future__ import annotations

import logging
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from agents.process.log_setup import MOST_KINDS, RateLimit, SafeFormatter


def line(message: str, name: str = "aiokafka", args: tuple[object, ...] = ()) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, args, None)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_equal_lines_are_logged_once_a_second_and_the_next_line_counts_the_suppressed_lines():
    clock = Clock()
    limit = RateLimit(clock=clock)
    assert [limit.filter(line("no broker %s", args=(n,))) for n in range(100)] == [True] + [False] * 99
    clock.now += 1
    later = line("no broker %s", args=(100,))
    assert limit.filter(later)
    assert later.getMessage() == "no broker 100 [and 99 more like it]"


def test_lines_of_another_template_are_logged_at_the_same_time():
    limit = RateLimit(clock=Clock())
    assert limit.filter(line("a"))
    assert limit.filter(line("b"))
    assert limit.filter(line("a", name="faust"))


def test_a_log_line_with_external_text_has_no_hidden_character():
    evil = line("key %s of a record", args=("\x1b[2J\u202ebot\u200b",), name="softfail.store")
    assert SafeFormatter("%(name)s %(message)s").format(evil) == "softfail.store key  [2Jbot of a record"


def test_a_traceback_keeps_its_lines():
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        failed = logging.LogRecord(
            "softfail", logging.ERROR, "", 0, "failed", (), (ValueError, error, error.__traceback__)
        )
    text = SafeFormatter("%(message)s").format(failed)
    assert text.startswith("failed\nTraceback (most recent call last):\n  File ")
    assert text.endswith("\nValueError:  [2J")


def test_lines_of_softfail_are_never_suppressed():
    limit = RateLimit(clock=Clock())
    assert all(limit.filter(line("EXIT", name="softfail.exits")) for _ in range(10))
    assert not all(limit.filter(line("EXIT", name="softfailure")) for _ in range(10))


def test_a_percent_sign_in_a_counted_line_does_not_break_it():
    clock = Clock()
    limit = RateLimit(clock=clock)
    for _ in range(3):
        limit.filter(line("lag %d", args=(3,)))
    clock.now += 2
    later = line("lag %d", args=(3,))
    limit.filter(later)
    later.msg = f"{later.msg} 100%"
    assert later.getMessage() == "lag 3 [and 2 more like it] 100%"


@given(st.lists(st.integers(0, 10**6), max_size=3000))
def test_the_number_of_remembered_templates_is_bounded(numbers):
    limit = RateLimit(clock=Clock())
    for number in numbers:
        limit.filter(line(f"value {number}"))
    assert len(limit._last) <= MOST_KINDS


def test_a_full_disk_under_the_log_stops_nothing():
    script = """
import logging
import subprocess
import sys
from agents.process import exits, log_setup, supervisor
log_setup.configure()
for number in range(100):
    logging.getLogger("softfail").error("line %d", number)
supervisor._say("a line")
exits.leave(7, "done")
"""
    with open("/dev/full", "wb") as full:
        code = subprocess.run([sys.executable, "-c", script], stdout=full, stderr=full, timeout=60).returncode
    assert code == 7
