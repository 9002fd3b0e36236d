"""What a partition keeps of a judge: bounded, and the same after a restart."""

from __future__ import annotations

from hashlib import blake2b

from monitor.judging.ledger import MOST_FEATURES, MOST_VERDICTS, Ledger
from monitor.stats.judge_agreement import Matrix

DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US


def copied(ledger, *batches):
    copy = Ledger(ledger.judge)
    for records in batches or [list(ledger.changed())]:
        for key, value in records:
            if value is not None:
                copy.restore(key.decode("utf-8", "surrogatepass").split("/"), value)
    return copy


def test_everything_is_the_same_after_a_restart():
    ledger = Ledger("j")
    for number in range(50):
        ledger.feature("a/b%", "ü").count("id", 0.5, number % 5 == 0, 20_000)
        ledger.remember("a/b%", "ü", f"e{number}", number % 5 == 0, "id")
    assert ledger.label("a/b%", "ü", "e5", True, NOW_US)
    assert not ledger.label("a/b%", "ü", "e5", True, NOW_US)
    assert not ledger.label("a/b%", "ü", "unknown", True, NOW_US)
    ledger.spend(0.25, NOW_US)
    ledger.tally("verdict")
    copy = copied(ledger)
    assert copy.matrix("id", NOW_US) == ledger.matrix("id", NOW_US) == (Matrix(1, 0, 0, 0), NOW_US)
    assert copy.feature_matrix("id", "a/b%", "ü", NOW_US) == Matrix(1, 0, 0, 0)
    assert copy.features["a/b%", "ü"].row() == ledger.features["a/b%", "ü"].row()
    assert copy.features["a/b%", "ü"].labels_since_rise == [1, 1]
    assert (copy.verdicts, copy.results, copy.spent_usd) == (ledger.verdicts, ledger.results, 0.25)
    assert not list(ledger.changed())


def test_labels_count_for_90_days():
    ledger = Ledger("j")
    ledger.remember("s", "f", "e", False, "id")
    ledger.label("s", "f", "e", False, NOW_US)
    assert ledger.matrix("id", NOW_US + 90 * DAY_US)[0].n == 1
    assert ledger.matrix("id", NOW_US + 91 * DAY_US)[0].n == 0


def test_verdicts_that_wait_for_labels_are_bounded_and_the_oldest_leave():
    ledger = Ledger("j")
    for number in range(MOST_VERDICTS + 10):
        ledger.remember("s", "f", f"e{number}", False, "id")
    assert len(ledger.verdicts) == MOST_VERDICTS
    assert sum(value is None for _, value in ledger.changed()) == 10
    assert not ledger.label("s", "f", "e3", False, NOW_US)


def test_features_are_bounded_and_quiet_ones_leave_first():
    ledger = Ledger("j")
    for number in range(MOST_FEATURES):
        ledger.feature("s", f"f{number}").hourly.add(NOW_US - (number < 5) * 2 * DAY_US)
    assert ledger.has_room("s", "f7", NOW_US)
    assert ledger.has_room("s", "new", NOW_US)
    assert len(ledger.features) == MOST_FEATURES - 5
    for number in range(5):
        ledger.feature("s", f"g{number}").hourly.add(NOW_US)
    assert not ledger.has_room("s", "new", NOW_US)


def test_features_with_the_same_ids_of_responses_do_not_mix():
    ledger = Ledger("j")
    ledger.remember("s", "a", "r1", True, "id")
    ledger.remember("s", "b", "r1", False, "id")
    assert ledger.label("s", "b", "r1", False, NOW_US)
    assert not ledger.label("s", "c", "r1", True, NOW_US)
    assert ledger.label("s", "a", "r1", True, NOW_US)
    assert ledger.feature_matrix("id", "s", "a", NOW_US) == Matrix(1, 0, 0, 0)
    assert ledger.feature_matrix("id", "s", "b", NOW_US) == Matrix(0, 0, 0, 1)
    assert ledger.feature_matrix("id", "s", "c", NOW_US) == Matrix()
    assert ledger.matrix("id", NOW_US)[0] == Matrix(1, 0, 0, 1)


def test_verdicts_of_the_release_before_are_joined_by_the_id_alone():
    ledger = Ledger("j")
    ledger.restore(["v", "j", blake2b(b"r1", digest_size=10).hexdigest()], b'[1,"id"]')
    assert ledger.label("s", "a", "r1", True, NOW_US)
    assert dict(ledger.changed())[f"v/j/{blake2b(b'r1', digest_size=10).hexdigest()}".encode()] is None
    assert ledger.matrix("id", NOW_US)[0] == Matrix(1, 0, 0, 0)
