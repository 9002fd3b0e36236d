from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softfail.sampling import Sampler, TokenBucket, hash_to_unit


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_decision_is_the_same_in_every_process() -> None:
    code = (
        "from softfail.sampling import Sampler; s = Sampler(0.5, 0.5, 0); print([tuple(s.decide(f's{number}',"
        " False)) for number in range(200)])"
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
    assert outputs == {str([tuple(sampler.decide(f"s{number}", False)) for number in range(200)]) + "\n"}


@given(st.text(st.characters()), st.sampled_from([b"a", b"b"]))
def test_a_name_is_hashed_to_the_unit_interval(name: str, salt: bytes) -> None:
    assert 0.0 <= hash_to_unit(name, salt) < 1.0


def test_sampling_and_content_are_independent_with_the_configured_probabilities() -> None:
    sampler = Sampler(0.3, 0.2, 0)
    decisions = [sampler.decide(f"session-{number}", False) for number in range(40_000)]
    sent = [decision for decision in decisions if decision.send]
    assert len(sent) / 40_000 == pytest.approx(0.3, abs=0.01)
    assert sum(decision.include_texts for decision in sent) / len(sent) == pytest.approx(0.2, abs=0.015)
    assert {(decision.sample_probability, decision.content_probability) for decision in decisions} == {
        (0.3, 0.2)
    }


def test_all_calls_of_a_session_get_the_same_decision() -> None:
    sampler = Sampler(0.5, 0.5, 0)
    assert all(len({sampler.decide(f"s{session}", False) for _ in range(5)}) == 1 for session in range(100))


def test_an_error_records_probability_one_with_a_token_and_the_ordinary_probabilities_without() -> None:
    clock = Clock()
    sampler = Sampler(0.01, 0.02, 3, clock)
    decisions = [sampler.decide(f"e{number}", True) for number in range(5)]
    assert [tuple(decision) for decision in decisions[:3]] == [(True, True, 1.0, 1.0, 0.01)] * 3
    assert [decision[2:] for decision in decisions[3:]] == [(0.01, 0.02, None)] * 2
    clock.now_s = 20.0  # a third of a minute: one token
    assert [sampler.decide(f"f{number}", True).sample_probability for number in range(2)] == [1.0, 0.01]


def test_the_bucket_yields_its_rate_and_no_more() -> None:
    clock = Clock()
    bucket = TokenBucket(60, clock)
    token_count = 0
    for tenth in range(600):
        clock.now_s = tenth / 10
        token_count += bucket.take() + bucket.take()
    assert 60 + 58 <= token_count <= 60 + 60


def weighted_errors(world: int, p: float, q: float) -> tuple[float, float]:
    """Simulate sessions with several errors each. The order is fixed; the hashes differ between worlds."""
    order = random.Random(7)
    clock = Clock()
    sampler = Sampler(p, q, 6, clock)
    events = texts = 0.0
    for _ in range(120):
        clock.now_s += order.expovariate(0.5)
        decision = sampler.decide(f"world-{world}-session-{order.randrange(2)}", True)
        events += decision.send / decision.sample_probability
        texts += decision.include_texts / decision.sample_probability / decision.content_probability
    return events, texts


def test_weights_of_errors_are_unbiased_whether_or_not_the_bucket_is_empty() -> None:
    """The mean over worlds of the sent events, weighted by 1/p and 1/(p·q), is the number of errors.

    This fails if only errors that their hash rejects take a token (see ``Sampler``): then the second error
    of a sampled session finds a fuller bucket.
    """
    worlds = [weighted_errors(world, 0.3, 0.4) for world in range(3_000)]
    for values in zip(*worlds, strict=True):
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        assert abs(mean - 120) < 4 * deviation / len(values) ** 0.5


def test_with_content_probability_zero_no_ordinary_text_is_sent_and_the_recorded_value_is_valid() -> None:
    sampler = Sampler(1.0, 0.0, 1, Clock())
    decisions = [sampler.decide(f"s{number}", False) for number in range(100)]
    assert not any(decision.include_texts for decision in decisions)
    assert {decision.content_probability for decision in decisions} == {1.0}
    assert sampler.decide("e", True).include_texts
