"""Laws of pinned references: how they are made from files, how rules use them, and that they never change."""

from __future__ import annotations

import gzip
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.__main__ import main
from monitor.backtest.engine import replay
from monitor.config_check import load_checked_config
from monitor.protocol.messages import FileRecord
from monitor.references.finder import ReferenceFinder
from monitor.references.pinned import PinnedReferences
from monitor.state.pin_writer import MAX_BLOCKS, CountedSeries, make_pin
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import HOUR_US
from schemas.config.load import InvalidConfig
from schemas.pin_file import Pinned
from tests.llmdrift import JUNE, MARCH, measurements_of, rows_of

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY, M = FeatureKey("bot", "answer", "production"), SegmentKey("m")
QUIET = "default_rules: false\nno_data: {severity: null}\n"
CONFIG = QUIET + "pinned: {march: {file: march.json}}\ndrift: [{name: drift, reference: pinned march}]\n"


def events(
    count: int, every_s: float = 2, start_s: float = 0, factor: float = 1, seed: int = 1, **more: Any
) -> list[dict[str, Any]]:
    """Return this many responses with log-normal tokens and a text."""
    rng, out = random.Random(seed), []
    for nth in range(count):
        tokens = round(rng.lognormvariate(5, 0.4) * factor)
        time = (NINE + timedelta(seconds=start_s + nth * every_s)).isoformat()
        out.append(
            {
                "event_id": f"{start_s} {nth}",
                "time": time,
                "service": "bot",
                "feature": "answer",
                "model": "m",
                "output_tokens": tokens,
                "output": "word " * rng.randrange(1, 9),
                **more,
            }
        )
    return out


