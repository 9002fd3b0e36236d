"""The command `report weekly`, on two weeks of events."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from monitor.__main__ import main

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"
REFUSAL = "I'm sorry, but I can't help with that."
START = datetime(2026, 11, 2, tzinfo=UTC)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)


def events(refusals=(2, 2), cost=(0.002, 0.002), new=0):
    """Yield two weeks with an event each two hours and minute of ten: so many refusals of 20 a week."""
    number = 0
    for week in (0, 1):
        for step in range(400):
            number += 1
            is_new = week == 1 and step % 20 < new
            yield {
                "event_id": f"r{number}",
                "time": (START + timedelta(days=7 * week, minutes=25 * step))
                .isoformat()
                .replace("+00:00", "Z"),
                "service": "shop",
                "feature": "answer",
                "model": "m",
                "input": f"the SolarRoof inverter beeps {HOSTILE} {step % 7}"
                if is_new
                else f"where is parcel {step % 40} of mine",
                "output": REFUSAL if step % 20 < refusals[week] else f"It ships on Monday, number {step}.",
                "cost_usd": cost[week],
                "input_tokens": 10,
                "output_tokens": 20,
            }


@pytest.fixture
def report(tmp_path):
    """Return a function from events and flags to exit code and page."""

    def run(rows, *flags):
        (tmp_path / "events.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        out = tmp_path / "weekly.html"
        code = main(
            [
                "report",
                "weekly",
                str(tmp_path / "events.ndjson"),
                "--output",
                str(out),
                "--to",
                "2026-11-16",
                *flags,
            ]
        )
        return code, out.read_text() if out.exists() else ""

    return run


def test_what_moved_what_is_new_and_what_it_cost_stand_on_the_page(report):
    code, page = report(events(refusals=(1, 4), cost=(0.002, 0.004), new=2))
    assert code == 0
    assert "Failed: refusal" in page
    assert "20 %" in page
    assert "SolarRoof" in page
    assert "$1.60 this week, $0.8 last week" in page
    assert "No judge configured." in page
    assert re.search(r'data-k="correctness"><p>refusal 20 % \(was 5 %\)</p>', page)
    assert 'data-k="delight"><p>not measured</p>' in page
    assert "--match shop/answer" in page


def test_a_calm_week_says_so(report):
    code, page = report(events())
    assert code == 0
    assert "0 figures got worse" in page
    assert "No figure moved beyond chance" in page
    assert "No group of inputs is unlike those of last week." in page


def test_hostile_inputs_are_plain_text_and_the_page_loads_nothing(report):
    _, page = report(events(new=3))
    assert "&lt;script&gt;alert(1)" in page
    assert not Tags(page).tags & {"script", "img", "link", "iframe", "object"}
    assert "http:" not in page
    assert "https:" not in page


def test_trust_in_a_judge_comes_from_labels_of_people(report, tmp_path):
    config = {
        "judges": [
            {
                "name": "correct",
                "match": ["*"],
                "rubric": {
                    "prompt": "{{input}} {{output}}",
                    "choice_scores": {"yes": 1, "no": 0},
                },
                "model": "m-2026-01-01",
                "budget": 10,
                "prices": {"input": 1, "output": 1},
            }
        ]
    }
    (tmp_path / "softfail.yaml").write_text(json.dumps(config))
    rows = list(events())
    for number in range(1, 61):
        for evaluator, passed in (("correct", number % 6 != 0), ("human:correct", number % 7 != 0)):
            rows.append(
                {
                    "kind": "evaluation",
                    "event_id": f"{evaluator}{number}",
                    "time": "2026-11-12T00:00:00Z",
                    "service": "shop",
                    "feature": "answer",
                    "response_id": f"r{number}",
                    "evaluator": evaluator,
                    "evaluator_version": "1",
                    "passed": passed,
                }
            )
    code, page = report(rows, "--config", str(tmp_path / "softfail.yaml"))
    assert code == 0
    assert "No judge configured" not in page
    assert "wanted 85 %" in page
    assert ">60<" in page


def test_one_week_only_says_what_is_missing(report):
    code, page = report(row for row in events() if row["time"] >= "2026-11-09")
    assert code == 0
    assert "There are no events of the week before" in page


def test_junk_is_named_and_an_empty_file_is_refused(report, tmp_path, capsys):
    assert report([*events(), "junk"])[0] == 1
    (tmp_path / "empty.ndjson").write_text("")
    assert (
        main(["report", "weekly", str(tmp_path / "empty.ndjson"), "--output", str(tmp_path / "x.html")]) == 2
    )
    assert "no event in these files can be read" in capsys.readouterr().err
