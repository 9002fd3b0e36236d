"""Which rights the worker lacks: found before it starts, and named when an operation is denied later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from aiokafka import errors
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.errors import GroupAuthorizationFailedError, KafkaError

from agents.kafka.connection import blocking_clients
from agents.process import exits
from schemas import topics
from schemas.config.connections import Kafka

log = logging.getLogger("softfail.topics")

SETTLE_S = 5.0  # a broker that has just started may not know its rights yet
RETRY_S = 0.5
_REMEDY = "add the right (docs/security.md, Rights as commands), then start the worker"
_DENIED = 29  # Kafka's error code TOPIC_AUTHORIZATION_FAILED
_READ = ("events", "watch.state", "alerts", "notify.state")


async def require_rights(kafka: Kafka) -> None:
    """Return when the worker may do all that it has to.

    A broker that does not answer is no fault here: rights that are missing then show when they are needed.

    Raises:
        Misconfigured: with all rights that are missing.
    """
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            faults = await asyncio.to_thread(_missing_rights, kafka)
        except (KafkaError, OSError) as error:
            if time.monotonic() > deadline:
                log.warning("cannot ask for the rights of %s: %r", user(kafka), error)
                return
            await asyncio.sleep(RETRY_S)  # the coordinator of the group is not there yet, for example
            continue
        if not faults:
            return
        if time.monotonic() > deadline:
            raise exits.Misconfigured(
                "\n".join(f"{user(kafka)} may not {fault}; {_REMEDY}" for fault in faults)
            )
        await asyncio.sleep(RETRY_S)


class Denied(Exception):
    """The user of the worker lacks a right. The message names the operation, the resource and the remedy."""

    def __repr__(self) -> str:
        """Return the message, which needs no name of a class."""
        return str(self)


@contextlib.contextmanager
def named_denials(kafka: Kafka) -> Iterator[None]:
    """Name the right that is missing if Kafka denies an operation of the block.

    Raises:
        Denied: it does.
    """
    try:
        yield
    except errors.KafkaError as error:
        if (reason := denial(kafka, error)) is not None:
            raise Denied(reason) from error
        raise


def raise_first(kafka: Kafka, results: Sequence[Any]) -> None:
    """Raise the first error among the results of requests, a denial before others: these may follow from it.

    Raises:
        BaseException: there is one.
    """
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise next((error for error in failed if denial(kafka, error) is not None), failed[0])


def end_by(kafka: Kafka, what: str, error: BaseException) -> NoReturn:
    """Restart the process because of an error; name the right that is missing, if that is the reason.

    A denial ends it with 78 after ten restarts, anything else with 70.
    """
    reason = str(error) if isinstance(error, Denied) else denial(kafka, error)
    if reason is None:
        exits.restart(exits.STATE, f"{what}: {error!r}")
    exits.restart(exits.CONFIGURATION, f"{what}: {reason}")


def user(kafka: Kafka) -> str:
    """Return who the worker is for Kafka, as part of a message.

    >>> user(Kafka())
    'the user of this worker'
    """
    name = kafka.security.username
    return "the user of this worker" if name is None else f"user {name!r} (kafka.security.username)"


def denial(kafka: Kafka, error: BaseException) -> str | None:
    """Return which right is missing, with the remedy; None if an error has another reason.

    >>> denial(Kafka(), errors.TopicAuthorizationFailedError("softfail.windows")).partition(";")[0]
    'the user of this worker may not read or write topic softfail.windows (operations Read, Write)'
    >>> denial(Kafka(), OSError()) is None
    True
    """
    if isinstance(error, errors.TopicAuthorizationFailedError):
        (names,) = error.args or ("",)
        listed = ", ".join(sorted(names)) if isinstance(names, set | frozenset | list | tuple) else str(names)
        fault = f"read or write topic {listed} (operations Read, Write)"
    elif isinstance(error, errors.GroupAuthorizationFailedError):
        fault = f"join group {kafka.prefix} (operations Read, Describe)"
    elif isinstance(error, errors.TransactionalIdAuthorizationFailed):
        fault = f"write with transactional ids {kafka.prefix}.* (operation Write)"
    elif isinstance(error, errors.ClusterAuthorizationFailedError):
        fault = "use the cluster (operations Describe, IdempotentWrite)"
    else:
        return None
    return f"{user(kafka)} may not {fault}; {_REMEDY}"


def _missing_rights(kafka: Kafka) -> list[str]:
    """Return what the worker may not do, with the operation that is missing.

    Raises:
        KafkaError, OSError: no broker answers.
    """
    names = [f"{kafka.prefix}.{topic.name}" for topic in topics.TOPICS]
    admin = KafkaAdminClient(
        **blocking_clients(kafka), bootstrap_timeout_ms=10_000, request_timeout_ms=10_000
    )
    try:
        faults = list(_topic_faults(admin.describe_topics(names), kafka.prefix))
        try:
            faults += _group_faults(admin, kafka.prefix)
        except KafkaError:
            if not faults:
                raise
        return faults
    finally:
        with contextlib.suppress(Exception):
            admin.close()


def _topic_faults(rows: Sequence[Mapping[str, Any]], prefix: str) -> Iterator[str]:
    """Yield the missing rights of topics; a topic that does not exist has none.

    >>> row = {"name": "p.events", "error_code": 0, "authorized_operations": ["DESCRIBE", "READ"]}
    >>> list(_topic_faults([row, {"name": "p.alerts", "error_code": 29}], "p"))
    ['write topic p.events (operation Write)', 'describe topic p.alerts (operation Describe)']
    """
    for row in rows:
        name = row["name"]
        if row["error_code"] == _DENIED:
            yield f"describe topic {name} (operation Describe)"
            continue
        allowed = row.get("authorized_operations")  # None: the broker does not say it
        if row["error_code"] or allowed is None:
            continue
        if name.removeprefix(f"{prefix}.") in _READ and "READ" not in allowed:
            yield f"read topic {name} (operation Read)"
        if "WRITE" not in allowed:
            yield f"write topic {name} (operation Write)"


def _group_faults(admin: Any, group: str) -> Iterator[str]:
    """Yield the missing rights of the group.

    Kafka says them for groups that exist only. So a member that does not exist leaves: nothing changes, but it
    needs the rights of one that joins.
    """
    try:
        admin.remove_group_members(group, [MemberToRemove(member_id="softfail-rights")])
    except GroupAuthorizationFailedError:
        yield f"join group {group} (operations Read, Describe)"
