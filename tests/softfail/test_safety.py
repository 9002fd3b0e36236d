"""Safety checks inside the producer: a call that fails one is always sent, and no rate is biased."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from softfail import Softfail
from softfail.evaluator import ModelResponse, Verdict, failed, passed, skipped
from softfail.options import parse_options
from softfail.safety import SafetyChecks
from tests.polling import wait_until

Make = Callable[..., Softfail]
LEAK = "Her card is 4012 8888 8888 1881, mail anna.lind@bergland-mail.se."


def no_dose(response: ModelResponse) -> Verdict:
    return failed("names a dose", 0.0) if "mg daily" in (response.output or "") else passed()


def test_a_call_that_fails_a_check_is_always_sent_with_its_texts(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.0001, content_probability=0.01, safety=["pii"])
    sf.response(feature="f", model="m", input="Who is she?", output=LEAK)
    for number in range(20):
        sf.response(feature="f", model="m", output=f"It is {number}.")
    assert sf.flush(5)
    (event,) = fake.events()
    assert event["output"] == "Her card is <CARD>, mail <EMAIL>."
    assert (event["sample_probability"], event["content_probability"], event["base_probability"]) == (
        1.0,
        1.0,
        0.0001,
    )
    assert sf.counts()["shop/f"] == {"seen": 21, "sampled": 1, "sent": 1, "dropped": 0}
    assert fake.events("evaluation") == []  # the worker's own evaluator reads it


def test_what_the_input_has_too_is_the_users_own(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.0001, safety=["pii"])
    sf.response(feature="f", model="m", input=f"Repeat: {LEAK}", output=LEAK)
    assert sf.flush(5)
    assert fake.events() == []


def test_a_verdict_of_a_function_follows_each_call_that_is_sent(client: Make, fake: Any) -> None:
    sf = client(safety=[no_dose])
    bad = sf.response(feature="f", model="m", prompt_version="v2", output="Take 400 mg daily.")
    sf.response(feature="f", model="m", output="Ask your doctor.")
    assert sf.flush(5)
    first, second = fake.events("evaluation")
    assert (first["evaluator"], first["passed"], first["reason"], first["score"]) == (
        "no_dose",
        False,
        "names a dose",
        0.0,
    )
    assert (first["response_id"], first["feature"], first["prompt_version"]) == (bad, "f", "v2")
    assert second["passed"] is True
    assert len(fake.events()) == 2


def test_rates_are_unbiased_although_failing_calls_are_always_sent(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.1, content_probability=1.0, queue_size=100_000, safety=[no_dose])
    draw = random.Random(7)
    calls = bad = 0
    for number in range(8_000):
        is_bad = draw.random() < 0.05
        calls, bad = calls + 1, bad + is_bad
        sf.response(
            feature="f",
            model="m",
            event_id=f"{number}",
            output="400 mg daily" if is_bad else "Good.",
            output_tokens=number % 7,
        )
    assert sf.flush(30)
    responses, verdicts = fake.events(), fake.events("evaluation")
    assert len(verdicts) == len(responses)
    assert sum(not verdict["passed"] for verdict in verdicts) == bad  # all of them
    weighted = sum(1 / verdict["sample_probability"] for verdict in verdicts)
    assert abs(weighted - calls) < 4 * (calls * 0.9 / 0.1) ** 0.5  # four standard errors
    tokens = sum(event["output_tokens"] / event["sample_probability"] for event in responses)
    assert abs(tokens / weighted - 3.0) < 0.3
    assert {event["base_probability"] for event in responses if event["sample_probability"] == 1} == {0.1}


def test_a_session_stays_whole_and_an_own_evaluation_follows_the_hash(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.5, safety=[no_dose])
    handles = [
        sf.response(feature="f", model="m", session_id=f"s{number % 20}", output="Good.")
        for number in range(200)
    ]
    assert sf.flush(5)
    sent = {event["session_id"] for event in fake.events()}
    assert len(fake.events()) == 10 * len(sent)
    assert {handle.sample_probability for handle in handles} == {0.5}
    for handle in handles:
        sf.evaluation(handle, evaluator="own", passed=True)
    assert sf.flush(5)
    own = [event for event in fake.events("evaluation") if event["evaluator"] == "own"]
    assert len(own) == sum(handle.sent for handle in handles) == len(fake.events())


def test_failed_calls_are_not_checked_and_are_sent_as_before(client: Make, fake: Any) -> None:
    checked: list[ModelResponse] = []

    def remembers(response: ModelResponse) -> bool:
        checked.append(response)
        return True

    sf = client(sample_probability=0.001, safety=[remembers])
    sf.response(feature="f", model="m", error_type="timeout")
    sf.response(feature="f", model="m", output="x", outcome="parse_error")
    assert sf.flush(5)
    assert len(fake.events()) == 2
    assert checked == []


def test_a_check_gets_the_texts_before_redaction_and_the_ends_of_a_long_one(client: Make, fake: Any) -> None:
    seen: list[str] = []

    def remembers(response: ModelResponse) -> Verdict:
        seen.append(response.output or "")
        return skipped("not for this feature")

    sf = client(safety=[remembers])
    sf.response(feature="f", model="m", output="Mail ann@example.org")
    sf.response(feature="f", model="m", output="a" * 500_000 + "z")
    assert sf.flush(5)
    assert seen[0] == "Mail ann@example.org"
    assert seen[1].startswith("aaa")
    assert seen[1].endswith("az")
    assert len(seen[1]) < 100_000
    assert [event["output_chars"] for event in fake.events()] == [20, 500_001]
    assert {event.get("passed") for event in fake.events("evaluation")} == {None}


def test_a_check_that_raises_or_returns_something_else_is_logged_and_takes_no_other_along(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(response: ModelResponse) -> bool:
        raise KeyError("policy")

    def odd(response: ModelResponse) -> Any:
        return "fine"

    sf = client(safety=[broken, no_dose, odd])
    sf.response(feature="f", model="m", output="400 mg daily")
    assert sf.flush(5)
    assert [event["evaluator"] for event in fake.events("evaluation")] == ["no_dose"]
    assert len(fake.events()) == 1
    with caplog.at_level(logging.WARNING, "softfail"):
        sf.close()
    assert "safety check broken failed: 1 (last: KeyError: 'policy')" in caplog.text
    assert "safety check odd failed: 1 (last: TypeError: it returned str, not a Verdict" in caplog.text


def test_checks_slower_than_the_calls_leave_calls_unchecked_and_sampled(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    entered = threading.Event()

    def waits(response: ModelResponse) -> bool:
        entered.set()
        return released.wait(20)

    sf = client(queue_size=5, safety=[waits])
    sf.response(feature="f", model="m", output="0")
    assert entered.wait(10)
    for number in range(1, 9):
        sf.response(feature="f", model="m", output=str(number))
    released.set()
    assert sf.flush(10)
    assert sorted(event["output"] for event in fake.events()) == [str(number) for number in range(9)]
    assert len(fake.events("evaluation")) == 6  # one in work and five that waited
    with caplog.at_level(logging.WARNING, "softfail"):
        sf.close()
    assert "safety checks left out" in caplog.text


def test_calls_that_wait_for_a_check_are_checked_and_sent_when_the_client_closes(
    client: Make, fake: Any
) -> None:
    sf = client(sample_probability=0.0001, safety=[no_dose])
    for _ in range(50):
        sf.response(feature="f", model="m", output="400 mg daily")
    assert sf.close(10)
    assert len(fake.events()) == len(fake.events("evaluation")) == 50
    sf.response(feature="f", model="m", output="400 mg daily")
    wait_until(lambda: sf.counts()["shop/f"]["seen"] == 51)
    assert len(fake.events()) == 50


@pytest.mark.parametrize(
    ("checks", "says"),
    [
        ("pii", "write a list"),
        (["toxic"], "'toxic': not built in; there is pii"),
        ([3], "3: neither a name nor a function"),
        ([no_dose, no_dose], "two checks are called 'no_dose'"),
        ([no_dose] * 21, "at most 20"),
    ],
)
def test_checks_that_cannot_be_used_are_named_and_left_out(checks: Any, says: str) -> None:
    options, _, errors = parse_options({"service": "shop", "safety": checks})
    assert options.safety == []
    assert says in " ".join(errors)


def test_no_checks_are_no_checks() -> None:
    assert not SafetyChecks([], lambda reason, detail: None)
