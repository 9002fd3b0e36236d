"""The table of limits in docs/operations.md is that of the code: each line has its number, its metric and its test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agents.watch import EACH_S, WAIT_S
from monitor.evaluators.json_answer import MAX_DEPTH
from monitor.evaluators.json_schema_check import _MAX_BREADTH, _MAX_PATTERN_CHARS, _MAX_SUBSCHEMAS, _MAX_WORK
from monitor.evaluators.text_scan import HEAD_CHARS, TAIL_CHARS
from monitor.evaluators.user_evaluator import UserEvaluatorSettings
from monitor.exported_segments import MAX_EXPORTED_SEGMENTS
from monitor.ingest.dead_letters import TEXT_BYTES
from monitor.ingest.failure_samples import A_PANE, TEXT_CHARS
from monitor.normal_form.reasoning import _MAX_TAGS, answer_of
from monitor.protocol.limits import MAX_AHEAD_US, VALUE_BYTES
from monitor.protocol.messages import FileRecord
from monitor.protocol.metrics import METRICS
from monitor.stats.category_counts import MAX_NAMES
from monitor.watch import Watch
from monitor.windows.feature_series import MAX_SEGMENTS
from monitor.windows.producer_counters import MAX_PRODUCERS
from monitor.windows.segment_series import FINE_RETENTION_US
from monitor.windows.unrepeated_labels import LEAST_MERGED, LEAST_VALUES
from schemas import pin_file
from schemas.config.load import MAX_SCHEMA_BYTES
from schemas.config.monitor_config import Config
from schemas.config.yaml_text import MAX_BYTES, MAX_VALUES
from schemas.config.yaml_text import MAX_DEPTH as MAX_YAML_DEPTH
from softfail.bounded_lines import MAX_LINE_BYTES
from softfail.evaluator_budget import RECENT
from softfail.events import LABEL_CHARS
from softfail.text_truncation import LIMIT_BYTES
from tests.monitor.event_values import event

ROOT = Path(__file__).parents[3]
EVALUATORS, WATCH = "tests/monitor/evaluators", "tests/monitor/test_watch.py"
SCHEMAS = f"{EVALUATORS}/test_json_schema_limits.py"
YAML = "tests/schemas/config/test_yaml_text.py"
HERE = "tests/monitor/documentation/test_limits.py"
POOL, USER = "tests/softfail/test_evaluator_pool.py", UserEvaluatorSettings(use="x:Y")
LIMITS = {
    "a batch of records": ("32 MiB", "tests/agents/kafka/test_decompression.py", "a_batch_beyond_the_limit"),
    "time of an event, ahead": (f"{MAX_AHEAD_US // 60_000_000} minutes", HERE, "an_event_too_far_ahead"),
    "time of an event, late": (f"{FINE_RETENTION_US // 3_600_000_000} h", WATCH, "every_event_is_in_a_window_expired"),
    "`sample_probability`": ("0.0001", HERE, "an_event_that_stands_for_more_than_ten_thousand"),
    "an odd optional field": (f"{LABEL_CHARS}", "tests/schemas/test_event_decoder.py", "an_odd_optional_field_is_left_out"),
    "segments of a feature": (f"{MAX_SEGMENTS}", WATCH, "segments_above_the_cap"),
    "values of a label": (f"{LEAST_VALUES} among {LEAST_MERGED}", "tests/monitor/windows/test_unrepeated_labels.py", "values_that_never_repeat"),
    "series of segments at `/metrics`": (f"{MAX_EXPORTED_SEGMENTS} segments", "tests/monitor/test_status.py", "a_partition_exports_its_firing"),
    "features of a partition": ("1,000", "tests/monitor/ingest/test_feature_cap.py", "names_that_never_repeat_open_no_features"),
    "producers of a feature": (f"{MAX_PRODUCERS:,}", "tests/monitor/windows/test_producer_counters.py", "active_producers_do_not"),
    "values of a category": (f"{MAX_NAMES}", "tests/monitor/windows/test_category_metrics.py", "a_window_names_at_most_64"),
    "nesting of a JSON answer": (f"{MAX_DEPTH:,}", SCHEMAS, "odd_json_has_a_verdict"),
    "a JSON answer and its schema": (f"{_MAX_WORK:,} values × subschemas; {_MAX_PATTERN_CHARS:,}", SCHEMAS, "more_than_the_limit"),
    "tags of thoughts": (f"{_MAX_TAGS:,}", HERE, "tags_beyond_the_limit"),
    "text that `refusal`": (f"{HEAD_CHARS:,} characters at the beginning, {TAIL_CHARS:,}", f"{EVALUATORS}/test_suite.py", "only_head_and_tail"),
    "an evaluator of a user |": (f"{USER.timeout:g} s a response (`timeout`), {USER.memory:,} MB", POOL, "a_response_at_which"),
    "evaluators of users, all": (f"{WAIT_S:g} s a bundle, and {1000 * EACH_S:g} ms", POOL, "what_is_left_at_the_end"),
    "an evaluator of a user that breaks": (f"half of its last {RECENT} responses", POOL, "an_evaluator_that_raises_on_half"),
    "a failure sample": (f"{A_PANE} of a segment and pane, {TEXT_CHARS:,}", HERE, "ten_samples_of_a_pane"),
    "a dead letter": (f"{VALUE_BYTES >> 10} KiB", HERE, "a_dead_letter_of_a_long_value"),
    "a state record": ("960 KB", "tests/agents/runtime/test_partition.py", "an_oversized_record"),
    "an output record": ("256 KB", "tests/agents/runtime/test_changelog.py", "an_output_above_the_limit"),
    "a record that ends": ("2 times", "tests/agents/runtime/test_careful_replay.py", "a_deadly_record_is_set_aside"),
    "an HTTP request": ("256 connections, 64 KB", "tests/agents/web/test_connections.py", "a_body_beyond_its_limit"),
    "silences": ("1,000", "tests/agents/commands/test_silence.py", "at_most_a_thousand"),
    "the answer of a receiver": ("2,048 bytes", "tests/agents/notify/test_channels.py", "a_compressed_answer"),
    "`softfail.yaml`": (f"{MAX_VALUES:,} values with aliases resolved, {MAX_YAML_DEPTH} levels", YAML, "a_bomb_is_refused"),
    "a line of a file": (f"{MAX_LINE_BYTES >> 20} MiB", "tests/monitor/cli/test_hostile_files.py", "each_command_names_the_line"),
    "the file of a pin": (f"{pin_file.MAX_BYTES >> 20} MiB", "tests/schemas/test_pin_file.py", "a_file_without_an_end"),
    "a JSON Schema": (f"{MAX_SCHEMA_BYTES >> 20} MiB, {_MAX_SUBSCHEMAS:,} subschemas", SCHEMAS, "a_schema_without_a_bound"),
    "a text in the SDK": (f"{LIMIT_BYTES >> 10} KiB", "tests/softfail/test_text_truncation.py", "a_long_text_of_any"),
}  # fmt: skip
"""Beginning of a line -> its limit, and the file and the beginning of the name of the test that exceeds it."""

PAGE = (ROOT / "docs" / "operations.md").read_text().partition("\n## Limits\n")[2].partition("\n## ")[0]
LINES = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][1:]
QUIET = Config.model_validate({"default_rules": False, "no_data": {"severity": None}})


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0][:30])
def test_each_line_has_the_limit_of_the_code_a_metric_that_exists_and_a_test(line):
    name, limit, beyond, metric = line
    (key,) = [key for key in LIMITS if f"{name} |".startswith(key)]
    expected, path, test = LIMITS[key]
    assert expected in f"{name} {limit}"
    assert beyond
    assert metric == "–" or re.findall(r"`(\w+)`", metric)[0] in METRICS
    assert f"def test_{test}" in (ROOT / path).read_text()


def test_the_table_has_every_limit():
    assert len(LINES) == len(LIMITS)
    assert MAX_BYTES == 1 << 20
    assert _MAX_BREADTH == _MAX_SUBSCHEMAS  # "as many on one value"


def letters_of(*values: bytes, append_ms: int | None = None) -> list[dict[str, object]]:
    out = Watch(QUIET).apply([FileRecord(value, offset, append_ms) for offset, value in enumerate(values)])
    return [json.loads(message.value) for topic, message in out.order if topic == "deadletter"]


def test_an_event_too_far_ahead_of_its_append_time_is_a_dead_letter():
    now_ms = 1_772_442_000_000  # 09:00
    assert letters_of(event(MAX_AHEAD_US // 1_000_000), append_ms=now_ms) == []
    (letter,) = letters_of(event(MAX_AHEAD_US // 1_000_000 + 1), append_ms=now_ms)
    assert letter["field"] == "time"


def test_a_dead_letter_of_a_long_value_has_its_beginning_and_its_size():
    (letter,) = letters_of(b"[" + b"x" * 200_000)
    assert letter["size"] == 200_001
    assert len(str(letter["value"])) <= VALUE_BYTES * 4 // 3 + 4


def test_a_dead_letter_has_the_beginning_of_a_long_key_and_of_long_headers():
    record = FileRecord(b"[", key=b"k" * 100_000, headers=[("trace", b"\xff" * 100_000)])
    out = Watch(QUIET).apply([record])
    (letter,) = [json.loads(message.value) for topic, message in out.order if topic == "deadletter"]
    assert letter["key"] == "k" * TEXT_BYTES
    assert letter["headers"] == [["trace", "\\xff" * TEXT_BYTES]]


def test_an_event_that_stands_for_more_than_ten_thousand_calls_is_a_dead_letter():
    assert letters_of(event(0, sample_probability=0.0001)) == []
    (letter,) = letters_of(event(0, sample_probability=0.000099))
    assert letter["field"] == "sample_probability"


def test_ten_samples_of_a_pane_are_written():
    values = [event(number, event_id=str(number), error_type="timeout") for number in range(30)]
    out = Watch(QUIET).apply([FileRecord(value, offset) for offset, value in enumerate(values)])
    assert sum(topic == "samples" for topic, _ in out.order) == A_PANE


def test_tags_beyond_the_limit_are_part_of_the_answer():
    text = "<think>a</think>" * (_MAX_TAGS // 2) + "It ships.\n<think>b</think>"
    assert answer_of(text) == "It ships.\n<think>b</think>"
