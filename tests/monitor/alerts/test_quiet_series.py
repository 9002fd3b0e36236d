"""A watch that leaves quiet series out writes what one writes that reads every rule on every series."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.alerts.quiet_series import NOTHING, QuietSeries, _is_plain
from monitor.protocol.messages import FileRecord
from monitor.stats.sampling_weights import MILLION, Units
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import event

MINUTES = 75
RESTART = 40


def values_of(seed: int) -> list[list[bytes]]:
    """Return the events of each minute: two segments of one feature, one of which fails and answers at length from
    minute 50 on; 3 % of the events come late, and few are sampled in a second feature.
    """
    rng = random.Random(seed)
    out = []
    for minute in range(MINUTES):
        values = []
        for _ in range(60):
            late_s = 60 * rng.randrange(1, 20) if rng.random() < 0.03 else 0
            segment, is_changed = rng.randrange(2), minute >= 50
            failed = rng.random() < (0.3 if is_changed and segment else 0.01)
            more = {"sample_probability": 0.5, "feature": "draft"} if rng.random() < 0.2 else {}
            values.append(
                event(
                    minute * 60 + rng.random() * 60 - late_s,
                    event_id=f"{rng.getrandbits(64):x}",
                    model=f"m{segment}",
                    output_tokens=int(rng.lognormvariate(5 + (is_changed and segment), 0.4)),
                    error_type="timeout" if failed else None,
                    finish_reason=None if failed else "stop",
                    **more,
                )
            )
        out.append(values)
    return out


def run(minutes: list[list[bytes]], restart: int | None) -> list[tuple[str, bytes]]:
    """Return all outputs and state records in order; ``restart``: after so many minutes, from the state."""
    watch, out, state, offset = Watch(Config(), 0, 1), [], dict[bytes, bytes | None](), 0
    for number, values in enumerate(minutes, 1):
        records = [FileRecord(value, offset + index) for index, value in enumerate(values)]
        offset += len(values)
        out += [(topic, message.value or b"") for topic, message in watch.apply(records).order]
        changed = watch.changed()
        state |= changed
        out += [("state", key + (value or b"")) for key, value in changed]
        if number == restart:
            watch = Watch(Config(), 0, 1)
            watch.restore(state.items())
    return out


@pytest.mark.parametrize("restart", [None, RESTART], ids=["", "a restart"])
def test_leaving_out_quiet_series_changes_no_output_and_no_state(
    restart: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = values_of(1)
    find, sizes = QuietSeries.find, list[int]()

    def counted(*arguments: object) -> Callable[..., frozenset[object]]:
        quiet = find(*arguments)  # type: ignore[arg-type]

        def of_rule(rule: object) -> frozenset[object]:
            series = quiet(rule)  # type: ignore[arg-type]
            sizes.append(len(series))
            return series

        return of_rule

    monkeypatch.setattr(QuietSeries, "find", counted)
    out = run(minutes, restart)
    monkeypatch.setattr(QuietSeries, "find", lambda *arguments: lambda rule: NOTHING)
    assert run(minutes, restart) == out
    assert any(b'"firing"' in value for topic, value in out if topic == "alerts")
    assert sum(sizes) > 0.4 * 5 * 5 * MINUTES  # rules and series


@pytest.mark.parametrize(
    ("known", "is_plain"),
    [(Units(0, 0), True), (Units(1, 1), True), (Units(1000, 1), False), (Units(1000, 1000), False)],
)
def test_a_series_with_a_heavier_weight_that_is_remembered_is_read(known: Units, is_plain: bool) -> None:
    """The arrays count events of weight 1 only; the heavier ones are no longer in any pane."""
    feature: Any = SimpleNamespace(weights=SimpleNamespace(units=lambda *_: known))
    assert _is_plain(feature, None, "error_rate", MILLION) is is_plain
