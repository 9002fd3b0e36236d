from __future__ import annotations

import asyncio
import json
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softfail import Evaluation, Feedback, Meter, Response, ResponseId, Softfail
from softfail.field_types import EvaluationFields, FeedbackFields, ResponseFields
from softfail.options import Options, parse_options
from tests.polling import wait_until
from tests.tiers import examples

Make = Callable[..., Softfail]


def single(events: list[dict[str, Any]]) -> dict[str, Any]:
    (event,) = events
    return event


def test_a_response_is_sent_as_reported_under_its_key(client: Make, fake: Any) -> None:
    sf = client()
    event_id = sf.response(
        feature="answer", model="m", output="hi", output_tokens=3, dimensions={"region": "eu"}, cost_usd=0.1
    )
    assert sf.flush(5)
    ((key, value),) = fake.messages
    assert key == b"shop/answer"
    event = Response.model_validate_json(value)
    assert (event.event_id, event.output, event.output_tokens, event.dimensions, event.cost_usd) == (
        event_id,
        "hi",
        3,
        {"region": "eu"},
        0.1,
    )
    assert (event.environment, event.sample_probability, event.content_probability) == (
        "production",
        1.0,
        1.0,
    )


def test_texts_are_redacted_and_truncated_and_record_their_original_lengths(client: Make, fake: Any) -> None:
    sf = client()
    sf.response(
        feature="f",
        model="m",
        input="I am ann@example.org",
        output="x" * 1_000_000,
        context="4111111111111111",
    )
    assert sf.flush(5)
    event = single(fake.events())
    assert (event["input"], event["context"]) == ("I am <EMAIL>", "<CARD>")
    assert len(event["output"].encode()) <= 65536
    assert (event["input_chars"], event["output_chars"]) == (20, 1_000_000)


def test_short_texts_are_redacted_and_cut_to_the_length_of_a_label(client: Make, fake: Any) -> None:
    sf = client()
    sf.response(
        feature="f",
        model="m",
        error_type="HTTPError: no route to ann@example.org" + " x" * 3_000,
        finish_reason="blocked: call 703-555-0166",
        session_id="ann@example.org",
    )
    sf.feedback("r1", feature="f", outcome="refunded to 4012 8888 8888 1881")
    assert sf.flush(5)
    event, feedback = single(fake.events()), single(fake.events("feedback"))
    assert event["error_type"].startswith("HTTPError: no route to <EMAIL> x x")
    assert len(event["error_type"]) == 256
    assert (event["finish_reason"], event["session_id"]) == ("blocked: call <PHONE>", "<EMAIL>")
    assert feedback["outcome"] == "refunded to <CARD>"


def test_private_addresses_are_sent_unless_the_service_hides_all(client: Make, fake: Any) -> None:
    client().response(feature="f", model="m", output="10.0.0.7 and 81.2.69.142")
    client(redact_all_ips=True).response(feature="g", model="m", output="10.0.0.7 and 81.2.69.142")
    wait_until(lambda: len(fake.events()) == 2)
    assert {event["feature"]: event["output"] for event in fake.events()} == {
        "f": "10.0.0.7 and <IP>",
        "g": "<IP> and <IP>",
    }


def test_an_event_without_its_texts_still_records_their_lengths(client: Make, fake: Any) -> None:
    sf = client(content_probability=0.0)
    sf.response(feature="f", model="m", input="abc", output="", context="secret")
    sf.response(feature="f", model="m", output="abc", output_chars=17)
    assert sf.flush(5)
    first, second = fake.events()
    assert first.keys().isdisjoint({"input", "output", "context"})
    assert (first["input_chars"], first["output_chars"], second["output_chars"]) == (3, 0, 17)


