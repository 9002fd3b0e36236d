"""Drift of the languages of texts, from events to findings."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.config_check import load_checked_config
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.wording.finding_text import measure
from schemas.config.monitor_config import Config
from schemas.evidence_record import Evidence
from tests.monitor import restarted_watch
from tests.monitor.event_values import event

ENGLISH = (
    "Your order was shipped on Tuesday and arrives on Friday.",
    "Open Settings, then Orders, and press the button Return.",
)
FRENCH = (
    "Votre commande a été expédiée mardi et arrivera vendredi.",
    "Ouvrez les paramètres, puis cliquez sur Commandes et Retour.",
)
ON_LANGUAGES = Config.model_validate(
    {
        "default_rules": False,
        "no_data": {"severity": None},
        "drift": [{"name": "drift", "on": ["input_language", "output_language"]}],
    }
)


def firing_transitions(
    minutes: int,
    fields: Callable[[int, float], dict[str, Any]],
    config: Config | None = None,
    a_minute: int = 20,
) -> list[dict[str, Any]]:
    """Return the transitions to firing. ``fields`` returns the fields of the nth event at that minute."""
    values = [
        event(nth * 60 / a_minute, **{"output": None, **fields(nth, nth / a_minute)})
        for nth in range(minutes * a_minute)
    ]
    return restarted_watch.firing_transitions(restarted_watch.alerts_of(values, config))


def findings(transition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["metric"]: item for item in transition["evidence"]["findings"]}


@pytest.mark.parametrize("name", ["input", "output"])
def test_texts_that_change_from_english_to_french_are_a_finding_that_names_the_language(name: str) -> None:
    transitions = firing_transitions(
        90, lambda nth, minute: {name: (ENGLISH if minute < 70 else FRENCH)[nth % 2]}
    )
    assert {item["rule"] for item in transitions} == {"drift"}
    assert {item["level"] for item in transitions} == {"segment", "feature"}
    assert min(item["time"][11:16] for item in transitions) <= "10:15"
    for transition in transitions:
        finding = findings(transition)[f"{name}_language=fr"]
        assert (finding["reference"], finding["test"]) == (0.0, "g")
        assert finding["value"] >= 0.2
        assert finding["p_value"] < 1e-6
        assert "s: French " in measure(Evidence.model_validate(finding))
        assert "was English 100 %" in measure(Evidence.model_validate(finding))


@pytest.mark.seeds(2, nightly=6)
def test_a_stable_mix_of_languages_is_not_a_finding(seed: int) -> None:
    rng = random.Random(seed)

    def fields(_: int, minute: float) -> dict[str, Any]:
        return {
            "input": rng.choice(ENGLISH if rng.random() < 0.8 else FRENCH),
            "output": rng.choice(ENGLISH if rng.random() < 0.8 else FRENCH),
        }

    assert firing_transitions(240, fields, ON_LANGUAGES) == []


@pytest.mark.parametrize(("minutes", "expected"), [(4, False), (5, True)])
def test_a_sixth_of_the_answers_in_a_new_language_is_a_finding_and_a_single_conversation_is_not(
    minutes: int, expected: bool
) -> None:
    """Four of the twenty detected answers of a minute: 16 or 20 of the hundred in five minutes."""

    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {"output": (FRENCH if 75 <= minute < 75 + minutes and nth % 20 < 4 else ENGLISH)[nth % 2]}

    assert bool(firing_transitions(120, fields, ON_LANGUAGES)) == expected


def test_answers_too_short_to_detect_are_not_another_language() -> None:
    assert (
        firing_transitions(
            120, lambda nth, minute: {"output": ENGLISH[nth % 2] if minute < 70 else "Yes."}, ON_LANGUAGES
        )
        == []
    )


def test_a_new_prompt_version_that_answers_in_french_is_detected_in_the_whole_feature() -> None:
    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {
            "prompt_version": "1" if minute < 70 else "2",
            "output": (ENGLISH if minute < 70 else FRENCH)[nth % 2],
        }

    assert {(item["level"], *findings(item)) for item in firing_transitions(90, fields, ON_LANGUAGES)} == {
        ("feature", "output_language=fr")
    }


WITH_COUNTRIES = Config.model_validate(
    {
        "features": [{"match": "*", "dimensions": ["country"]}],
        "drift": [{"name": "drift", "on": ["output_language"]}],
    }
)


def test_less_traffic_from_a_country_is_not_a_change_of_language() -> None:
    """A busy and a quiet segment have as many detected texts, so their sum is no mix of the traffic."""

    def fields(nth: int, minute: float) -> dict[str, Any]:
        quiet = nth % (2 if minute < 70 else 12) == 0
        return {
            "dimensions": {"country": "fr" if quiet else "en"},
            "output": (FRENCH if quiet else ENGLISH)[nth // 2 % 2],
        }

    assert firing_transitions(120, fields, WITH_COUNTRIES, 24) == []
    without = Config.model_validate({"drift": [{"name": "drift", "on": ["output_language"]}]})
    assert firing_transitions(120, fields, without, 24) != []


def test_a_country_whose_answers_change_language_is_detected_in_its_segment() -> None:
    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {
            "dimensions": {"country": ("fr", "en")[nth % 2]},
            "output": (ENGLISH if nth % 2 or minute >= 80 else FRENCH)[nth // 2 % 2],
        }

    transitions = firing_transitions(100, fields, WITH_COUNTRIES)
    assert [(item["level"], item["dimensions"], *findings(item)) for item in transitions] == [
        ("segment", {"country": "fr"}, "output_language=en")
    ]


def test_a_rule_may_name_a_language_and_a_misspelt_language_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "softfail.yaml"
    path.write_text("drift: [{name: d, on: [output_language]}]")
    assert load_checked_config(path).drift[-1].on == ("output_language",)
    path.write_text("drift: [{name: d, on: [output_langauge]}]")
    with pytest.raises(ValueError, match="did you mean 'output_language'"):
        load_checked_config(path)


GERMAN = (
    "Ihr Paket wurde heute dem Zusteller übergeben und kommt am Donnerstag.",
    "Bitte schalten Sie das Gerät aus, warten Sie kurz und starten Sie es wieder.",
)
RUSSIAN = ("Да, конечно, заказ отправлен.", "Посылка придёт в пятницу.")
JAPANESE = ("はい、発送済みです。", "金曜日に到着します。")


@pytest.mark.parametrize(
    ("a_minute", "healthy", "new", "name"),
    [
        (60, 18, GERMAN, "German"),  # a young reference
        (60, 40, RUSSIAN, "Russian"),
        (8, 80, GERMAN, "German"),
        (12, 60, JAPANESE, "Japanese"),
        (3, 180, GERMAN, "German"),
        (200, 17, FRENCH, "French"),
    ],
)
def test_all_answers_in_another_language_are_a_ticket_within_100_answers_or_a_minute(
    a_minute: int, healthy: int, new: tuple[str, str], name: str
) -> None:
    transitions = firing_transitions(
        healthy + max(2, 100 // a_minute),
        lambda nth, minute: {"output": (ENGLISH if minute < healthy else new)[nth % 2]},
        a_minute=a_minute,
    )
    assert {item["severity"] for item in transitions} == {"warning"}
    texts = [measure(Evidence.model_validate(item["evidence"]), interval=False) for item in transitions]
    assert any(text.startswith(f"language of answers: {name}") for text in texts), texts
    assert "was English 100 %" in texts[0]


@pytest.mark.parametrize("texts", [4, 9])
def test_a_conversation_of_a_few_texts_at_low_traffic_is_not_a_finding(texts: int) -> None:
    def fields(nth: int, minute: float) -> dict[str, Any]:
        return {"output": (GERMAN if 600 <= nth < 600 + texts else ENGLISH)[nth % 2]}

    assert firing_transitions(240, fields, ON_LANGUAGES, a_minute=4) == []


@pytest.mark.parametrize("recorded", [("language@1", 0), None], ids=["another version", "no version"])
def test_languages_that_another_version_detected_are_no_reference(recorded: tuple[str, int] | None) -> None:
    """``None``: the state of a release that did not record the version."""

    def transitions_after_restart(versions: Callable[[dict[str, tuple[str, int]]], None]) -> list[Any]:
        values = [event(nth * 3, output=(ENGLISH if nth < 1400 else FRENCH)[nth % 2]) for nth in range(1600)]
        records = [FileRecord(value, offset) for offset, value in enumerate(values)]
        watch = Watch(ON_LANGUAGES)
        watch.apply(records[:1400])
        (key,) = watch.partition_state.features
        versions(watch.partition_state.evaluators[key])
        watch.partition_state.mark_feature(key)
        after = restarted_watch.restarted(watch, ON_LANGUAGES)
        alerts = [
            json.loads(message.value)
            for topic, message in after.apply(records[1400:]).order
            if topic == "alerts"
        ]
        return restarted_watch.firing_transitions(alerts)

    def replace(versions: dict[str, tuple[str, int]]) -> None:
        for name in ("input_language", "output_language"):
            del versions[name]
            if recorded is not None:
                versions[name] = recorded

    assert transitions_after_restart(lambda versions: None)
    assert transitions_after_restart(replace) == []
