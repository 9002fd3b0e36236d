"""``python -m agents judge``: what it says before it connects; and the commands on its state."""

from __future__ import annotations

import json

import pytest

from agents.commands.judge import main
from agents.kafka.consumer_group import group_of
from agents.kafka.state_topic import HEADER, StateSnapshot
from agents.state_admin.contents import decode_contents
from schemas.config.connections import Kafka

JUDGE = {
    "name": "grounded",
    "rubric": {"prompt": "Is the answer right? {{output}}", "choice_scores": {"yes": 1, "no": 0}},
    "model": "m-1",
    "budget": 10,
    "prices": {"input": 1, "output": 1},
    "endpoint": {"api_key_variable": "JUDGE_TEST_KEY"},
}


@pytest.mark.parametrize(
    ("tree", "part"),
    [
        ({}, "judges: there is none"),
        (
            {"judges": [JUDGE]},
            "judges[0].endpoint.api_key_variable: the environment has no variable JUDGE_TEST_KEY",
        ),
        ({"judges": [JUDGE], "kafka": {"embedded": True, "brokers": "127.0.0.1:1"}}, "kafka.embedded"),
        ({"judges": [JUDGE | {"model": "gpt-latest"}]}, "judges[0].model: 'gpt-latest' is an alias"),
    ],
)
def test_a_configuration_that_cannot_be_used_ends_it_with_78_and_the_remedy(
    tmp_path, capsys, monkeypatch, tree, part
):
    monkeypatch.delenv("JUDGE_TEST_KEY", raising=False)
    path = tmp_path / "softfail.yaml"
    path.write_text(json.dumps(tree))
    assert main(["--config", str(path)]) == 78
    assert part in capsys.readouterr().err


def test_judges_have_a_consumer_group_of_their_own():
    kafka = Kafka(prefix="p")
    assert [group_of(kafka, agent) for agent in ("watch", "notify", "judge")] == ["p", "p", "p.judge"]


def test_the_state_of_judges_is_shown_by_size_and_is_not_unreadable():
    records = {HEADER: b'{"agent": "judge"}', b"p/grounded/7": b"{}", b"t/grounded": b"{}"}
    contents = decode_contents(StateSnapshot(0, records, 5, 9))
    assert contents.unreadable == {}
    assert contents.bytes > 0