def test_feedback_and_evaluations_copy_the_labels_of_their_response_by_handle_and_by_id(
    client: Make, fake: Any
) -> None:
    sf = client()
    answer = sf.response(
        feature="f",
        model="m",
        prompt_version="p7",
        variant="b",
        dimensions={"region": "eu"},
        environment="staging",
    )
    sf.feedback(answer, accepted=True)
    sf.feedback(str(answer), rating=4)
    sf.evaluation(str(answer), evaluator="judge", passed=False, reason="mail ann@example.org")
    assert sf.flush(5)
    labels = {
        "service": "shop",
        "feature": "f",
        "environment": "staging",
        "model": "m",
        "prompt_version": "p7",
        "variant": "b",
        "dimensions": {"region": "eu"},
    }
    for event in [*fake.events("feedback"), *fake.events("evaluation")]:
        assert labels.items() <= event.items()
        assert event["response_id"] == answer
    assert single(fake.events("evaluation"))["reason"] == "mail <EMAIL>"


def test_labels_of_old_responses_are_evicted_and_remain_on_their_handles(client: Make, fake: Any) -> None:
    sf = client(recent_responses=2)
    answers = [sf.response(feature=f"f{number}", model="m") for number in range(3)]
    sf.feedback(str(answers[0]), accepted=True)  # forgotten: no feature, so invalid
    sf.feedback(answers[0], accepted=True)
    sf.feedback(str(answers[2]), accepted=True)
    assert sf.flush(5)
    assert [event["feature"] for event in fake.events("feedback")] == ["f0", "f2"]
    assert sf.counts()["feedback"] == {"seen": 3, "sampled": 3, "sent": 2, "dropped": 1}


def test_an_evaluation_is_sent_with_its_response_and_feedback_is_always_sent(client: Make, fake: Any) -> None:
    sf = client(sample_probability=0.5)
    answers = [sf.response(feature="f", model="m") for _ in range(200)]
    for answer in answers:
        sf.evaluation(answer, evaluator="judge", passed=True, sample_probability=0.1)
        sf.feedback(answer, accepted=True)
    sf.evaluation("elsewhere", feature="f", evaluator="judge", passed=True)
    assert sf.flush(5)
    sent = {event["event_id"] for event in fake.events()}
    assert 50 < len(sent) < 150
    *evaluations, of_unknown_response = fake.events("evaluation")
    assert {event["response_id"] for event in evaluations} == sent
    assert sent == {str(answer) for answer in answers if answer.sent}
    assert {event["sample_probability"] for event in evaluations} == {0.05}
    assert "sample_probability" not in of_unknown_response
    assert len(fake.events("feedback")) == 200
    assert all(event.get("sample_probability", 1) == 1 for event in fake.events("feedback"))


def test_sampling_is_recorded_metered_and_multiplied_with_the_probability_given_by_the_service(
    client: Make, fake: Any
) -> None:
    sf = client(sample_probability=0.5, content_probability=0.5)
    for _ in range(400):
        sf.response(feature="f", model="m", output="x", sample_probability=0.5)
    assert sf.flush(5)
    events = fake.events()
    assert {(event["sample_probability"], event["content_probability"]) for event in events} == {(0.25, 0.5)}
    assert 0 < sum("output" in event for event in events) < len(events)
    assert sf.counts()["shop/f"] == {"seen": 400, "sampled": len(events), "sent": len(events), "dropped": 0}


def test_errors_are_sent_with_texts_and_probability_one_while_the_bucket_has_tokens(
    client: Make, fake: Any
) -> None:
    sf = client(sample_probability=1e-4, content_probability=0.01, error_content_per_minute=2)
    for number in range(5):
        sf.response(event_id=f"e{number}", feature="f", model="m", output="x", error_type="Timeout")
    sf.response(event_id="e5", feature="f", model="m", output="x", outcome="schema_error")
    assert sf.flush(5)
    assert [
        (
            event["output"],
            event["sample_probability"],
            event["content_probability"],
            event["base_probability"],
        )
        for event in fake.events()
    ] == [("x", 1.0, 1.0, 1e-4)] * 2


def test_a_kept_error_states_the_probability_of_ordinary_calls_as_the_service_samples_them_too(
    client: Make, fake: Any
) -> None:
    sf = client(sample_probability=0.5, error_content_per_minute=1000)
    sf.response(event_id="a", feature="f", model="m", error_type="Timeout", sample_probability=0.1)
    sf.response(event_id="b", feature="f", model="m", error_type="Timeout", base_probability=0.2)
    sf.response(event_id="c", feature="f", model="m", error_type="Timeout", sample_probability=0.0001)
    assert sf.flush(5)
    stated = {event["event_id"]: event.get("base_probability") for event in fake.events()}
    assert stated == {"a": 0.05, "b": 0.1, "c": None}


