from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agents.kafka.topic_ids import TopicIdentity
from agents.process import exits
from agents.runtime import app
from agents.runtime.source_topics import SourceTopics
from schemas.config.monitor_config import Config


def config(**kafka: object) -> Config:
    return Config.model_validate({"kafka": kafka, "http": {"port": 6066}})


def test_the_static_member_id_survives_a_restart_and_is_unique_on_a_machine():
    first = app.instance_id(config())
    assert first == app.instance_id(config())
    assert first.endswith("-6066")
    assert first != app.instance_id(Config.model_validate({"http": {"port": 6067}}))
    assert str(os.getpid()) in app.instance_id(Config.model_validate({"http": {"port": 0}}))


def test_faust_has_no_tables_and_no_web_server_and_crashes_instead_of_acknowledging(counting):
    worker = app.Worker(config(brokers="a:1,b:2", prefix="p"), [counting.CountingAgent()])
    settings = worker.faust.conf
    assert [str(url) for url in settings.broker_consumer] == ["aiokafka://a:1", "aiokafka://b:2"]
    assert settings.id == "p"
    assert not settings.web_enabled
    assert settings.agent_supervisor.__name__ == "CrashingSupervisor"
    assert settings.broker_session_timeout == 6
    # a fresh broker may not name the topic: see build_app
    assert settings.consumer_metadata_max_age_ms == 2000
    assert list(worker.store.agents) == ["p.events"]
    assert not worker.ready
    assert worker.healthy


def test_a_worker_whose_topic_was_deleted_is_not_ready_until_it_is_back(counting):
    worker = app.Worker(config(prefix="p"), [counting.CountingAgent()])
    topic = {"p.events": TopicIdentity("a", 4)}
    worker._connected = worker.store.assigned = True
    worker.store.sources = SourceTopics(topic)
    assert worker.ready
    worker.store.sources.observe({})
    assert (worker.ready, worker.missing_topics) == (False, ("p.events",))
    worker.store.sources.observe(topic)
    assert worker.ready


def test_a_crash_of_faust_restarts_the_process(counting, ends, ended):
    import asyncio

    worker = app.Worker(config(), [counting.CountingAgent()])
    with pytest.raises(ended):
        asyncio.run(worker.faust.crash(RuntimeError("stream")))
    assert ends[0][:2] == ("restart", exits.STATE)


def start(counting_command, tmp_path, address: str) -> subprocess.Popen[str]:
    from types import SimpleNamespace

    command = counting_command(SimpleNamespace(address=address, prefix="p", partitions=4))
    return subprocess.Popen(command(1), stdout=subprocess.PIPE, text=True)


def test_without_a_broker_a_worker_reports_it_waits_and_stops_with_zero_on_a_signal(
    counting_command, tmp_path, free_port
):
    process = start(counting_command, tmp_path, f"127.0.0.1:{free_port()}")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "waiting for Kafka at 127.0.0.1" in line
    process.terminate()
    assert process.wait(15) == 0
    assert "told to stop" in process.stdout.read()


def test_a_port_in_use_is_a_configuration_error_that_names_it():
    script = """
import asyncio, sys
from agents.runtime.app import run
from schemas.config.monitor_config import Config
async def serve(worker):
    listening = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    await asyncio.start_server(lambda r, w: None, *listening.sockets[0].getsockname())
run(Config.model_validate({"kafka": {"brokers": "127.0.0.1:1"}}), [], [serve])
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == exits.CONFIGURATION
    assert "http.port" in ended.stdout
