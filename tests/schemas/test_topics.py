from __future__ import annotations

import pytest

from schemas.topics import TOPICS, TopicDescription, faults, source_of


def good(prefix: str = "p", partitions: int = 16) -> dict[str, TopicDescription]:
    return {
        f"{prefix}.{topic.name}": TopicDescription(topic.partitions or partitions, dict(topic.settings))
        for topic in TOPICS
    }


def test_topics_with_the_created_settings_have_no_faults():
    assert faults(good(), "p", 16) == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_each_missing_topic_is_fatal_and_named_with_the_command(topic):
    topics = good()
    del topics[f"p.{topic.name}"]
    (fault,) = faults(topics, "p", 16, ["watch", "notify", "judge"])
    assert fault.fatal
    assert f"p.{topic.name}" in fault.text
    assert "python -m agents topics" in fault.text


def test_a_worker_needs_no_topic_of_judges():
    topics = good()
    del topics["p.judge.state"]
    assert faults(topics, "p", 16, ["watch", "notify"]) == []


@pytest.mark.parametrize(
    ("name", "setting", "value", "fatal"),
    [
        ("events", "message.timestamp.type", "CreateTime", True),
        ("events", "cleanup.policy", "compact", True),
        ("events", "retention.ms", "1000", False),
        ("watch.state", "cleanup.policy", "delete", True),
        ("watch.state", "segment.bytes", "9", False),
        ("notify.state", "cleanup.policy", "compact,delete", True),
        ("windows", "cleanup.policy", "delete", True),
        ("alerts", "retention.ms", "1", False),
    ],
)
def test_a_setting_that_breaks_the_worker_is_fatal_and_any_other_is_reported(name, setting, value, fatal):
    topics = good()
    topics[f"p.{name}"] = TopicDescription(
        topics[f"p.{name}"].partitions, {**topics[f"p.{name}"].settings, setting: value}
    )
    (fault,) = faults(topics, "p", 16)
    assert fault.fatal is fatal
    assert f"p.{name}" in fault.text
    assert f"--add-config {setting}=" in fault.text


def test_the_order_of_cleanup_policies_does_not_matter():
    topics = good()
    topics["p.windows"] = TopicDescription(
        16, {**topics["p.windows"].settings, "cleanup.policy": "delete, compact"}
    )
    assert faults(topics, "p", 16) == []


@pytest.mark.parametrize(
    ("name", "partitions", "fatal"),
    [("watch.state", 8, True), ("notify.state", 2, True), ("alerts", 4, True)],
)
def test_state_with_another_number_of_partitions_than_its_source_is_fatal(name, partitions, fatal):
    topics = good()
    topics[f"p.{name}"] = TopicDescription(partitions, topics[f"p.{name}"].settings)
    wrong = faults(topics, "p", 16)
    assert wrong
    assert all(fault.fatal is fatal for fault in wrong)
    assert all("kafka.prefix" in fault.text for fault in wrong)


def test_a_partition_count_other_than_configured_is_reported_and_the_topic_counts():
    (fault,) = faults(good(partitions=4), "p", 16)
    assert not fault.fatal
    assert "set kafka.partitions to 4" in fault.text


def test_every_state_topic_has_its_own_source():
    names = {topic.name for topic in TOPICS}
    assert all(source_of(name) in names for name in names if name.endswith(".state"))


def test_state_topics_are_created_with_the_number_of_partitions_of_their_source():
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    assert all(
        partitions[name] == partitions[source]
        for name in partitions
        if (source := source_of(name)) is not None
    )
