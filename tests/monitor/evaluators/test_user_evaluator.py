"""Evaluators of users in the core: what is asked, how verdicts count, and what a configuration may say.

What runs them here is a function; their processes: ``tests/softfail/test_evaluator_pool.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config_check import faults_of, load_checked_config, with_user_evaluators
from monitor.evaluators.suite import DEFAULT_EVALUATORS, Suite
from monitor.evaluators.user_evaluator import encode
from monitor.protocol.messages import FileRecord, Outputs
from monitor.watch import Watch
from schemas.config.load import InvalidConfig
from schemas.config.monitor_config import Config
from softfail.evaluator import ModelResponse, Verdict
from softfail.evaluator_process import Description, EvaluatorSpec
from tests.monitor.event_values import ANSWER, event

CITES = {"use": "checks:CitesSource"}
RATE = "evaluator.cites_source.fail_rate"


def config_of(*evaluators: Any, **more: Any) -> Config:
    feature = {"match": "*", "evaluators": list(evaluators), **more}
    return Config.model_validate(
        {"features": [feature], "default_rules": False, "no_data": {"severity": None}}
    )


def cites(payload: bytes) -> Verdict:
    response = ModelResponse(**json.loads(payload))
    return Verdict("passed") if "[1]" in (response.output or "") else Verdict("failed", "no [1]")


def run(
    config: Config,
    values: Sequence[bytes],
    evaluate: Callable[[bytes], Verdict] = cites,
    bundles: Sequence[int] = (),
) -> tuple[Watch, Outputs]:
    """Apply values, cut into bundles at some places."""
    watch, out = Watch(config), Outputs()
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    for begin, end in zip((0, *bundles), (*bundles, len(records)), strict=True):
        part = records[begin:end]
        watch.give({request: evaluate(request[1]) for request in watch.requests(part)})
        out.extend(watch.apply(part))
    out.extend(watch.finish())
    return watch, out


def windows(out: Outputs) -> list[Any]:
    return [json.loads(message.value) for message in out.messages["windows"]]


def test_a_verdict_that_was_given_counts_as_that_of_any_evaluator():
    values = [event(second, output="Yes [1]." if second % 4 else "Yes.") for second in range(40)]
    watch, out = run(config_of(CITES), values)
    rate = windows(out)[0]["metrics"][RATE]
    assert (rate["n"], rate["value"]) == (40, 0.25)
    assert watch.partition_state.features[ANSWER].verdicts["cites_source"] == 40
    assert windows(out)[0]["metrics"]["pass_rate"]["value"] == 1  # informative
    _, gating = run(config_of(CITES, gating={"cites_source": True}), values)
    assert windows(gating)[0]["metrics"]["pass_rate"]["value"] == 0.75


def test_the_process_gets_the_normal_form_and_only_what_it_can_judge():
    watch = Watch(config_of(CITES))
    values = [
        event(0, output="<think>hm</think>Yes.", finish_reason="FinishReason.MAX_TOKENS", context="c"),
        event(1, output=None),
        event(2, error_type="timeout"),
        event(3, finish_reason="MALFORMED_FUNCTION_CALL"),
        b"garbage",
        event(4, kind="feedback", response_id="1"),
    ]
    ((spec, payload),) = watch.requests([FileRecord(value) for value in values])
    assert spec.use == "checks:CitesSource"
    response = ModelResponse(**json.loads(payload))
    assert (response.output, response.finish_reason, response.context) == ("Yes.", "length", "c")


def test_an_evaluator_that_reads_no_text_gets_responses_without_text():
    def describe(spec: EvaluatorSpec) -> Description:
        return Description("2", reads_text=False)

    config, faults = with_user_evaluators(config_of(CITES), Path(), describe)
    watch = Watch(config)
    assert not faults
    assert len(watch.requests([FileRecord(event(1, output=None)), FileRecord(event(2, error_type="x"))])) == 1


def test_nothing_is_asked_and_decoded_where_no_feature_uses_one():
    assert Watch(Config()).requests([FileRecord(event(0))]) == []


def test_events_of_other_partitions_are_not_asked_for():
    records = [FileRecord(event(0))]
    asked = [len(Watch(config_of(CITES), partition, 8).requests(records)) for partition in range(8)]
    assert sorted(asked) == [0] * 7 + [1]


def test_without_verdicts_each_evaluation_is_an_error_and_in_no_figure():
    watch = Watch(config_of(CITES))
    out = watch.apply([FileRecord(event(second), second) for second in range(30)])
    out.extend(watch.finish())
    assert RATE not in windows(out)[0]["metrics"]
    assert watch.partition_state.features[ANSWER].evaluator_errors == {"cites_source": 30}


@pytest.mark.parametrize("state", ["error", "skipped"])
def test_a_bad_evaluator_changes_nothing_but_its_own_figures(state):
    values = [event(second, output="" if second % 9 == 0 else "Yes [1].") for second in range(300)]
    config = config_of("defaults", CITES, {"use": "checks:Bad"})

    def evaluate(payload: bytes) -> Verdict:
        return cites(payload)

    def broken(spec: EvaluatorSpec, payload: bytes) -> Verdict:
        return Verdict(state, "too bad") if spec.use == "checks:Bad" else cites(payload)  # type: ignore[arg-type]

    watch, out = Watch(config), Outputs()
    records = [FileRecord(value, offset) for offset, value in enumerate(values)]
    watch.give({request: broken(*request) for request in watch.requests(records)})
    out.extend(watch.apply(records))
    out.extend(watch.finish())
    _, without = run(config_of("defaults", CITES), values, evaluate)
    assert windows(out) == windows(without)
    assert watch.watermark_us is not None


@given(st.lists(st.integers(1, 119), max_size=6))
def test_bundles_change_nothing(cuts):
    values = [event(second, output="Yes [1]." if second % 3 else "Yes.") for second in range(120)]
    whole, out = run(config_of("defaults", CITES), values)
    parts, again = run(config_of("defaults", CITES), values, bundles=sorted(set(cuts)))
    assert windows(out) == windows(again)
    assert whole.changed() == parts.changed()


def test_a_sampled_evaluator_is_asked_a_share_chosen_by_hash_and_its_verdicts_weigh_by_it():
    values = [event(second / 100, event_id=f"e{second}", sample_probability=0.5) for second in range(4000)]
    watch, out = run(config_of({**CITES, "sample": 0.25}), values)
    rate = windows(out)[0]["metrics"][RATE]
    assert 900 < rate["n"] < 1100
    assert rate["classes"] == [[0.125, rate["n"], rate["n"]]]
    skipped = watch.partition_state.features[ANSWER].skipped["cites_source"]
    assert skipped == {"not sampled": 4000 - rate["n"]}
    _, again = run(config_of({**CITES, "sample": 0.25}), values)
    assert windows(again) == windows(out)


def test_the_samples_of_two_evaluators_do_not_depend_on_each_other():
    watch = Watch(config_of({**CITES, "sample": 0.5}, {"use": "checks:Other", "sample": 0.5}))
    asked = [
        {spec.use for spec, _ in watch.requests([FileRecord(event(0, event_id=str(number)))])}
        for number in range(2000)
    ]
    assert 400 < sum(len(names) == 2 for names in asked) < 600


def test_its_name_does_not_count_among_evaluators_elsewhere():
    values = [event(second) for second in range(3)]
    for number in range(70):
        fields = {"kind": "evaluation", "response_id": "1", "passed": True, "output": None, "model": "m"}
        values.append(event(10 + number / 10, evaluator=f"judge{number}", **fields))
    _, out = run(config_of(CITES), values)
    names = {name for name in windows(out)[0]["metrics"] if name.startswith("evaluator.judge")}
    assert len(names) == 64
    assert RATE in windows(out)[0]["metrics"]


def test_a_half_of_a_character_reaches_the_process(response):
    payload = encode(response(output="half \ud83d of it"))
    assert json.loads(payload)["output"] == "half \ud83d of it"


class TestVersions:
    @staticmethod
    def rates(*versions: str | None) -> list[int]:
        """Count with one version after the other; return from when on the last one counts."""
        state, since = list[Any](), 0
        for number, version in enumerate(versions):

            def describe(spec: EvaluatorSpec, version: str | None = version) -> Description:
                if version is None:
                    raise ValueError("there is no module")
                return Description(version)

            config, _ = with_user_evaluators(config_of(CITES), Path(), describe)
            watch = Watch(config)
            watch.restore(state)
            values = [FileRecord(event(600 * number + second), second) for second in range(0, 300, 10)]
            watch.give({request: cites(request[1]) for request in watch.requests(values)})
            watch.apply(values)
            latest = {key: value for key, value in [*state, *watch.changed()] if value is not None}
            state = list(latest.items())
            since = watch.partition_state.evaluators[ANSWER]["cites_source"][1]
        return [since]

    def test_another_version_counts_from_its_first_pane_on(self):
        assert self.rates("1", "1") == [0]
        assert self.rates("1", "2") != [0]

    def test_one_that_could_not_be_imported_for_a_while_is_the_same_as_before(self):
        assert self.rates("1", None, "1") == [0]


class TestConfiguration:
    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ({"use": "a b"}, "neither package.module:Name nor the name of an entry point"),
            ({"use": "x:Y", "smaple": 1}, "key 'smaple' is unknown; did you mean 'sample'?"),
            ({"use": "x:Y", "sample": 0}, "key sample: "),
            ({"use": "x:Y", "timeout": "1y"}, "key timeout: not a duration"),
            ({"use": "x:Y", "timeout": "1m"}, "key timeout: "),
            ({"use": "x:Y", "name": "a b"}, "must be letters, digits, _ and -"),
            (
                {"use": "x:Y", "name": "refusal"},
                "softfail has an evaluator 'refusal'; give yours another `name`",
            ),
            ({"use": "x:Y", "parameters": {"a": float("nan")}}, "parameters: "),
            ({"use": 3}, "key use: "),
        ],
    )
    def test_a_fault_names_its_place_and_its_remedy(self, setting, says):
        (fault,) = faults_of(config_of(setting))
        assert fault.startswith("features[0]: evaluator use ")
        assert says in fault

    def test_two_of_one_name_are_refused(self):
        (fault,) = faults_of(config_of({"use": "x:Y"}, {"use": "z:Y"}))
        assert "evaluator y is named 2 times" in fault

    def test_one_that_judges_a_sample_cannot_be_gating(self):
        (fault,) = faults_of(config_of({**CITES, "sample": 0.5}, gating={"cites_source": True}))
        assert "set sample: 1" in fault

    def test_defaults_stands_for_the_default_evaluators_that_are_not_named(self):
        names = Suite.from_settings([{"length": {"max_chars": 9}}, "defaults", CITES]).names
        assert sorted(names) == sorted((*DEFAULT_EVALUATORS, "cites_source"))
        assert Suite.from_settings(["defaults"]).names == Suite.from_settings().names

    def test_a_rule_may_name_it_and_a_misspelt_name_suggests_it(self):
        rule = {"name": "r", "on": RATE, "above": 0.5}
        config = config_of(CITES)
        good = Config.model_validate({"features": config.features, "rules": [rule]})
        assert faults_of(good) == []
        rule["on"] = RATE.replace("source", "sorce")
        (fault,) = faults_of(Config.model_validate({"features": config.features, "rules": [rule]}))
        assert "did you mean" in fault
        assert "cites_source" in fault

    def test_all_faults_are_found_in_one_run_those_of_imports_too(self, tmp_path):
        def describe(spec: EvaluatorSpec) -> Description:
            raise ValueError(f"there is no module in {spec.paths[0]}")

        path = tmp_path / "softfail.yaml"
        rule = {"name": "r", "on": "nothing.at.all", "above": 1}
        path.write_text(json.dumps({"features": [{"evaluators": [CITES]}], "rules": [rule]}))
        with pytest.raises(InvalidConfig) as error:
            load_checked_config(path, describe=describe)
        assert len(error.value.faults) == 2
        assert f"features[0].evaluators[0].use: there is no module in {tmp_path}" in error.value.faults
