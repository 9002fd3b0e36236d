"""`monitor check`: all faults in one run, in plain English; and what matches nothing that was seen."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from monitor.cli.check import main

BAD = """
time: {pane: 7s}
kafka: {brokers: 7, partitions: many}
features:
  - {match: "bot/*", evaluators: [refusl, {length: {min_chars: x}}], interaction: fast}
  - {match: "shop/*", evaluators: [emty]}
rules:
  - {name: r1, on: evaluator.refusals.fail_rate, above: 0.1}
  - {name: r2, on: error_rate, above: high, severity: bad}
  - {name: r3, on: evaluator.brand_voice.fail_rate, above: 0.1}
routes: {to: pager}
health: {window: 1}
channels: {pagerduty: {routing_key: "${NO_SUCH_KEY}"}}
objectives: [{name: o, on: pass_rate, target: 2}]
"""
EVENTS = [
    {"event_id": "1", "time": "2026-03-02T09:00:00Z", "service": "bot", "feature": feature, "model": "m"}
    for feature in ("answer", "summary")
]


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)

    def run(text, *against):
        path = tmp_path / "softfail.yaml"
        path.write_text(text)
        code = main([str(path), *(("--against", *against) if against else ())])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err

    return run


def test_the_faults_of_models_and_core_are_reported_in_one_run(check):
    code, lines, err = check(BAD)
    assert code == 1
    for begin in (
        "kafka.brokers: must be text, got 7",
        "kafka.partitions: must be a whole number, got 'many'",
        "features[0].interaction: must be 'sync', 'progressive' or 'async', got 'fast'",
        "features[0]: evaluator 'refusl' is unknown; did you mean 'refusal'?",
        "features[0]: evaluator length: parameter min_chars: must be a whole number; got 'x'",
        "features[1]: evaluator 'emty' is unknown; did you mean 'empty'?",
        "rules[0].on: there is no evaluator 'refusals'; did you mean 'refusal'?",
        "rules[1].above: must be a number or 'budget' or 'baseline', got 'high'",
        "rules[1].severity: must be 'critical', 'error', 'warning' or 'info', got 'bad'",
        "routes: must be a list",
        "health.window: must be at least 5, got 1.0",
        "objectives[0].target: must be less than 1, got 2",
        "note: channels.pagerduty.routing_key: the variable NO_SUCH_KEY is not set here; a worker needs it",
        "note: rules[2].on: softfail has no evaluator 'brand_voice'",
    ):
        assert [line for line in lines if line.startswith(begin)], begin
    assert f"{sum(not line.startswith('note: ') for line in lines)} faults" in err


@pytest.mark.parametrize(
    "text",
    [
        BAD,
        "rules: 7\nfeatures: {a: b}",
        "features: [7, {match: [a]}, {evaluators: 7}]",
        "channels: {slack: 7, webhook: {headers: {a: [b]}}}\nhttp: {port: x}",
        "silences: [{match: 5}]\npage_environments: production\ndefault_rules: null",
        "links: [a]\ndrift: [{on: 3, effect: x}]\npinned: {a: 4}",
    ],
)
def test_no_fault_is_in_the_words_of_the_validator(check, text):
    code, lines, _ = check(text)
    assert code == 1
    for word in (
        "Input should",
        "valid dictionary",
        "valid tuple",
        "valid string",
        "unable to parse",
        "Value error",
    ):
        assert not [line for line in lines if word in line]


def test_a_variable_that_is_not_set_is_a_note_and_no_fault(check, monkeypatch):
    code, lines, _ = check('channels: {pagerduty: {routing_key: "${NO_SUCH_KEY}"}}')
    assert code == 0
    assert lines[0].startswith("note: channels.pagerduty.routing_key: the variable NO_SUCH_KEY")
    monkeypatch.setenv("SOFTFAIL_CHANNELS__PAGERDUTY__ROUTING_KEY", "0" * 32)
    code, lines, _ = check('channels: {pagerduty: {routing_key: "${NO_SUCH_KEY}"}}')
    assert (code, lines[0].startswith("note: ")) == (0, False)
    monkeypatch.delenv("SOFTFAIL_CHANNELS__PAGERDUTY__ROUTING_KEY")
    code, lines, _ = check('links: {status: "${NO_SUCH_KEY}"}')
    assert (code, lines) == (1, ["links.status: the environment has no variable NO_SUCH_KEY; set it"])


PATTERNS = """
features: [{match: "bot/answer"}, {match: "bot/sumary"}]
rules: [{name: r, on: evaluator.tone.fail_rate, above: 0.1, match: "bt/*", environments: [staging]}]
silences: [{match: "softfail/*", from: 2026-12-24T18:00:00+01:00, to: 2026-12-25T18:00:00+01:00, reason: x}]
channels: {console: {}}
routes: [{match: "shop/*", to: [console]}, {to: [console]}]
"""
UNMATCHED = [
    "features[1].match: 'bot/sumary' matches no feature seen in SEEN; did you mean 'bot/summary'?",
    "routes[0].match: 'shop/*' matches no feature seen in SEEN; seen are: bot/answer, bot/summary",
    "rules[0].match: 'bt/*' matches no feature seen in SEEN; seen are: bot/answer, bot/summary",
    "rules[0].environments: 'staging' matches no environment seen in SEEN; seen are: production",
]


def test_patterns_and_evaluators_are_compared_with_the_events_of_files(check, tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS) + "no event\n")
    code, lines, _ = check(PATTERNS, str(path))
    tone = "rules[0].on: softfail has no evaluator 'tone', and no evaluation event in SEEN names it"
    assert (code, lines) == (1, [line.replace("SEEN", str(path)) for line in (*UNMATCHED, tone)])
    verdict = {
        **EVENTS[0],
        "event_id": "9",
        "kind": "evaluation",
        "evaluator": "tone",
        "label": "passed",
        "response_id": "1",
    }
    path.write_text(path.read_text() + json.dumps(verdict) + "\n")
    assert tone.replace("SEEN", str(path)) not in check(PATTERNS, str(path))[1]


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers["Authorization"] != "Bearer geheim-geheim-geheim":
            self.send_error(401)
            return
        pattern = self.path.partition("match=")[2]
        rows = [] if pattern else [{**event, "environment": "production"} for event in EVENTS]
        body = json.dumps({"features": rows, "features_total": len(rows)}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_patterns_are_compared_with_what_a_running_worker_shows(check, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        code, _, err = check(PATTERNS, url)
        assert (code, "set SOFTFAIL_HTTP__TOKEN" in err) == (2, True)
        monkeypatch.setenv("SOFTFAIL_HTTP__TOKEN", "geheim-geheim-geheim")
        code, lines, _ = check(PATTERNS, url)
        assert code == 1
        assert [line for line in lines if not line.startswith("note: ")] == [
            line.replace("SEEN", url) for line in UNMATCHED
        ]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_source_that_cannot_be_read_is_said_with_the_remedy(check, tmp_path, free_port):
    for source, why in (
        (f"http://127.0.0.1:{free_port()}", "does not answer"),
        (str(tmp_path / "missing.ndjson"), "cannot be read"),
    ):
        code, _, err = check("", source)
        assert code == 2
        assert err.startswith("--against: ")
        assert why in err
    assert "geheim" not in err
