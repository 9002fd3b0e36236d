from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softfail.sampling import Bucket, Sampler, unit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_decision_is_the_same_in_every_process() -> None:
    code = (
        "from softfail.sampling import Sampler; s = Sampler(0.5, 0.5, 0); print([tuple(s.decide(f's{i}',"
        " False)) for i in range(200)])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    sampler = Sampler(0.5, 0.5, 0)
    assert outputs == {str([tuple(sampler.decide(f"s{i}", False)) for i in range(200)]) + "\n"}


@given(st.text(st.characters()), st.sampled_from([b"a", b"b"]))
def test_a_name_gives_a_number_in_the_unit_interval(name: str, salt: bytes) -> None:
    assert 0.0 <= unit(name, salt) < 1.0


def test_sampling_and_content_are_independent_and_have_their_probabilities() -> None:
    sampler = Sampler(0.3, 0.2, 0)
    decisions = [sampler.decide(f"session-{i}", False) for i in range(40_000)]
    sent = [decision for decision in decisions if decision.send]
    assert len(sent) / 40_000 == pytest.approx(0.3, abs=0.01)
    assert sum(decision.text for decision in sent) / len(sent) == pytest.approx(0.2, abs=0.015)
    assert {(decision.sample_probability, decision.content_probability) for decision in decisions} == {
        (0.3, 0.2)
    }


def test_a_session_comes_whole_or_not_at_all() -> None:
    sampler = Sampler(0.5, 0.5, 0)
    assert all(len({sampler.decide(f"s{session}", False) for _ in range(5)}) == 1 for session in range(100))


def test_an_error_with_a_token_is_certain_and_says_so_and_one_without_says_the_ordinary_probabilities() -> (
    None
):
    clock = Clock()
    sampler = Sampler(0.01, 0.02, 3, clock)
    decisions = [sampler.decide(f"e{i}", True) for i in range(5)]
    assert [tuple(decision) for decision in decisions[:3]] == [(True, True, 1.0, 1.0)] * 3
    assert [decision[2:] for decision in decisions[3:]] == [(0.01, 0.02)] * 2
    clock.now = 20.0  # a third of a minute: one token
    assert [sampler.decide(f"f{i}", True).sample_probability for i in range(2)] == [1.0, 0.01]


def test_the_bucket_gives_its_rate_and_no_more() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    taken = 0
    for second in range(600):
        clock.now = second / 10
        taken += bucket.take() + bucket.take()
    assert 60 + 58 <= taken <= 60 + 60


def weighted_errors(world: int, p: float, q: float) -> tuple[float, float]:
    """One world: sessions with several errors each, in one order; the hashes differ from world to world."""
    order = random.Random(7)
    clock = Clock()
    sampler = Sampler(p, q, 6, clock)
    events = texts = 0.0
    for _ in range(120):
        clock.now += order.expovariate(0.5)
        decision = sampler.decide(f"world-{world}-session-{order.randrange(2)}", True)
        events += decision.send / decision.sample_probability
        texts += decision.text / decision.sample_probability / decision.content_probability
    return events, texts


def test_weights_are_unbiased_over_errors_whether_the_bucket_lasts_or_not() -> None:
    """The mean over worlds of what is sent, weighed by 1/p and 1/(p·q), is the number of errors. A bucket
    that only those take from whom the hash refused fails this (see ``Sampler``): the second error of a
    sampled session would find it fuller.
    """
    worlds = [weighted_errors(world, 0.3, 0.4) for world in range(3_000)]
    for values in zip(*worlds, strict=True):
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        assert abs(mean - 120) < 4 * deviation / len(values) ** 0.5


def test_without_content_no_ordinary_text_is_sent_and_the_record_is_valid() -> None:
    sampler = Sampler(1.0, 0.0, 1, Clock())
    decisions = [sampler.decide(f"s{i}", False) for i in range(100)]
    assert not any(decision.text for decision in decisions)
    assert {decision.content_probability for decision in decisions} == {1.0}
    assert sampler.decide("e", True).text
