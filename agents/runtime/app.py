"""One process of softfail: Faust for group membership and the stream, own transport and state for
correctness.

**To write an agent** (``agents/watch.py`` is the example), give an object with

- ``name``: names the state topic ``PREFIX.NAME.state`` and the transactional ids;
- ``source``: last part of the topic it reads (``events``, ``alerts``);
- ``core(partition, partitions) -> Core``: a fresh core; restored records are given to it before any event;
- ``async tend(partition)``: what the agent does beside applying records, one task for each owned partition.
  It starts when the partition is restored and is cancelled when the partition is revoked or the process
  stops. It may return at once.

It may have ``async prepare(core, records)``, which is awaited before records are applied, and ``measures()``
for ``/metrics``.

The shell calls ``core.apply`` with the records of the source, and writes ``core.changed()``, the outputs and
the position in one transaction. ``tend`` gets a ``partition.Partition``:

- ``partition.core``, ``.position``, ``.caught_up`` (everything that the broker has is applied),
  ``.changed_event`` (an ``asyncio.Event`` set after each applied bundle; clear it yourself);
- ``partition.add(outputs)``: call it right after you changed the core yourself, with no await between;
  ``Outputs()`` if there are none;
- ``await partition.run(steps, outputs)``: the same for a change in steps that may take long; nothing is written
  or applied between them;
- ``await partition.checkpoint()``: returns when all that was applied and added until now is durable. A
  failure ends the process.

**To look at a worker** (``/metrics``, the status page) take ``Worker.partitions()``, ``.counters``,
``.ready`` and ``.healthy``; all of it, cores included, from the event loop's thread only, with no await
between reading two figures that belong together.

**To run**: ``run(config, [WatchAgent(config), ...], beside=[serve])``; each of ``beside`` is ``async def
serve(worker)``, started before Kafka is there and kept for the life of the process.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import faust
import mode
from faust.types import TP

from agents.kafka import topics
from agents.kafka.connection import credentials
from agents.kafka.rights import end_by
from agents.kafka.topic_ids import TopicObserver
from agents.process import descriptors, exits, log_setup
from agents.runtime import faust_transport
from agents.runtime.bundle_intake import BundleIntake
from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.owned_partitions import OwnedPartitions
from agents.runtime.partition import Agent
from agents.runtime.process_counters import ProcessCounters
from agents.runtime.source_topics import SourceTopics
from agents.runtime.watchdog import Watchdog
from schemas.config.monitor_config import Config

log = logging.getLogger("softfail.app")
STOP_S = 25.0  # docker and Kubernetes kill after 10 to 30 s; a checkpoint takes 10 ms


class Worker:
    """One process: its agents, its partitions and its health."""

    def __init__(self, config: Config, agents: Sequence[Agent], group: str = "") -> None:
        self.config, self.group = config, group or config.kafka.prefix
        self.counters = Counters(restarts=exits.total_restarts())
        self.store = OwnedPartitions(config.kafka, agents, self.counters, facts={"pane_s": config.time.pane})
        self.faust = build_app(config, self)
        self.watchdog = Watchdog(config.kafka, self.store, self.group_assignment, self.rewind, self.group)
        self.intake = BundleIntake(self.store, self.watchdog.earliest, self.rewind)
        self.running = ProcessCounters()
        self.stopping = False
        self._connected = False

    def partitions(self) -> list[PartitionStatus]:
        """Return the status of every partition that this process owns or restores."""
        return self.store.status()

    @property
    def ready(self) -> bool:
        """Whether the process has joined the group and restored what it owns."""
        is_assigned = self._connected and self.store.assigned and not self.store.restoring
        return is_assigned and not self.stopping and not self.missing_topics

    @property
    def missing_topics(self) -> Sequence[str]:
        """Source topics that were deleted while the worker runs."""
        return () if self.store.sources is None else self.store.sources.missing

    @property
    def healthy(self) -> bool:
        """Whether there is progress: no lag without progress for half a minute, and the broker answers."""
        return not self.watchdog.is_stuck

    def group_assignment(self) -> set[TP]:
        """Return the partitions that the group assigned to this process, restored or not."""
        return set(self.faust.consumer.assignment()) if self._connected else set()

    async def rewind(self, why: str) -> None:
        """Fetch again from the applied positions."""
        log.warning("fetching again: %s", why)
        await self.faust.consumer.perform_seek()

    async def start(self) -> None:
        """Wait for Kafka, check the topics, join the group."""
        self.store.cluster = await topics.await_cluster(
            self.config.kafka, [(agent.name, agent.source) for agent in self.store.agents.values()]
        )
        if not self.config.kafka.embedded:
            observer = TopicObserver(self.config.kafka, self.store.agents)
            self.store.sources = SourceTopics(await observer.look())
            self.watchdog.observer = observer
        await self.watchdog.start()
        await self.faust.start()
        self._connected = True

    async def stop(self) -> NoReturn:
        """Make everything durable and end the process.

        A static member does not leave its group, so that it gets the same partitions after a restart.
        """
        self.stopping = True
        exits.refuse_restarts()
        try:
            async with asyncio.timeout(STOP_S):
                await self.store.revoke_all()
        except TimeoutError:
            exits.leave(
                exits.STATE, f"stopping took more than {STOP_S:g} s; what was not written will be read again"
            )
        exits.leave(exits.OK, "told to stop")


class _App(faust.App):  # type: ignore[misc]
    """The application of Faust with our transport and without directories; a crash restarts the process."""

    def _new_transport(self) -> faust_transport.Transport:
        return faust_transport.Transport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        pass  # nothing is kept on disk

    async def crash(self, reason: BaseException) -> None:
        # mode would stop service by service, and can hang
        end_by(self.ledger.kafka, "Faust crashed", reason)


def build_app(config: Config, worker: Worker) -> _App:
    """Build the application of Faust: an agent for each source, without tables, commits, sinks and web
    server.
    """
    kafka = config.kafka
    urls = ";".join(f"aiokafka://{broker}" for broker in kafka.brokers.split(","))
    app = _App(
        worker.group,
        broker=urls,
        broker_credentials=credentials(kafka),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=4,
        broker_max_poll_records=5000,
        consumer_max_fetch_size=faust_transport.fetch_bytes(kafka.partitions),
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=None if kafka.embedded else instance_id(config),
        broker_session_timeout=kafka.session_timeout,
        broker_heartbeat_interval=min(1.0, kafka.session_timeout / 3),
        broker_request_timeout=max(20.0, kafka.session_timeout),
        broker_commit_interval=5,
        broker_check_crcs=not kafka.embedded,
        agent_supervisor=mode.CrashingSupervisor,
        # A broker that has just started may not name our topic yet. Faust then "ignores the missing topic"
        # and assigns NOTHING to anybody (partition_assignor.py:179); only the next change of metadata rejoins
        # the group: by default in 5 minutes.
        consumer_metadata_max_age_ms=2000,
    )
    app.ledger = worker.store
    for source in worker.store.agents:
        app.agent(app.topic(source, schema=faust_transport.Schema()), name=source)(_body(worker))

    @app.on_rebalance_complete.connect  # type: ignore[untyped-decorator]
    async def assigned(_: Any, **__: Any) -> None:
        # Faust waits for this, then calls perform_seek, which is ours, then fetches (recovery.py:309, 321,
        # 332). A seek made HERE would be undone by that perform_seek; and Faust's commits must not be what it
        # goes back to.
        await worker.watchdog.look_at_topics()  # what is assigned may be another topic of the same name
        await worker.store.assign(set(app.consumer.assignment()))

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(_: Any, revoked: set[TP], **__: Any) -> None:
        await worker.store.revoke(set(revoked))

    return app


def _body(worker: Worker) -> Callable[[Any], Awaitable[None]]:
    async def bundles(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await worker.intake.take(event.message.tp, event.value)
                # a full queue never waits: without this, no fetch and no checkpoint could run
                await asyncio.sleep(0)
            except Exception as error:  # Faust would log it and lose this bundle
                log.exception("applying a bundle of %s failed", event.message.tp)
                exits.restart(exits.STATE, f"apply: {error!r}")

    return bundles


def instance_id(config: Config) -> str:
    """Return the name of the static member: the same after a restart, and unique on a machine."""
    return f"{socket.gethostname()}-{config.http.port or f'pid{os.getpid()}'}"


def run(
    config: Config,
    agents: Sequence[Agent],
    beside: Sequence[Callable[[Worker], Awaitable[None]]] = (),
    group: str = "",
) -> NoReturn:
    """Run until stopped. Never returns: it ends the process with a code of ``agents.process.exits``.

    ``group``: the consumer group; empty: that of the workers, named like ``kafka.prefix``.
    """
    log_setup.configure()
    descriptors.raise_limit()
    exits.pause_after_restart()
    asyncio.run(_run(config, agents, beside, group))
    exits.leave(exits.STATE, "the event loop ended by itself")


async def _run(
    config: Config,
    agents: Sequence[Agent],
    beside: Sequence[Callable[[Worker], Awaitable[None]]],
    group: str,
) -> None:
    try:
        worker = Worker(config, agents, group)
    except exits.Misconfigured as error:
        exits.leave(exits.CONFIGURATION, str(error))
    stop = asyncio.Event()

    def interrupt() -> None:
        if stop.is_set():
            exits.leave(exits.STATE, "stopped twice; what was not written will be read again")
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    background = [asyncio.create_task(_guarded(serve, worker)) for serve in beside]
    starting = asyncio.create_task(_guarded(Worker.start, worker))
    stop_requested = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stop_requested], return_when=asyncio.FIRST_COMPLETED)
    while not worker.ready and not stop.is_set():  # noqa: ASYNC110 - once, and nothing else waits for it
        await asyncio.sleep(0.1)
    gc.collect()
    gc.freeze()  # these objects live long; scanning them took a third of the time
    gc.set_threshold(50_000, 20, 100)
    await stop_requested
    log.info("stopping: %d partitions, %d tasks beside", len(worker.store.owned), len(background))
    await worker.stop()


async def _guarded(step: Callable[[Worker], Awaitable[None]], worker: Worker) -> None:
    try:
        await step(worker)
    except exits.Misconfigured as error:
        exits.leave(exits.CONFIGURATION, str(error))
    except Exception as error:  # a process without this part must not look alive
        if isinstance(error, OSError) and error.errno in (
            errno.EADDRINUSE,
            errno.EADDRNOTAVAIL,
            errno.EACCES,
        ):
            exits.leave(exits.CONFIGURATION, f"http.host, http.port: {error}")
        log.exception("starting failed")
        exits.restart(exits.STATE, f"starting: {error!r}")
