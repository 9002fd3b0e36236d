"""Metric ids in state records: each keeps its meaning."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from monitor.windows.metric_definitions import (
    CATEGORIES,
    FEEDBACK_QUANTITIES,
    LANGUAGES,
    RATES,
    RESPONSE_QUANTITIES,
)
from monitor.windows.metric_ids import METRIC_NAMES, metric_id, metric_name
from monitor.windows.pane import Pane


def test_the_metric_ids_of_format_version_3_are_unchanged():
    """State records contain the ids: a name may be added at the end, and that raises the format version."""
    assert hashlib.sha256("\n".join(METRIC_NAMES).encode()).hexdigest()[:16] == "fd734a42e0600b92"


def test_every_metric_of_all_panes_has_an_id():
    counted = [*RATES]
    counted += [item.name for item in (*RESPONSE_QUANTITIES, *FEEDBACK_QUANTITIES, *CATEGORIES, *LANGUAGES)]
    assert {name: metric_id(name) for name in counted if isinstance(metric_id(name), str)} == {}


def test_names_with_and_without_id_survive_a_restore():
    names = (*METRIC_NAMES, "stage.rank_s", "evaluator.judge.fail_rate", "")
    assert [metric_name(metric_id(name)) for name in names] == list(names)


def test_a_pane_with_full_names_restores_its_meaning():
    pane = Pane(0)
    pane.rate("error_rate").add(1_000_000, 10, 3)
    values = msgspec.msgpack.decode(pane.state())
    values[5] = [[metric_name(name), state] for name, state in values[5]]
    assert (
        Pane.from_state(0, msgspec.msgpack.encode(values)).rates["error_rate"].state()
        == pane.rates["error_rate"].state()
    )


@pytest.mark.parametrize("number", [len(METRIC_NAMES), -1])
def test_an_unknown_id_is_refused(number):
    pane = Pane(0)
    pane.rate("error_rate").add(1_000_000, 10, 3)
    values = msgspec.msgpack.decode(pane.state())
    values[5][0][0] = number
    with pytest.raises(ValueError, match=r"\$\[5\]\[0\]\[0\]"):
        Pane.from_state(0, msgspec.msgpack.encode(values))