class Desk:
    """A folder with configuration, event files and pins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pin(
        self, rows: Iterable[dict[str, Any] | str], *more: str, config: str = QUIET, days: int = 8
    ) -> int:
        (self.folder / "events.ndjson").write_text(
            "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        )
        (self.folder / "softfail.yaml").write_text(config)
        times = "--from", "2026-03-02T09:00Z", "--to", (NINE + timedelta(days=days)).isoformat()
        files = (
            str(self.folder / "events.ndjson"),
            "--output",
            str(self.folder / "march.json"),
            "--config",
            str(self.folder / "softfail.yaml"),
        )
        return main(["baseline", "pin", "march", *times, *more, *files])

    def written(self) -> dict[str, Any]:
        return json.loads((self.folder / "march.json").read_text())

    def pins(self) -> PinnedReferences:
        return PinnedReferences(self.config().pinned)

    def config(self, text: str = CONFIG) -> Any:
        (self.folder / "softfail.yaml").write_text(text)
        return load_checked_config(self.folder / "softfail.yaml")

    def transitions(self, rows: Iterable[dict[str, Any]], text: str = CONFIG) -> list[dict[str, Any]]:
        """Return the transitions at the feature level."""
        records = (FileRecord(json.dumps(row).encode(), nth) for nth, row in enumerate(rows))
        alerts = [
            json.loads(message.value)
            for outputs in replay(self.config(text), records)
            for message in outputs.messages.get("alerts", ())
        ]
        return [item for item in alerts if item["record"] == "transition" and item["level"] == "feature"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---- what is kept
# -------------------------------------------------------------------------------------------------------


def test_a_pin_contains_exactly_the_counts_between_its_times(desk: Desk) -> None:
    inside = events(700, every_s=10)
    assert desk.pin([*events(50, start_s=-200), *inside, *events(50, start_s=86_400 + 10)], days=1) == 0
    reference = desk.pins().find("march", KEY, None)
    assert reference is not None
    assert reference.pane.events == 700
    assert reference.pane.numbers["output_tokens"].weighted_sum() == sum(
        item["output_tokens"] for item in inside
    )
    texts = desk.pins().texts("march", KEY, None, "output_text")
    assert texts is not None
    assert texts.sketch.n == 700
    assert sum(block.n for block in texts.blocks) == 700


def test_days_and_gaps_lose_no_texts_and_make_at_most_48_blocks(desk: Desk) -> None:
    days = [
        event for day in range(4) for event in events(1500, every_s=40, start_s=day * 86_400, seed=day)
    ] + events(300, every_s=60, start_s=6 * 86_400)
    assert desk.pin(days, config="time: {pane: 5m}\n" + QUIET) == 0
    pins = desk.pins()
    reference, texts = pins.find("march", KEY, M), pins.texts("march", KEY, M, "output_text")
    assert reference is not None
    assert texts is not None
    assert (reference.pane.events, texts.sketch.n) == (6300, 6300)
    assert 24 <= len(reference.blocks) <= MAX_BLOCKS
    assert len(texts.blocks) <= MAX_BLOCKS


def test_the_same_events_in_two_gzip_files_make_the_same_pin(desk: Desk, tmp_path: Path) -> None:
    rows = events(600)
    assert desk.pin(rows) == 0
    names = []
    for nth in range(2):
        names.append(str(tmp_path / f"{nth}.ndjson.gz"))
        with gzip.open(names[-1], "wt") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows[nth::2])
    assert (
        main(
            [
                "baseline",
                "pin",
                "march",
                "--from",
                "2026-03-02T09:00Z",
                "--to",
                "2026-03-10T09:00Z",
                *names,
                "--output",
                str(tmp_path / "again.json"),
            ]
        )
        == 0
    )
    assert (tmp_path / "again.json").read_text() == (tmp_path / "march.json").read_text()


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 400)), min_size=1, max_size=80),
    st.sampled_from([60_000_000, HOUR_US, 24 * HOUR_US]),
)
def test_all_blocks_together_contain_every_count(counted: list[tuple[int, int]], length_us: int) -> None:
    panes: dict[int, Pane] = {}
    for nth, events_of in counted:
        pane = panes.setdefault(nth * length_us, Pane(nth * length_us))
        pane.events += events_of
        pane.rate("error_rate").add(1_000_000, events_of, events_of // 3)
    whole = merge_panes(panes.values(), 0)
    series = CountedSeries([(start_us, length_us, pane) for start_us, pane in panes.items()], {})
    pin = make_pin("p", 0, 400 * length_us, [(KEY, {}, {M: series})])
    reference = PinnedReferences({"p": Pinned(file="-", pin=pin)}).find("p", KEY, M)
    assert (reference is None) is (whole.events < 500)
    if reference is not None:
        assert reference.pane.state() == whole.state()
        assert len(reference.blocks) <= min(MAX_BLOCKS, max(1, whole.events // 100))
        assert (reference.start_us, reference.end_us) == (min(panes), max(panes) + length_us)


# ---- what it is to a rule
# -----------------------------------------------------------------------------------------------


def test_a_segment_is_compared_with_its_own_pin_and_an_unknown_or_small_segment_with_the_whole_feature(
    desk: Desk,
) -> None:
    assert desk.pin([*events(600), *events(100, start_s=2000, model="small")]) == 0
    pins = desk.pins()
    events_of = {
        model: reference.pane.events
        for model in ("m", "small", "new")
        if (reference := pins.find("march", KEY, SegmentKey(model)))
    }
    assert events_of == {"m": 600, "small": 700, "new": 700}
    assert pins.find("march", KEY._replace(feature="other"), None) is None
    assert pins.find("march", KEY._replace(environment="staging"), None) is None
    assert pins.texts("march", KEY._replace(feature="other"), None, "output_text") is None


def test_a_pinned_reference_ignores_the_order_of_dimensions_and_is_never_young(desk: Desk) -> None:
    config = QUIET + "features: [{match: '*', dimensions: [region, tier]}]\n"
    assert desk.pin(events(600, every_s=0.5, dimensions={"region": "eu", "tier": "pro"}), config=config) == 0
    pins = desk.pins()
    reference = pins.find("march", KEY, SegmentKey("m", dimensions=(("tier", "pro"), ("region", "eu"))))
    assert reference is pins.find(
        "march", KEY, SegmentKey("m", dimensions=(("region", "eu"), ("tier", "pro")))
    )
    assert reference is not pins.find("march", KEY, None)
    assert reference is not None
    assert reference.end_us - reference.start_us < 15 * 60_000_000
    assert not reference.is_young


def test_without_a_pin_there_is_no_reference(desk: Desk) -> None:
    from monitor.windows.feature_series import FeatureState

    assert ReferenceFinder().find("pinned march", FeatureState(KEY), None, HOUR_US, 60_000_000, 0) is None
    assert (
        ReferenceFinder().texts(
            "pinned march", FeatureState(KEY), None, HOUR_US, 60_000_000, 0, "output_text"
        )
        is None
    )


def test_a_difference_from_the_pin_is_detected_in_the_first_minutes_and_equality_opens_nothing(
    desk: Desk,
) -> None:
    assert desk.pin(events(2000)) == 0
    assert desk.transitions(events(1500, start_s=5 * 86_400, seed=2)) == []
    first, *_ = desk.transitions(events(300, start_s=5 * 86_400, factor=2, seed=2))
    assert (first["state"], first["evidence"]["reference_name"], first["evidence"]["metric"]) == (
        "firing",
        "pinned march",
        "output_tokens.p50",
    )
    assert datetime.fromisoformat(first["time"]) <= NINE + timedelta(days=5, minutes=2)
    assert first["evidence"]["reference"] == pytest.approx(148, rel=0.1)


def test_a_drift_from_a_pin_never_becomes_normal(desk: Desk) -> None:
    assert desk.pin(events(2000)) == 0
    long = events(26 * 120, every_s=30, start_s=86_400, factor=5, seed=2)
    panes = "time: {pane: 5m}\n"
    drift = CONFIG.replace("reference", "on: [output_tokens], min_events: 10, reference")
    assert [item["state"] for item in desk.transitions(long, panes + drift)] == ["firing"]
    healthy = events(240, every_s=30, start_s=86_400 + 26 * 3600, seed=3)
    last = desk.transitions([*long, *healthy], panes + drift)[-1]
    assert (last["state"], "normal" in last["reason"]) == ("resolved", False)
    assert datetime.fromisoformat(last["time"]) > NINE + timedelta(days=2, hours=2)


def test_counts_of_another_evaluator_version_are_not_compared(desk: Desk) -> None:
    short, long = (
        f"features: [{{match: '*', evaluators: [{{length: {{max_chars: {most}}}}}]}}]\n"
        for most in (20, 1000)
    )
    drift = CONFIG.replace("reference", "on: [evaluator.length.fail_rate], reference")
    assert desk.pin(events(2000), config=QUIET + short) == 0
    assert desk.transitions(events(600, start_s=86_400), short + drift) == []
    assert desk.transitions(events(600, start_s=86_400), long + drift) == []
    first, *_ = desk.transitions(events(600, start_s=86_400, output="long " * 30), short + drift)
    assert first["evidence"]["metric"] == "evaluator.length.fail_rate"


# ---- what can be wrong
# --------------------------------------------------------------------------------------------------


def test_too_few_events_make_no_pin_and_the_largest_feature_is_reported(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.pin([*events(499), *events(3, feature="rare")]) == 2
    assert "no feature has 500 events" in (errors := capsys.readouterr().err)
    assert "bot/answer has most, 499; choose a longer period or other files" in errors
    assert desk.pin(events(600), "--match", "other/*") == 2
    assert "there are no events" in capsys.readouterr().err
    assert not (desk.folder / "march.json").exists()


def test_a_pin_never_changes(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.pin(events(600)) == 0
    before = (desk.folder / "march.json").read_text()
    with pytest.raises(SystemExit) as ended:
        desk.pin(events(700))
    assert ended.value.code == 2
    assert (
        "exists, and a pin is never changed; choose another name, or remove the file first"
        in capsys.readouterr().err
    )
    assert (desk.folder / "march.json").read_text() == before


def test_an_unreadable_line_is_reported_and_omitted(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.pin([*events(300), "{", *events(300, start_s=600)]) == 1
    assert "1 line could not be read and was left out" in (errors := capsys.readouterr().err)
    assert "events.ndjson:301: not JSON" in errors
    assert desk.written()["events"] == 600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2026-03-03", "--to", "2026-03-02", "x"], "--from must be before --to"),
        (["--from", "2026-03-03", "--to", "2026-09-02", "x"], "at most 90 days"),
        (["--from", "2026-03-03", "--to", "then", "x"], "'then' is not a time"),
        (["--from", "2026-03-03", "--to", "2026-03-04", "--match", "bot", "x"], "write service/feature"),
        (["--to", "2026-03-04", "x"], "--from"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["baseline", "pin", "march", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["baseline", "pin", "../march", "--from", "2026-03-03", "--to", "2026-03-04", "x"])
    assert "must be letters, digits" in capsys.readouterr().err


def test_a_configuration_that_names_a_future_pin_can_be_used_to_make_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.pin(events(600), config=CONFIG) == 0
    assert "pinned: {march: {file: march.json}}" in capsys.readouterr().out
    assert load_checked_config(desk.folder / "softfail.yaml").pinned["march"].pin is not None


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda pin: pin.update(layout=99),
            (
                r"layout 99 and not \d+\); pin it anew: python -m monitor baseline pin march --from"
                r" 2026-03-02T09:00:00Z --to"
            ),
        ),
        (lambda pin: pin.update(histogram_scale=4), r"histogram_scale 4 and not 5"),
        (lambda pin: pin.update(text_sketch=0), r"text_sketch 0 and not \d"),
        (
            lambda pin: pin["features"][0]["whole"]["blocks"].pop(),
            r"features\[0\]: what it holds is not what it says it holds; pin it anew",
        ),
        (
            lambda pin: pin["features"][0]["segments"][0]["blocks"][0].update(pane="YWJj"),
            r"features\[0\]: cannot be read: .*; pin it anew",
        ),
        (
            lambda pin: pin["features"][0]["whole"]["blocks"][0].update(
                pane=b64encode(b"\x91" * 5000).decode()  # lists in lists
            ),
            r"features\[0\]: cannot be read: .*; pin it anew",
        ),
        (
            lambda pin: pin["features"][0]["whole"].update(texts={"output_text": ["YWJj"]}),
            r"features\[0\]: cannot be read: text sketch of version",
        ),
    ],
)
def test_an_incompatible_pin_is_a_configuration_error(desk: Desk, change: Change, message: str) -> None:
    desk.pin(events(600, every_s=5))
    pin = desk.written()
    change(pin)
    (desk.folder / "march.json").write_text(json.dumps(pin))
    with pytest.raises(InvalidConfig, match=rf"^pinned\.march\.file: march\.json .*{message}"):
        desk.config()


def test_the_core_refuses_a_pin_that_was_not_loaded() -> None:
    with pytest.raises(ValueError, match=r"pinned\.march\.file: march\.json was not read"):
        PinnedReferences({"march": Pinned(file="march.json")})


# ---- real answers
# -------------------------------------------------------------------------------------------------------


def answers(name: str, model: str, begin: datetime) -> list[dict[str, Any]]:
    return [
        {
            "event_id": str(nth),
            "time": (begin + timedelta(seconds=nth)).isoformat(),
            "service": "bot",
            "feature": "answer",
            "model": "gpt-4",
            **measurements_of(row),
        }
        for nth, row in enumerate(rows_of(name, model))
    ]


@pytest.mark.llmdrift
@pytest.mark.parametrize("name", ["OPINIONQA", "PRIME_FULL"])
def test_june_is_detected_against_a_pin_of_march_at_the_first_edge_and_march_is_not(
    desk: Desk, name: str
) -> None:
    march = answers(name, MARCH, NINE)
    assert desk.pin(march) == 0
    first, *_ = desk.transitions(answers(name, JUNE, NINE + timedelta(days=90)))
    assert datetime.fromisoformat(first["time"]) == NINE + timedelta(days=90, minutes=1)
    assert {item["metric"].partition(".")[0] for item in first["evidence"]["findings"]} >= {
        "output_chars",
        "output_tokens",
    }
    assert desk.transitions(march) == []