def test_options_that_sample_too_rarely_are_raised_or_name_the_remedy() -> None:
    options, _, errors = parse_options({"service": "shop", "sample_probability": 1e-5})
    assert options.sample_probability == 1e-4
    assert errors == ["sample_probability: less than 0.0001, got 1e-05; 0.0001 is used"]
    options, _, errors = parse_options(
        {"service": "shop", "sample_probability": 1e-4, "content_probability": 1e-3}
    )
    assert (options.sample_probability, options.content_probability) == (1e-4, 0.1)
    assert errors == [
        "content_probability: times sample_probability is below 1e-06; include the texts of at least one call in"
        " 1,000,000, or 0 for none, got 0.001; the default 0.1 is used"
    ]
    assert parse_options({"service": "shop", "sample_probability": 1e-4, "content_probability": 0})[2] == []


def test_a_call_is_timed_and_its_exception_is_recorded_and_propagates(client: Make, fake: Any) -> None:
    sf = client()
    with sf.call(feature="f", model="m") as call:
        call.output = "hello"
        call.output_tokens = 2
        call.first_token()
    with pytest.raises(KeyError), sf.call(feature="f", model="m"):
        raise KeyError("x")
    assert isinstance(call.response_id, ResponseId)
    assert sf.flush(5)
    successful, failed = fake.events()
    assert (successful["event_id"], successful["output"], successful["output_tokens"]) == (
        call.response_id,
        "hello",
        2,
    )
    assert 0 <= successful["time_to_first_token_s"] <= successful["duration_s"] < 10
    assert failed["error_type"] == "KeyError"


def test_watch_times_functions_of_every_kind_and_leaves_their_results_unchanged(
    client: Make, fake: Any
) -> None:
    sf = client()

    @sf.watch(feature="plain", model="m")
    def plain(text: str) -> str:
        return text

    @sf.watch(feature="async", model="m", read=lambda result: {"output_tokens": result})
    async def coroutine(number: int) -> int:
        return number

    @sf.watch(feature="stream", model="m")
    def stream() -> Iterator[str]:
        yield from ("a", "b")

    @sf.watch(feature="astream", model="m")
    async def astream() -> AsyncIterator[str]:
        yield "c"
        yield "d"

    @sf.watch(feature="broken", model="m", read=lambda result: result.nothing)
    def unreadable() -> int:
        return 5

    @sf.watch(feature="raises", model="m")
    async def raises() -> None:
        raise TimeoutError

    async def main() -> list[str]:
        assert await coroutine(7) == 7
        with pytest.raises(TimeoutError):
            await raises()
        return [item async for item in astream()]

    assert plain("hi") == "hi"
    assert list(stream()) == ["a", "b"]
    assert unreadable() == 5
    assert asyncio.run(main()) == ["c", "d"]
    assert plain.__name__ == "plain"
    assert sf.flush(5)
    events = {event["feature"]: event for event in fake.events()}
    assert [events[name].get("output") for name in ("plain", "stream", "astream")] == ["hi", "ab", "cd"]
    assert events["async"]["output_tokens"] == 7
    assert events["raises"]["error_type"] == "TimeoutError"
    assert "time_to_first_token_s" in events["stream"]
    assert events["astream"].keys() >= {"time_to_first_token_s", "duration_s"}
    assert "broken" in events


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=3)
    | st.just(object())
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2)
    ),
    max_leaves=4,
)
ODD_NAMES = st.sampled_from(["self", "kind", "response_id", "reason", "args", "fields", "read", "\ud800"])
KEYWORDS = st.dictionaries(st.sampled_from(sorted(Response.model_fields)) | ODD_NAMES, ANYTHING, max_size=6)
OPTIONS = st.dictionaries(st.sampled_from([*Options.model_fields, "colour", "acks"]), ANYTHING, max_size=4)


