"""The page on which a person labels answers, in a real browser, by keyboard."""

from __future__ import annotations

import asyncio
import json

from monitor.__main__ import main
from softfail.publish import parse_line
from tests.integration.monitor.browser import open_tab
from tests.polling import until

HOSTILE = "</script><script>document.title='owned'</script><img src=https://evil.example/x onerror=\"document.title='owned'\"><!--"


def write_events(path, count=400):
    """Write responses; every tenth one refuses, and the first has hostile texts."""
    with path.open("w") as file:
        for number in range(count):
            refuses = number % 10 == 0
            event = {
                "event_id": f"r{number}",
                "time": "2026-11-20T10:00:00Z",
                "service": "shop",
                "feature": f"answer{HOSTILE}" if number == 0 else "answer",
                "model": "m1",
                "input": HOSTILE,
                "context": HOSTILE,
                "output": "I'm sorry, but I can't help with that."
                if refuses
                else f"It ships on Monday. {HOSTILE}",
                "sample_probability": 0.5,
            }
            file.write(json.dumps(event) + "\n")


def draw(tmp_path, answers):
    write_events(tmp_path / "events.ndjson")
    files = [str(tmp_path / "events.ndjson"), "--question", "correct", "--output", str(tmp_path / "review")]
    assert main(["review", "sample", *files, "--answers", str(answers)]) == 0
    return tmp_path / "review"


def test_100_answers_are_labelled_by_keyboard_saved_and_imported(chromium, tmp_path):
    folder = draw(tmp_path, 100)

    async def label():
        async with open_tab(chromium, tmp_path / "profile", tmp_path) as tab:
            await tab.open((folder / "review.html").as_uri())
            for number in range(100):
                refuses = await tab.value(
                    "document.getElementById('output').textContent.startsWith('I\\'m sorry')"
                )
                assert await tab.value("document.getElementById('position').textContent") == (
                    f"Answer {number + 1} of 100:"
                )
                await tab.key("2" if refuses else "1")
            assert await tab.value("document.getElementById('count').textContent") == "100 of 100 labelled"
            await tab.key("s")  # without a name, the name is asked for
            assert await tab.value("document.activeElement.id") == "rater"
            await tab.type("ann")
            await tab.key("Enter")
            await tab.key("s")
            await until(lambda: list(tmp_path.glob("labels-*-ann.jsonl")))
            assert await tab.value("document.title") == "Correct?"
            assert await tab.value("document.images.length") == 0
            assert [url for url in tab.requests if not url.startswith(("file:", "blob:"))] == []
            assert tab.console == []

    asyncio.run(label())
    (labels,) = tmp_path.glob("labels-*-ann.jsonl")
    events = tmp_path / "labels.ndjson"
    sample = str(folder / "sample.jsonl")
    assert main(["review", "import", sample, str(labels), "--output", str(events)]) == 0
    lines = [parse_line(line) for line in events.read_bytes().splitlines()]
    assert len(lines) == 100
    failed = {line.fields["response_id"] for line in lines if not line.fields["passed"]}
    assert failed == {f"r{number}" for number in range(0, 400, 10)}, (
        "40 of 400 failed, all of them were drawn"
    )
    assert {line.fields["evaluator"] for line in lines} == {"human:correct"}
    weights = sum(1 / line.fields["sample_probability"] for line in lines)
    assert round(weights) == 800, "400 events at p = 0.5 stand for 800 calls"


def test_labels_are_undone_noted_and_kept_over_a_restart_of_the_browser(chromium, tmp_path):
    folder = draw(tmp_path, 20)
    url = (folder / "review.html").as_uri()

    async def label():
        async with open_tab(chromium, tmp_path / "profile", tmp_path) as tab:
            await tab.open(url)
            await tab.key("1")
            await tab.key("2")
            await tab.key("u")  # back to answer 2, without its label
            assert await tab.value("document.getElementById('position').textContent") == "Answer 2 of 20:"
            assert await tab.value("document.getElementById('count').textContent") == "1 of 20 labelled"
            await tab.key("n")
            await tab.type("2 js")  # keys of a note are no commands
            await tab.key("Enter")
            await tab.key("0")
            await tab.key("ArrowRight")
            await tab.key("j")
            await tab.key("k")
            assert await tab.value("document.getElementById('position').textContent") == "Answer 4 of 20:"
            await tab.open("about:blank")
            await tab.open(url)
            assert await tab.value("document.getElementById('position').textContent") == "Answer 4 of 20:"
            assert await tab.value("document.getElementById('count').textContent") == "2 of 20 labelled"
            await tab.value("document.getElementById('rater').value = 'bo <b>'")
            await tab.key("s")
            await until(lambda: list(tmp_path.glob("labels-*.jsonl")))

    asyncio.run(label())
    (labels,) = tmp_path.glob("labels-*-bo_b_.jsonl")
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    assert [(row["answer"], row["label"], row["note"], row["rater"]) for row in rows] == [
        (1, "pass", "", "bo <b>"),
        (2, "cannot tell", "2 js", "bo <b>"),
    ]


def test_the_page_fits_a_phone_with_hostile_long_words(chromium, tmp_path):
    folder = draw(tmp_path, 20)

    async def measure():
        async with open_tab(chromium, tmp_path / "profile", tmp_path) as tab:
            await tab.size(390, 844)
            await tab.open((folder / "review.html").as_uri())
            assert await tab.value("document.documentElement.scrollWidth") == 390
            bottom = await tab.value(
                "document.querySelector('#labels button').getBoundingClientRect().bottom"
            )
            assert bottom < 844, "the labels are visible without scrolling"

    asyncio.run(measure())
