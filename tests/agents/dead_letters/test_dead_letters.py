"""Dead letters without Kafka: grouping, output and reinjection."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError

from agents.commands import command_line, dead_letters
from agents.commands.dead_letters import main
from agents.dead_letters.grouping import EXCERPT, GROUPS, error_template, excerpt, group_letters
from agents.dead_letters.records import (
    MARK_HEADER,
    MARK_KEY,
    Identity,
    LetterFilter,
    StoredLetter,
    decode_mark,
    encode_mark,
    is_mark,
)
from agents.dead_letters.reinjection import REINJECTED, Reinjection, ReinjectionPlan, judge, plan
from monitor.ingest.dead_letters import dead_letter
from monitor.protocol.messages import FileRecord
from schemas.records import DeadLetter
from softfail.partitioning import partition_of
from softfail.sanitize import escape_hidden

NOW_US = 1_772_442_000_000_000  # 2 March 2026, 09:00 UTC
GOOD: dict[str, Any] = {
    "event_id": "1",
    "time": "2026-03-02T09:00:00Z",
    "service": "s",
    "feature": "f",
    "model": "m",
}


def event(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def found_of(
    value: bytes | None = b"{",
    error: str = "e",
    field: str = "",
    offset: int = 7,
    refused_ms: int = 0,
    **more: Any,
) -> StoredLetter:
    record = FileRecord(
        value,
        offset,
        more.pop("timestamp", 5),
        b"reinjected",
        more.pop("topic", "p.events"),
        3,
        more.pop("headers", ()),
    )
    return StoredLetter(
        DeadLetter.model_validate_json(dead_letter(record, error, field).value), 3, refused_ms
    )


def source_of(value: bytes, timestamp: int = 5, headers: Any = ()) -> Any:
    return lambda topic, partition, offset: FileRecord(
        value, offset, timestamp, None, topic, partition, headers
    )


def no_source(*_: Any) -> None:
    return None


def judge_letter(letter: StoredLetter, fetch: Any = no_source) -> Reinjection | str:
    return judge(letter, fetch, "p.events", 16, NOW_US)


def test_dead_letters_are_grouped_without_numbers_and_quoted_values_and_the_newest_is_the_example():
    letters = [
        found_of(error="x: at most 5, got 'ann'", offset=1, refused_ms=20),
        found_of(error="x: at most 7, got 12", offset=2, refused_ms=30),
        found_of(error="x: at most 7, got 12", field="x", offset=3, refused_ms=10),
        None,
    ]
    groups, unreadable = group_letters(letters, LetterFilter(), {letters[0].identity})
    assert unreadable == 1
    assert [
        (group.count, group.reinjected, group.oldest_ms, group.newest_ms, group.field) for group in groups
    ] == [(2, 1, 20, 30, ""), (1, 0, 10, 10, "x")]
    assert groups[0].as_row()["example"]["offset"] == 2


@given(st.lists(st.text(max_size=8), max_size=40))
def test_every_dead_letter_belongs_to_exactly_one_group(errors):
    groups, _ = group_letters([found_of(error=error) for error in errors], LetterFilter(), set())
    assert sum(group.count for group in groups) == len(errors)
    assert len(groups) == len({error_template(error) for error in errors})


def test_external_reasons_cannot_fill_the_memory():
    letter = found_of()
    groups, _ = group_letters(
        (
            letter._replace(letter=letter.letter.model_copy(update={"field": f"dimensions.k{n}"}))
            for n in range(GROUPS + 50)
        ),
        LetterFilter(),
        set(),
    )
    assert len(groups) == GROUPS + 1
    assert groups[0].count == 50


def test_filters_combine_with_and():
    letter = found_of(error="Not JSON", field="a", refused_ms=100)
    assert all(
        wanted(letter)
        for wanted in (
            LetterFilter(),
            LetterFilter("not js"),
            LetterFilter(field="a"),
            LetterFilter(since_ms=100),
            LetterFilter("json", "a", 100),
        )
    )
    assert not any(
        wanted(letter)
        for wanted in (
            LetterFilter("xml"),
            LetterFilter(field=""),
            LetterFilter(since_ms=101),
            LetterFilter("json", "a", 101),
        )
    )


@given(st.binary(max_size=400))
def test_an_excerpt_of_any_bytes_is_short_and_printable(data):
    as_row = excerpt(base64.b64encode(data).decode())
    assert as_row is not None
    assert as_row.isprintable()
    assert len(as_row) <= EXCERPT


def test_an_excerpt_shows_no_address_card_or_terminal_command():
    as_row = excerpt(
        base64.b64encode(
            b'{"input":"ann@example.org 4111 1111 1111 1111 \x1b]0;x\x07\xe2\x80\xaeabc"}'
        ).decode()
    )
    assert as_row == r'{"input":"<EMAIL> <CARD> \x1b]0;x\x07\u202eabc"}'
    assert escape_hidden("a b é 漢") == "a b é 漢"


def test_errors_and_fields_are_shown_redacted_and_escaped_too():
    group = group_letters(
        [found_of(error="dimensions.ann@example.org\x9b: bad", field="dimensions.ann@example.org\r\u200b")],
        LetterFilter(),
        set(),
    )[0][0].as_row()
    assert (group["error"], group["field"]) == (r"<EMAIL>\x9b: bad", r"<EMAIL>\r\u200b")


def test_only_the_softfail_header_marks_a_reinjected_event_because_keys_are_external():
    letter = FileRecord(b"{}", key=MARK_KEY)
    assert not is_mark(letter)
    assert is_mark(letter._replace(headers=[(MARK_HEADER, b"1")]))


@given(
    st.lists(
        st.builds(
            Identity,
            st.text(max_size=5),
            st.integers(0, 99),
            st.integers(0, 2**62),
            st.none() | st.integers(0, 2**62),
        )
    )
)
def test_a_mark_names_its_dead_letters(identities):
    assert decode_mark(encode_mark(identities)) == identities


def test_an_unreadable_mark_is_an_error_and_not_a_second_write():
    with pytest.raises(ValueError, match="mark of re-injected"):
        decode_mark(b'{"reinjected":"all"}')


def test_a_complete_dead_letter_is_written_from_its_source_or_if_that_is_deleted_from_its_own_value():
    headers = [("h", b"\xff"), ("softfail-forwarded", b"1"), (REINJECTED, b"old")]
    ready = judge_letter(found_of(event(), headers=headers), source_of(event(), headers=headers))
    assert isinstance(ready, Reinjection)
    assert (ready.value, ready.key, ready.target, ready.letters_partition) == (
        event(),
        b"s/f",
        partition_of("s", "f", 16),
        3,
    )
    assert ready.headers == (("h", b"\xff"), (REINJECTED, b"p.events/3/7"))
    assert ready.how == "from its source offset"
    stored = judge_letter(found_of(event(), headers=[("h", b"x")]))
    assert isinstance(stored, Reinjection)
    assert (stored.value, stored.headers[0]) == (event(), ("h", b"x"))
    assert "stored" in stored.how


def test_a_recreated_source_topic_is_not_the_source():
    other = event(event_id="2")
    for fetch in (source_of(other, timestamp=6), source_of(other + b" ")):
        ready = judge_letter(found_of(event()), fetch)
        assert isinstance(ready, Reinjection)
        assert ready.value == event()


def test_a_truncated_letter_needs_its_source():
    large = event(output="x" * 70_000)
    assert "only the first 64 KiB" in str(judge_letter(found_of(large)))
    ready = judge_letter(found_of(large), source_of(large))
    assert isinstance(ready, Reinjection)
    assert ready.value == large


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (found_of(b"{"), "no JSON object"),
        (found_of(event(output_tokens=-1)), "field output_tokens"),
        (found_of(None), "no value"),
        (found_of(event(), topic="p.alerts"), "came from p.alerts"),
        (found_of(event(time="2026-03-02T09:06:00Z")), "in the future"),
    ],
)
def test_an_event_that_would_be_refused_again_is_skipped_with_the_reason(letter, why):
    assert why in str(judge_letter(letter, source_of(b"{")))


def test_an_event_that_will_expire_is_marked():
    old, young = (
        judge_letter(found_of(event(time=time))) for time in ("2026-03-02T06:59:59Z", "2026-03-02T07:00:01Z")
    )
    assert isinstance(old, Reinjection)
    assert isinstance(young, Reinjection)
    assert "expired" in old.how
    assert "expired" not in young.how


def test_a_plan_has_each_record_once_stops_at_its_limit_and_reports_that_more_exist():
    letters = [found_of(event(), offset=offset) for offset in (1, 1, 2, 3, 4)]
    done = {letters[2].identity}
    result = plan(letters, done, judge_letter, limit=1)
    assert ([event.source.offset for event in result.ready], dict(result.skipped), result.more) == (
        [1],
        {"the same record twice": 1, "re-injected before": 1},
        True,
    )
    assert not plan(letters, done, judge_letter, limit=3).more


@pytest.fixture
def reachable(monkeypatch):
    """A broker that accepts connections."""

    async def answers(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(command_line, "await_broker", answers)


def test_nothing_is_written_without_a_confirmation(reachable, monkeypatch, capsys):
    ready = judge_letter(found_of(event()))
    written = []
    monkeypatch.setattr(dead_letters, "_plan", lambda *_: ReinjectionPlan(ready=[ready]))
    monkeypatch.setattr(
        dead_letters,
        "inject",
        lambda kafka, events, progress: written.append(events) or ReinjectionPlan(ready=list(events)),
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["--reinject"]) == 2
    assert written == []
    assert "--yes" in capsys.readouterr().err
    assert main(["--reinject", "--yes"]) == 0
    assert written == [[ready]]


def test_a_failing_broker_gives_a_one_line_error_and_exit_code_78(reachable, monkeypatch, capsys):
    def fails(*_: Any) -> None:
        raise KafkaTimeoutError("nobody\x1b answers")

    monkeypatch.setattr(dead_letters, "BlockingTopicReader", fails)
    for arguments in ([], ["--reinject", "--yes"]):
        assert main(arguments) == 78
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert "KafkaTimeoutError" in output.err
        assert "\x1b" not in output.err


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--limit", "0"], ["--yes"], ["--format", "xml"]])
def test_an_invalid_argument_is_refused_by_name(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