@given(fields=KEYWORDS, args=st.lists(ANYTHING, max_size=2), response=ANYTHING)
def test_no_argument_makes_a_report_raise_and_every_response_is_counted(
    fake_client: Any, fields: dict[str, Any], args: list[Any], response: Any
) -> None:
    with fake_client() as (sf, producer):
        assert isinstance(sf.response(*args, **fields), ResponseId)
        assert isinstance(
            sf.feedback(
                response, *args, **{name: value for name, value in fields.items() if name != "response"}
            ),
            str,
        )
        assert isinstance(sf.evaluation(response, **fields), str)
        with sf.call(*args, **fields) as call:
            call.anything = response
        decorator = sf.watch(*args, **{name: value for name, value in fields.items() if name != "read"})
        if callable(decorator):
            decorator(lambda: response)
        assert sf.flush(10)
        responses = [
            counts for name, counts in sf.counts().items() if name not in ("feedback", "evaluation", "meter")
        ]
        assert sum(counts["seen"] for counts in responses) == 2
        assert sum(counts["sent"] + counts["dropped"] for counts in responses) == sum(
            counts["sampled"] for counts in responses
        )
        for _, value in producer.messages:
            json.loads(value)


def test_a_report_that_cannot_be_processed_is_counted_as_dropped(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    sf = client()
    assert isinstance(sf.response(feature="f", model="m", event_id=Unprintable()), ResponseId)
    assert isinstance(sf.feedback("id", feature="f", event_id=Unprintable()), str)
    assert isinstance(sf.evaluation("id", feature="f", event_id=Unprintable()), str)
    assert sf.counts()["shop/f"] == {"seen": 1, "sampled": 1, "sent": 0, "dropped": 1}
    assert sf.close(5)
    assert "used wrongly: 3 (last: evaluation: RuntimeError)" in caplog.text


@settings(max_examples=examples(1 / 2))
@given(options=OPTIONS)
def test_no_option_stops_a_service_from_starting(fake_client: Any, options: dict[str, Any]) -> None:
    logging.getLogger("softfail").setLevel(logging.CRITICAL)
    try:
        with fake_client(**options) as (sf, _):
            sf.response(feature="f", model="m")
    finally:
        logging.getLogger("softfail").setLevel(logging.NOTSET)


def test_an_invalid_option_is_logged_with_its_name_and_replaced_by_its_default(
    fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sf = Softfail(service="shop", content_probability=7, colour="red")
    sf.close(2)
    assert (
        "content_probability: Input should be less than or equal to 1, got 7; the default 0.1 is used"
        in caplog.text
    )
    assert "colour: no option of Softfail or KafkaProducer" in caplog.text


def test_an_odd_optional_field_costs_that_field_and_is_logged(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sf = client()
    sf.response(
        feature="f",
        model="m",
        output_tokens=812.0,
        duration_s="fast",
        session_id=uuid.UUID(int=7),
        finish_reason=["a@example.org"],
        dimensions={"tenant": 42, "tier": None},
    )
    sf.close(5)
    (event,) = fake.events("response")
    assert event["output_tokens"] == 812
    assert event["session_id"] == str(uuid.UUID(int=7))
    assert event["dimensions"] == {"tenant": "42"}
    assert "example.org" not in event["finish_reason"]
    assert "duration_s" not in event
    assert "odd field, left out or cut: 1 (last: duration_s not_a_number)" in caplog.text


def test_an_event_that_is_refused_names_up_to_five_mistakes(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sf = client()
    sf.response(feature="", model="", output_tokens=-1, input_tokens=0.5, tool_calls=-2, output_chars=-1)
    sf.close(5)
    for name in ("feature", "model", "input_tokens", "output_tokens"):
        assert f"{name}: " in caplog.text


def test_an_invalid_event_is_counted_under_its_feature_and_its_field_is_logged(
    client: Make, fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sf = client()
    sf.response(feature="f", model="m", output_tokens=-1)
    sf.response(model="m")
    sf.response(feature="f", model="m", outputtokens=5)
    assert sf.flush(5)
    assert sf.counts()["shop/f"] == {"seen": 2, "sampled": 2, "sent": 1, "dropped": 1}
    assert sf.counts()["shop/unknown"]["dropped"] == 1
    sf.close(5)
    assert "invalid: 2" in caplog.text
    assert "field unknown to a response, left out: 1 (last: outputtokens)" in caplog.text


def test_a_text_whose_redaction_fails_is_not_sent(client: Make, fake: Any) -> None:
    def broken(text: str) -> str:
        raise RuntimeError

    sf = client(redact=broken)
    sf.response(feature="f", model="m", output="secret")
    assert sf.flush(5)
    assert "output" not in single(fake.events())


def test_a_custom_redaction_runs_after_the_built_in_redaction_and_redact_false_leaves_the_text(
    client: Make, fake: Any
) -> None:
    client(redact=lambda text: text.replace("Ann", "<NAME>")).response(
        feature="f", model="m", output="Ann ann@example.org"
    )
    client(redact=False).response(feature="g", model="m", output="ann@example.org")
    wait_until(lambda: len(fake.events()) == 2)
    assert {event["feature"]: event["output"] for event in fake.events()} == {
        "f": "<NAME> <EMAIL>",
        "g": "ann@example.org",
    }


def test_meters_are_cumulative_and_the_last_is_sent_at_close(client: Make, fake: Any) -> None:
    sf = client(meter_interval_s=0.05)
    sf.response(feature="f", model="m")
    sf.response(feature="f", model="m", output_tokens=-1)
    sf.response(feature="g", model="m", environment="staging")
    wait_until(lambda: fake.events("meter"))
    assert sf.close(5)
    meters = {event["feature"]: Meter.model_validate(event) for event in fake.events("meter")}
    assert (meters["f"].seen, meters["f"].sampled, meters["f"].sent, meters["f"].dropped) == (2, 2, 1, 1)
    assert (meters["g"].seen, meters["g"].sent, meters["g"].environment) == (1, 1, "staging")
    assert {meter.producer_id for meter in meters.values()} == {sf.producer_id}
    assert all(meter.closing for meter in meters.values())
    assert not Meter.model_validate(fake.events("meter")[0]).closing
    assert fake.closed


def test_after_close_reports_are_dropped_and_counted(client: Make, fake: Any) -> None:
    sf = client()
    assert sf.close(2)
    sf.response(feature="f", model="m")
    assert sf.counts()["shop/f"]["dropped"] == 1
    assert fake.events() == []


def test_calls_from_many_threads_are_all_counted(client: Make, fake: Any) -> None:
    sf = client(queue_size=100_000)
    threads = [
        threading.Thread(target=lambda: [sf.response(feature="f", model="m") for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sf.flush(20)
    assert sf.counts()["shop/f"] == {"seen": 4000, "sampled": 4000, "sent": 4000, "dropped": 0}
    assert len({event["event_id"] for event in fake.events()}) == 4000


@pytest.mark.parametrize(
    ("keywords", "model"),
    [(ResponseFields, Response), (FeedbackFields, Feedback), (EvaluationFields, Evaluation)],
)
def test_the_typed_keywords_are_the_fields_of_the_model(keywords: Any, model: Any) -> None:
    set_by_sender = {"kind", "producer_id", "sequence"}
    assert get_type_hints(keywords).keys() == model.model_fields.keys() - set_by_sender


def test_a_stream_whose_reader_stops_early_is_not_an_error(client: Make, fake: Any) -> None:
    sf = client()

    @sf.watch(feature="f", model="m")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    for _ in stream():
        break
    assert sf.flush(5)
    assert "error_type" not in single(fake.events())


def test_fields_set_during_a_call_take_precedence_even_over_its_exception(client: Make, fake: Any) -> None:
    sf = client()

    def cancelled() -> None:
        with sf.call(feature="f") as call:
            call.model = "m"
            call.error_type = ""
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        cancelled()
    assert sf.flush(5)
    event = single(fake.events())
    assert (event["model"], event["error_type"]) == ("m", "")


def test_the_number_of_metered_features_is_bounded(client: Make, fake: Any) -> None:
    sf = client(queue_size=100_000)
    for number in range(1_100):
        sf.response(feature=f"f{number}", model="m")
    assert sf.flush(20)
    assert len(sf.counts()) == 1_001
    assert sf.counts()["shop/other"]["sent"] == 100
