"""What softfail writes for the recorded corpus is what it wrote before, byte for byte.

After a change that alters outputs knowingly: `python -m tests.corpus.record`, and review the difference. See
README.md.
"""

from __future__ import annotations

import hashlib
import json
import lzma

import pytest

from tests.corpus import scenario

EXPECTED = scenario.HERE / "expected"
HASHES = json.loads((EXPECTED / "hashes.json").read_text())
CONTEXT = 120  # characters before and after the first difference
IN_MEMORY = ("watch-heartbeats", "watch-state", "watch-looks")
"""Texts of a worker that depend on how long it has been running: they are compared without a stop only."""


def recorded(name: str) -> list[str]:
    return (
        lzma.decompress((EXPECTED / f"{name}.xz").read_bytes())
        .decode("utf-8", "surrogateescape")
        .split("\n")[:-1]
    )


def difference(lines: list[str], before: list[str]) -> str:
    """Describe the first line that differs; empty where none does."""
    for number in range(max(len(lines), len(before))):
        new = lines[number] if number < len(lines) else "(no line)"
        old = before[number] if number < len(before) else "(no line)"
        if new != old:
            place = next(
                (
                    place
                    for place, (new_character, old_character) in enumerate(zip(new, old, strict=False))
                    if new_character != old_character
                ),
                min(len(new), len(old)),
            )
            cut = slice(max(0, place - CONTEXT), place + CONTEXT)
            return f"line {number + 1} of {len(lines)} ({len(before)} recorded), character {place + 1}:\n  recorded: ...{old[cut]}\n  now:      ...{new[cut]}"
    return ""


def check(texts: scenario.Texts) -> None:
    """Compare with the recorded texts: by hash, and line by line where it differs."""
    differences = {}
    for name, lines in texts.items():
        data = "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
        if hashlib.sha256(data).hexdigest() != HASHES[name]["sha256"]:
            differences[name] = difference(
                "".join(line + "\n" for line in lines).split("\n")[:-1], recorded(name)
            )
    assert not differences, "\n".join(f"{name}: {text}" for name, text in differences.items())


@pytest.fixture(scope="module")
def live() -> tuple[scenario.Texts, scenario.Stop]:
    return scenario.live()


def test_the_commands_print_the_recorded_outputs() -> None:
    check(scenario.replay())


def test_verdicts_and_pins_equal_the_recorded_output() -> None:
    check(scenario.evaluate())


def test_workers_write_the_recorded_outputs(live: tuple[scenario.Texts, scenario.Stop]) -> None:
    check({name: lines for name, lines in live[0].items() if name.startswith("watch")})


def test_the_notifier_sends_the_recorded_requests(live: tuple[scenario.Texts, scenario.Stop]) -> None:
    check({name: lines for name, lines in live[0].items() if name.startswith("notify")})


def test_a_state_of_an_older_release_is_read_and_gives_the_recorded_outputs() -> None:
    stop = scenario.Stop.from_bytes(lzma.decompress((EXPECTED / "stop.json.xz").read_bytes()))
    assert any(key.startswith(b"delivery/") for key in stop.notify)
    resumed = scenario.resumed(stop, recorded("watch-heartbeats"))
    for name, lines in resumed.items():
        if name not in IN_MEMORY:
            before = recorded(name)
            if name != "watch-kept":
                before = [line for line in before if int(line.split(" ", 1)[0]) > scenario.STOP_STEP]
            assert not (text := difference(lines, before)), f"{name}: {text}"


def test_every_recorded_output_is_compared(live: tuple[scenario.Texts, scenario.Stop]) -> None:
    prefixes = ("replay-", "evaluate-", "pin-")
    assert {name for name in HASHES if not name.startswith(prefixes)} == set(live[0])
    assert {path.name.removesuffix(".xz") for path in EXPECTED.glob("*.xz")} == {*HASHES, "stop.json"}
