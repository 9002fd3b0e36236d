"""Wait for the brokers; describe, check and create softfail's topics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from agents.kafka.connection import clients
from agents.kafka.handshake import Refusal, shake_hands
from agents.kafka.rights import require_rights
from agents.process import exits
from schemas import topics
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.topics")

LOG_S = 5.0  # how often "waiting for Kafka" is logged
SETTLE_S = 15.0  # how long a broker that has just started may not know its topics yet
# a broker that has just started may not know its users yet; a refusal that lasts longer ends the process
REFUSED_S = 5.0
# The alerts topic has one partition, so everything in it has one order. The embedded broker gives it four:
# all records go to the first.
ALERTS = "alerts"
_EXISTS = 36  # Kafka's error code TOPIC_ALREADY_EXISTS


@asynccontextmanager
async def admin_client(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an administration client for the length of a ``with`` block."""
    admin = AIOKafkaAdminClient(**clients(kafka), request_timeout_ms=10_000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def await_broker(kafka: Kafka, patience_s: float = float("inf")) -> None:
    """Return when any of the brokers accepts a connection.

    Raises:
        Misconfigured: none answered within ``patience_s``, or one refuses what ``kafka.security`` says for 5
            s.
    """
    began = logged_at = time.monotonic()
    refused_since: float | None = None
    while True:
        refusal: Refusal | None = None
        for broker in kafka.brokers.split(","):
            try:
                await shake_hands(kafka, broker)
                return
            except Refusal as error:
                reason, refusal = str(error), error
            except (OSError, TimeoutError, KafkaError) as error:
                reason = str(error) or type(error).__name__
        now = time.monotonic()
        refused_since = None if refusal is None else refused_since or now
        if refused_since is not None and now - refused_since >= REFUSED_S:
            raise exits.Misconfigured(str(refusal))
        if now - began > patience_s:
            raise exits.Misconfigured(f"kafka.brokers: no broker answers at {kafka.brokers} ({reason})")
        if logged_at == began or now - logged_at > LOG_S:
            log.warning("waiting for Kafka at %s: %s", kafka.brokers, reason)
            logged_at = now
        await asyncio.sleep(0.5)


async def await_cluster(kafka: Kafka, agents: Sequence[tuple[str, str]]) -> str:
    """Wait for the broker, check the topics, and return the cluster's id.

    Args:
        agents: name and source of each.

    Raises:
        Misconfigured: a topic is missing or wrong, or the worker lacks a right.
    """
    await await_broker(kafka)
    if kafka.embedded:  # no admin API there; topics appear on first use
        return "embedded"
    await require_rights(kafka)
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            async with admin_client(kafka) as admin:
                existing = await describe(admin, kafka.prefix)
                fatal = [
                    fault.text
                    for fault in topics.faults(
                        existing, kafka.prefix, kafka.partitions, [name for name, _ in agents]
                    )
                    if fault.fatal
                ]
                if not fatal:
                    cluster = await admin.describe_cluster()
                    log.info(
                        "cluster %s at %s, topics %s.*, agents %s",
                        cluster["cluster_id"],
                        kafka.brokers,
                        kafka.prefix,
                        dict(agents),
                    )
                    return str(cluster["cluster_id"])
        except (KafkaError, OSError) as error:
            fatal = []
            log.warning("waiting for Kafka at %s: %r", kafka.brokers, error)
        if fatal and time.monotonic() > deadline:
            raise exits.Misconfigured("\n".join(fatal))
        await asyncio.sleep(1)


async def partition_counts(kafka: Kafka) -> dict[str, int]:
    """Return the number of partitions of every topic of the cluster.

    It asks for all topics: to ask for one by name creates it, on a broker that creates topics by itself.
    """
    async with admin_client(kafka) as admin:
        return await _partition_counts(admin)


async def _partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


async def describe(admin: AIOKafkaAdminClient, prefix: str) -> dict[str, topics.TopicDescription]:
    """Return softfail's topics as the broker has them: number of partitions and settings."""
    names = {f"{prefix}.{topic.name}" for topic in topics.TOPICS}
    counts = {name: count for name, count in (await _partition_counts(admin)).items() if name in names}
    if not counts:
        return {}
    settings: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
    ):
        for resource in response.to_object()["resources"]:
            settings[resource["resource_name"]] = {
                entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
            }
    return {name: topics.TopicDescription(count, settings.get(name, {})) for name, count in counts.items()}


async def create(kafka: Kafka) -> list[str]:
    """Create the topics that are missing; return their names.

    Raises:
        Misconfigured: the broker refuses one.
    """
    async with admin_client(kafka) as admin:
        existing = set(await describe(admin, kafka.prefix))
        brokers = len((await admin.describe_cluster())["brokers"])
        replication = kafka.replication or min(3, brokers)
        safe = {"min.insync.replicas": "2"} if replication >= 3 else {}
        safe["unclean.leader.election.enable"] = "false"
        new = [
            NewTopic(
                name,
                topic.partitions or kafka.partitions,
                replication,
                topic_configs={**topic.settings, **safe},
            )
            for topic in topics.TOPICS
            if (name := f"{kafka.prefix}.{topic.name}") not in existing
        ]
        if not new:
            return []
        response = await admin.create_topics(new)
    created = []
    for name, code, *more in response.topic_errors:
        if code == 0:
            created.append(name)
        elif code != _EXISTS:
            raise exits.Misconfigured(
                f"topic {name} cannot be created: {for_code(code).__name__}: {(more or [''])[0]}"
            )
    return created
