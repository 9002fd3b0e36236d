"""Every remedy of the design, its removal, and the tests that then fail (``tests/remedies.py`` runs them)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | \\\n | \#[^\n]* )
    | (?P<prefix> [rRbBuUfF]{0,2} )
      (?P<string> \"{3} (?:\\.|[^\\])*? \"{3} | '{3} (?:\\.|[^\\])*? '{3}
                | \" (?:\\.|[^"\\\n])* \" | ' (?:\\.|[^'\\\n])* ' )
    | (?P<word> [\w.]+ )
    | (?P<operator> \*\*=? | //=? | <<=? | >>=? | -> | := | [-+*/%&|^@=!<>]= | [^\w\s] )
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A Python token and its position; ``key`` is equal for all spellings that ``ruff format`` exchanges."""

    key: str
    start: int
    end: int


def tokens(code: str) -> list[Token]:
    """Return the tokens of code or a fragment: without white space, comments and trailing commas; adjacent
    string literals are one, with any quotes. Empty code gives no tokens.
    """
    joined: list[Token] = []
    for token in _lexed(code):
        before = joined[-1] if joined else None
        if before and before.key == "," and token.key in {")", "]", "}"}:
            joined.pop()
        elif before and token.key.startswith('"') and before.key.startswith('"'):
            joined[-1] = Token(before.key + token.key[1:], before.start, token.end)
            continue
        joined.append(token)
    return joined


def _lexed(code: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(code):
        if (string := match["string"]) is not None:
            quotes = 3 if string[:3] in {'"""', "'''"} else 1
            yield Token(f'"{string[quotes:-quotes]}', *match.span())
        elif match["space"] is None:
            yield Token(match[0], *match.span())


def spans(text: str, fragment: str) -> list[tuple[int, int]]:
    """Return the positions of the tokens of a fragment in a text, as (start, end) in characters."""
    inside, wanted = tokens(text), [token.key for token in tokens(fragment)]
    keys, length = [token.key for token in inside], len(wanted)
    return [
        (inside[index].start, inside[index + length - 1].end)
        for index in range(len(keys) - length + 1)
        if length and keys[index : index + length] == wanted
    ]


def _indented_like(text: str, start: int, lines: Sequence[str]) -> str:
    """Indent lines so that the first continues ``text[:start]`` and the others align with it."""
    beginning = text.rfind("\n", 0, start) + 1
    shift = len(text[beginning:]) - len(text[beginning:].lstrip()) - (len(lines[0]) - len(lines[0].lstrip()))
    following = [" " * (shift + len(line) - len(line.lstrip())) + line.lstrip() for line in lines[1:]]
    return "\n".join([lines[0].strip(), *following])


class Removal(NamedTuple):
    """One remedy.

    Args:
        row: its place in the design ("Faust N" a row of the table, "state N" a rule, else a sentence below
            them).
        old: the code that is removed: whole tokens, formatted in any way (see ``tokens``).
        new: what stands there instead.
        tests: tests that fail without it.
    """

    name: str
    row: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def kafka(self) -> bool:
        """Whether its tests need a broker."""
        return any(test.startswith(("tests/integration/", "tests/durability/")) for test in self.tests)

    def apply(self, text: str) -> str:
        """Return the text of ``file`` without the remedy.

        Raises:
            ValueError: its code is not there exactly once.
        """
        occurrences = spans(text, self.old)
        if len(occurrences) != 1:
            raise ValueError(
                f"{self.name}: {self.file} contains its code {len(occurrences)} times, not once:\n{self.old}"
            )
        start, end = occurrences[0]
        return text[:start] + _indented_like(text, start, self.new.splitlines() or [""]) + text[end:]


TRANSPORT, FAUST = (
    "tests/agents/runtime/test_faust_transport.py",
    "tests/agents/runtime/test_remedies_in_faust.py",
)
STATE, KAFKA = (
    "tests/agents/runtime/test_remedies_in_state.py",
    "tests/integration/agents/test_remedies_on_kafka.py",
)
JOURNAL, PARTITION, INTAKE = (
    "tests/agents/runtime/test_changelog.py",
    "tests/agents/runtime/test_partition.py",
    "tests/agents/runtime/test_bundle_intake.py",
)
WATCHDOG, EXITS, STORE, APP = (
    "tests/agents/runtime/test_watchdog.py",
    "tests/agents/process/test_exits.py",
    "tests/agents/runtime/test_owned_partitions.py",
    "tests/agents/runtime/test_app.py",
)
MEMORY_LAWS = "tests/agents/runtime/test_backend_contract.py"
KAFKA_LAWS = "tests/integration/agents/test_backend_contract.py"
ANEW = f"{KAFKA}::test_a_failed_worker_restarts_with_75_under_its_pid_and_then_continues"

REMOVALS = (
    # The table "Faust, used safely", row by row
    Removal(
        "bundles",
        "Faust 1",
        "agents/runtime/faust_transport.py",
        "[pseudo_message(tp, bundle)] for tp",
        "bundle for tp",
        (f"{FAUST}::test_all_records_of_a_fetch_pass_through_faust_as_one_message",),
    ),
    Removal(
        "records-a-poll",
        "Faust 1",
        "agents/runtime/app.py",
        "broker_max_poll_records=5000, ",
        "",
        (
            f"{FAUST}::test_all_records_of_a_fetch_pass_through_faust_as_one_message",
            f"{FAUST}::test_the_consumer_created_by_faust_has_the_settings_of_the_transport",
        ),
    ),
    Removal(
        "our-own-seek",
        "Faust 2",
        "agents/runtime/faust_transport.py",
        "async def seek_to_committed(",
        "async def seek_to_applied(",
        (
            f"{FAUST}::test_the_seek_after_a_rebalance_uses_the_durable_positions",
            f"{TRANSPORT}::test_seeks_use_our_positions_in_the_consumer_thread",
        ),
    ),
    Removal(
        "recovery-is-awaited",
        "Faust 2",
        "agents/runtime/app.py",
        "await worker.store.assign(set(app.consumer.assignment()))",
        "worker.assigning = asyncio.create_task(worker.store.assign(set(app.consumer.assignment())))",
        (f"{FAUST}::test_fetching_resumes_only_when_all_assigned_partitions_are_restored",),
    ),
    Removal(
        "no-tables",
        "Faust 2",
        "agents/runtime/app.py",
        "    app.ledger = worker.store\n",
        "    app.ledger = worker.store\n    app.Table('counts', default=int)\n",
        (f"{FAUST}::test_a_worker_has_no_tables_no_leader_no_web_server_and_reads_only_its_sources",),
    ),
    Removal(
        "fencing",
        "Faust 3, state 1",
        "agents/runtime/changelog.py",
        'transactional_id=f"{kafka.prefix}.{agent}-{source.topic}-{source.partition}"',
        'transactional_id=f"{kafka.prefix}.{agent}-{source.topic}-{id(self)}"',
        (
            f"{MEMORY_LAWS}::test_an_owner_that_resumes_after_its_successor_started_writes_nothing",
            f"{KAFKA_LAWS}::test_an_owner_that_resumes_after_its_successor_started_writes_nothing",
            f"{KAFKA_LAWS}::test_the_open_transaction_of_a_vanished_owner_is_aborted_without_waiting",
            f"{JOURNAL}::test_the_transactional_id_contains_prefix_agent_topic_and_partition",
        ),
    ),
    Removal(
        "commits-what-is-durable",
        "Faust 4",
        "agents/runtime/faust_transport.py",
        "    def _new_offset(",
        "    def _our_offset(",
        (f"{FAUST}::test_faust_commits_the_durable_position_for_any_acknowledgement",),
    ),
    Removal(
        "pending-acks",
        "Faust 4",
        "agents/runtime/faust_transport.py",
        "    def _filter_tps_with_pending_acks(",
        "    def _our_tps(",
        (f"{FAUST}::test_faust_commits_the_durable_position_for_any_acknowledgement",),
    ),
    Removal(
        "acknowledges-nothing",
        "Faust 4",
        "agents/runtime/faust_transport.py",
        "    def ack(self, message",
        "    def our_ack(self, message",
        (f"{FAUST}::test_faust_commits_the_durable_position_for_any_acknowledgement",),
    ),
    Removal(
        "crashing-supervisor",
        "Faust 4",
        "agents/runtime/app.py",
        ", agent_supervisor=mode.CrashingSupervisor",
        "",
        (f"{FAUST}::test_an_agent_that_fails_outside_our_code_stays_failed_for_the_watchdog",),
    ),
    Removal(
        "an-exception-is-the-end",
        "Faust 4",
        "agents/runtime/app.py",
        'exits.restart(exits.STATE, f"apply: {error!r}")',
        "del error",
        (f"{FAUST}::test_an_exception_while_applying_a_bundle_exits_and_acknowledges_nothing",),
    ),
    Removal(
        "a-crash-of-faust-is-the-end",
        "Faust 4",
        "agents/runtime/app.py",
        'end_by(self.ledger.kafka, "Faust crashed", reason)',
        "await super().crash(reason)",
        (f"{APP}::test_a_crash_of_faust_restarts_the_process",),
    ),
    Removal(
        "raw-values",
        "Faust 5",
        "agents/runtime/app.py",
        ", schema=faust_transport.Schema()",
        "",
        (f"{FAUST}::test_values_pass_through_faust_undecoded_so_that_no_value_can_crash_it",),
    ),
    Removal(
        "own-producer-is-awaited",
        "Faust 6",
        "agents/runtime/kafka_backend.py",
        "        await producer.commit_transaction()\n",
        "        self._committing = asyncio.ensure_future(producer.commit_transaction())\n",
        (f"{STATE}::test_a_returned_write_has_committed_state_outputs_and_position_in_one_transaction",),
    ),
    Removal(
        "read-committed-source",
        "Faust 7",
        "agents/runtime/faust_transport.py",
        'consumer._isolation_level = "read_committed"',
        "pass",
        (
            f"{FAUST}::test_the_consumer_created_by_faust_has_the_settings_of_the_transport",
            "tests/integration/agents/test_on_kafka.py::test_aborted_events_are_never_counted_and_a_log_that_ends_with_a_marker_is_read_to_its_end",
        ),
    ),
    Removal(
        "ranges",
        "Faust 8, state 5",
        "agents/runtime/faust_transport.py",
        "return Continuity.JOINS if start <= position else Continuity.GAP",
        "return Continuity.JOINS",
        (
            f"{TRANSPORT}::test_contiguous_bundles_cover_every_position_once_after_drops_duplicates_and_reordering",
            f"{INTAKE}::test_a_gap_is_fetched_once_and_later_bundles_wait",
            "tests/durability/test_faults.py::test_dropped_bundles_are_fetched_again",
        ),
    ),
    Removal(
        "ranges-know-markers",
        "Faust 8, state 5",
        "agents/runtime/faust_transport.py",
        "bundle.start, bundle.stop = start, state._position",
        "bundle.start, bundle.stop = (bundle[0], bundle[-1] + 1) if bundle else (start, start)",
        (f"{TRANSPORT}::test_a_bundle_of_markers_only_is_truthy_and_advances_the_position",),
    ),
    Removal(
        "markers-only-arrive",
        "Faust 8, state 5",
        "agents/runtime/faust_transport.py",
        "        return self.stop > self.start",
        "        return len(self) > 0",
        (f"{TRANSPORT}::test_a_bundle_of_markers_only_is_truthy_and_advances_the_position",),
    ),
    Removal(
        "our-fetch-result",
        "Faust 8, state 5",
        "agents/runtime/faust_transport.py",
        "fetcher.FetchResult = FetchResult",
        "",
        (f"{TRANSPORT}::test_aiokafka_creates_fetch_results_of_our_class",),
    ),
    Removal(
        "read-offset-is-forgotten",
        "Faust 8, state 5",
        "agents/runtime/faust_transport.py",
        "        self._read_offset = NoReadOffsets()",
        "        pass",
        (f"{FAUST}::test_a_bundle_that_starts_below_the_read_offset_of_faust_is_not_dropped",),
    ),
    Removal(
        "a-revoked-partition-takes-nothing",
        "Faust 8",
        "agents/runtime/bundle_intake.py",
        "self._store.owned.get(tp) is partition and ",
        "",
        (f"{INTAKE}::test_a_partition_revoked_while_a_bundle_waits_applies_nothing",),
    ),
    Removal(
        "seek-in-the-consumers-thread",
        "Faust 9",
        "agents/runtime/faust_transport.py",
        "await self.call_thread(self._seek_to_applied)",
        "await self._seek_to_applied()",
        (
            f"{FAUST}::test_a_seek_in_the_consumer_thread_is_never_overwritten_by_a_pending_read",
            f"{TRANSPORT}::test_seeks_use_our_positions_in_the_consumer_thread",
        ),
    ),
    Removal(
        "frozen-copy",
        "Faust 9",
        "agents/runtime/faust_transport.py",
        "active_partitions and frozenset(active_partitions)",
        "active_partitions",
        (
            f"{TRANSPORT}::test_an_active_set_emptied_during_a_wait_of_aiokafka_does_not_select_all_partitions",
        ),
    ),
    Removal(
        "futures-before-commit",
        "Faust 10",
        "agents/runtime/kafka_backend.py",
        "        raise_first(self._kafka, results)\n        await producer.commit_transaction()\n",
        "        await producer.commit_transaction()\n        raise_first(self._kafka, results)\n",
        (
            f"{JOURNAL}::test_a_failed_batch_aborts_the_whole_transaction",
            f"{KAFKA_LAWS}::test_a_checkpoint_with_a_refused_record_leaves_nothing",
        ),
    ),
    Removal(
        "metadata-age",
        "Faust 11",
        "agents/runtime/app.py",
        "        consumer_metadata_max_age_ms=2000)",
        "        )",
        (
            f"{FAUST}::test_the_consumer_created_by_faust_has_the_settings_of_the_transport",
            f"{KAFKA}::test_a_topic_reported_late_by_the_broker_is_assigned_within_seconds",
        ),
    ),
    Removal(
        "nobody-owns-anything",
        "Faust 11, 12",
        "agents/runtime/watchdog.py",
        "            self.state.unowned_since = now\n",
        "            pass\n",
        (
            f"{FAUST}::test_unowned_partitions_are_detected_by_asking_the_group",
            f"{ANEW}[unassigned-the topic has partitions that nobody owns]",
        ),
    ),
    Removal(
        "watchdog-is-a-thread",
        "Faust 12",
        "agents/runtime/watchdog.py",
        'threading.Thread(target=self._judge, name="watchdog", daemon=True).start()',
        "self._judging = asyncio.ensure_future(asyncio.sleep(0))",
        (f"{ANEW}[hang-the event loop does not answer]",),
    ),
    Removal(
        "a-loop-that-hangs",
        "Faust 12",
        "agents/runtime/watchdog.py",
        "if now - self.tick > STUCK_S:",
        "if False:",
        (
            f"{WATCHDOG}::test_an_unresponsive_event_loop_is_a_failure",
            f"{ANEW}[hang-the event loop does not answer]",
        ),
    ),
    Removal(
        "lag-without-progress",
        "Faust 12",
        "agents/runtime/watchdog.py",
        "if self.stuck_since is not None and now - self.stuck_since > STUCK_S:",
        "if False:",
        (
            f"{WATCHDOG}::test_lag_without_progress_is_a_failure_after_a_minute_and_not_earlier",
            f"{ANEW}[deaf-lag and no progress]",
        ),
    ),
    Removal(
        "a-stopped-process-did-not-hang",
        "Faust 12",
        "agents/runtime/watchdog.py",
        "        self.tick, self.stuck_since, self.unowned_since, self.cut_since = now, None, None, None",
        "        pass",
        (f"{WATCHDOG}::test_a_suspended_process_is_not_reported_as_hanging",),
    ),
    Removal(
        "fewer-log-lines",
        "Faust 13",
        "agents/process/log_setup.py",
        "    handler.addFilter(RateLimit())\n",
        "",
        (f"{FAUST}::test_a_thousand_errors_of_a_library_are_logged_as_one_line",),
    ),
    Removal(
        "no-leader",
        "Faust 14",
        "agents/runtime/app.py",
        "topic_disable_leader=True, ",
        "",
        (f"{FAUST}::test_a_worker_has_no_tables_no_leader_no_web_server_and_reads_only_its_sources",),
    ),
    Removal(
        "no-web-of-fausts",
        "Faust 14",
        "agents/runtime/app.py",
        "web_enabled=False, ",
        "",
        (f"{FAUST}::test_a_worker_has_no_tables_no_leader_no_web_server_and_reads_only_its_sources",),
    ),
    # "State, and why nothing is counted twice or lost", rule by rule
    Removal(
        "barrier",
        "state 1",
        "agents/runtime/changelog.py",
        "self._read_to(reader, barrier)",
        "self._read_to(reader, (await"
        " reader.ends([TopicPartition(*self._state)]))[TopicPartition(*self._state)] - 1)",
        (f"{KAFKA}::test_recovery_is_complete_although_polls_are_empty_and_the_broker_reports_an_early_end",),
    ),
    Removal(
        "not-until-nothing-comes",
        "state 1",
        "agents/kafka/topic_reader.py",
        "            if self._positions[partition] > position:\n",
        "            if not batches:\n                break\n            if self._positions[partition] > position:\n",
        (
            f"{STATE}::test_recovery_continues_to_the_barrier_through_empty_polls",
            f"{KAFKA}::test_recovery_is_complete_although_polls_are_empty_and_the_broker_reports_an_early_end",
        ),
    ),
    Removal(
        "position-in-the-transaction",
        "state 2",
        "agents/runtime/changelog.py",
        'state.append((POSITION, b"%d" % position, ()))',
        'await self._writer.transact({self._state: [(POSITION, b"%d" % position, ())]})',
        (
            f"{STATE}::test_a_returned_write_has_committed_state_outputs_and_position_in_one_transaction",
            f"{JOURNAL}::test_the_first_transaction_contains_the_header_and_each_contains_the_position",
        ),
    ),
    Removal(
        "at-once-for-what-is-urgent",
        "state 2",
        "agents/runtime/checkpoint_queue.py",
        "if outputs.messages.keys() & URGENT or",
        "if",
        (
            f"{PARTITION}::test_a_checkpoint_is_written_immediately_for_outputs_and_otherwise_after_its_interval",
        ),
    ),
    Removal(
        "last-checkpoint-before-letting-go",
        "state 2",
        "agents/runtime/partition.py",
        "        await self.checkpoint()\n        await self.changelog.close()",
        "        await self.changelog.close()",
        (f"{PARTITION}::test_closing_writes_everything_and_stops_the_background_task",),
    ),
    Removal(
        "last-checkpoint-before-stopping",
        "state 2",
        "agents/runtime/app.py",
        "await self.store.revoke_all()",
        "await asyncio.sleep(0)",
        ("tests/durability/test_faults.py::test_a_stopping_worker_leaves_everything_durable",),
    ),
    Removal(
        "below-the-position-is-skipped",
        "state 3",
        "agents/runtime/checkpointed_core.py",
        "[record for record in bundle if record.offset >= self.position]",
        "bundle",
        (f"{PARTITION}::test_overlapping_bundles_count_every_event_once",),
    ),
    Removal(
        "an-old-bundle-is-skipped",
        "state 3",
        "agents/runtime/faust_transport.py",
        "    if stop <= position:\n        return Continuity.OLD\n",
        "",
        (f"{TRANSPORT}::test_every_range_is_old_contiguous_or_leaves_a_gap",),
    ),
    Removal(
        "a-failed-checkpoint-is-the-end",
        "state 4",
        "agents/runtime/checkpointed_core.py",
        'exits.restart(code, f"checkpoint of {self.tp.topic}/{self.tp.partition} at {position}: {error!r}")',
        "del error",
        (f"{PARTITION}::test_any_failing_checkpoint_exits_with_70",),
    ),
    Removal(
        "an-unclear-checkpoint-is-the-end",
        "state 4",
        "agents/runtime/checkpointed_core.py",
        "async with asyncio.timeout(PATIENCE_S):",
        "if True:",
        (f"{STATE}::test_a_checkpoint_of_unknown_outcome_exits_the_process",),
    ),
    Removal(
        "the-same-process-anew",
        "state 4",
        "agents/process/exits.py",
        "os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])",
        "os._exit(code)",
        (f"{EXITS}::test_a_process_restarts_ten_times_under_its_pid_and_then_exits_with_the_code",),
    ),
    Removal(
        "at-most-ten",
        "state 4",
        "agents/process/exits.py",
        "if count > MOST_RESTARTS:",
        "if count > 2 * MOST_RESTARTS:",
        (f"{EXITS}::test_a_process_restarts_ten_times_under_its_pid_and_then_exits_with_the_code",),
    ),
    Removal(
        "a-checkpoint-forgives",
        "state 4",
        "agents/runtime/checkpointed_core.py",
        "        exits.reset_restarts()\n",
        "",
        (f"{STATE}::test_a_checkpoint_resets_the_restart_count",),
    ),
    Removal(
        "jitter",
        "state 4",
        "agents/process/exits.py",
        "        time.sleep(wait_s)",
        "        pass",
        (f"{STATE}::test_a_restarting_process_waits_first",),
    ),
    Removal(
        "a-gap-is-fetched-again",
        "state 5",
        "agents/runtime/bundle_intake.py",
        'await self._rewind(f"gap in {tp.topic}/{tp.partition} at [{partition.position}, {bundle.start})")',
        "pass",
        (f"{INTAKE}::test_a_gap_is_fetched_once_and_later_bundles_wait",),
    ),
    Removal(
        "silence-is-fetched-again",
        "state 5",
        "agents/runtime/watchdog.py",
        'await self._rewind(f"lag without progress at {_shown(positions)}, ends {_shown(ends)}")',
        "pass",
        (f"{WATCHDOG}::test_stalled_partitions_are_fetched_again_every_few_seconds",),
    ),
    Removal(
        "beyond-the-end-is-refused",
        "state 6",
        "agents/runtime/changelog.py",
        "            if recorded <= end:",
        "            if True:",
        (
            f"{JOURNAL}::test_a_position_after_the_end_of_the_log_is_refused_and_never_reset",
            f"{MEMORY_LAWS}::test_a_recreated_source_topic_is_refused",
        ),
    ),
    Removal(
        "before-the-start-is-counted",
        "state 6",
        "agents/runtime/changelog.py",
        "        if recorded < start:",
        "        if False:",
        (
            f"{JOURNAL}::test_the_start_offset_follows_from_position_and_log",
            f"{MEMORY_LAWS}::test_events_deleted_before_they_were_applied_are_counted_as_lost",
        ),
    ),
    Removal(
        "lost-on-the-way-is-counted",
        "state 6",
        "agents/runtime/bundle_intake.py",
        "        if oldest > position:",
        "        if False:",
        (f"{INTAKE}::test_records_deleted_from_the_log_are_counted_as_lost_and_work_continues_after_them",),
    ),
    Removal(
        "a-log-cut-under-way-is-refused",
        "state 6",
        "agents/runtime/watchdog.py",
        "elif now - self.state.cut_since > WITHDRAWN_S:",
        "elif False:",
        (f"{WATCHDOG}::test_a_log_that_stays_shorter_than_the_position_is_a_failure_that_names_the_topic",),
    ),
    Removal(
        "revoked-is-out-of-memory",
        "state 7",
        "agents/runtime/owned_partitions.py",
        "self.owned.pop(tp).close()",
        "self.owned[tp].close()",
        (f"{STORE}::test_a_revoked_partition_is_hidden_immediately_and_durable_when_revoking_returns",),
    ),
    Removal(
        "read-committed-state",
        "state 1, 8",
        "agents/kafka/topic_reader.py",
        'isolation_level="read_committed"',
        'isolation_level="read_uncommitted"',
        (f"{KAFKA_LAWS}::test_the_open_transaction_of_a_vanished_owner_is_aborted_without_waiting",),
    ),
    Removal(
        "read-committed-ends",
        "state 8",
        "agents/runtime/watchdog.py",
        'isolation_level="read_committed"',
        'isolation_level="read_uncommitted"',
        (
            f"{KAFKA}::test_an_open_transaction_of_a_publisher_is_not_lag_and_its_events_count_after_the_commit",
        ),
    ),
    Removal(
        "read-committed-letters",
        "state 8",
        "agents/kafka/topic_reader.py",
        'isolation_level="read_committed"',
        'isolation_level="read_uncommitted"',
        (f"{KAFKA}::test_an_uncommitted_dead_letter_is_invisible",),
    ),
    Removal(
        "outbox-checkpoint-first",
        "state 8",
        "agents/notify.py",
        "record(outbox, partition, step, await deliver(channel, step, session))\nawait partition.checkpoint()",
        "record(outbox, partition, step, await deliver(channel, step, session))",
        ("tests/agents/notify/test_notify.py::test_a_step_is_durable_before_the_next_is_sent",),
    ),
    # Below the rules and the table
    Removal(
        "records-of-state-are-bounded",
        "state, limits",
        "agents/runtime/state_sizes.py",
        "if value is not None and len(value) > MOST_BYTES:",
        "if False:",
        (f"{JOURNAL}::test_a_state_record_above_the_limit_is_refused_by_its_key",),
    ),
    Removal(
        "back-pressure",
        "state, limits",
        "agents/runtime/checkpoint_queue.py",
        "self.pending_bytes > MOST_PENDING",
        "self.pending_bytes < 0",
        (
            f"{PARTITION}::test_a_partition_with_many_unwritten_changes_accepts_no_more_until_they_are_written",
        ),
    ),
    Removal(
        "only-whole-bundles",
        "state, limits",
        "agents/runtime/checkpointed_core.py",
        "            await self._whole()\n            async with self.slices.turn.lock:  # encoding a large state takes"
        " long, too\n                if self._between_bundles.is_set():",
        "            async with self.slices.turn.lock:\n                if True:",
        (
            "tests/agents/runtime/test_long_bundle.py::test_a_long_bundle_yields_to_other_tasks_and_is_written_only_when_complete",
        ),
    ),
    Removal(
        "who-is-cancelled-finishes",
        "state, limits",
        "agents/runtime/step_slices.py",
        "        except asyncio.CancelledError:\n            for _ in steps:\n                pass\n",
        "        except asyncio.CancelledError:\n",
        ("tests/agents/runtime/test_long_bundle.py::test_a_cancelled_bundle_is_completed_first",),
    ),
    Removal(
        "transaction-timeout",
        "state, limits",
        "agents/runtime/kafka_backend.py",
        ", transaction_timeout_ms=20_000",
        "",
        (f"{JOURNAL}::test_the_transactional_id_contains_prefix_agent_topic_and_partition",),
    ),
    Removal(
        "static-member",
        "static membership",
        "agents/runtime/app.py",
        "consumer_group_instance_id=None if kafka.embedded else instance_id(config), ",
        "",
        (
            f"{FAUST}::test_the_consumer_created_by_faust_has_the_settings_of_the_transport",
            f"{KAFKA}::test_a_restart_of_a_worker_revokes_no_partition_of_another_worker",
        ),
    ),
    Removal(
        "a-full-queue-is-enough",
        "transport",
        "agents/runtime/faust_transport.py",
        "    def on_buffer_full(",
        "    def our_buffer_full(",
        (f"{FAUST}::test_a_full_queue_never_removes_its_partition_from_the_fetched_partitions",),
    ),
    Removal(
        "highwater-of-what-is-gone",
        "transport",
        "agents/runtime/faust_transport.py",
        "            return super().highwater(tp) or 0\n        except Exception:",
        "            return super().highwater(tp) or 0\n        except KeyError:",
        (f"{FAUST}::test_a_revoked_partition_does_not_stop_the_stream",),
    ),
    Removal(
        "a-seek-is-not-held-up",
        "transport",
        "agents/runtime/faust_transport.py",
        "consumer._fetch_max_wait_ms = 250",
        "pass",
        (f"{FAUST}::test_the_consumer_created_by_faust_has_the_settings_of_the_transport",),
    ),
    Removal(
        "careful-replay",
        "state, poison",
        "agents/runtime/partition.py",
        "if recovered.unclean or exits.restarts():",
        "if False:",
        (
            "tests/agents/runtime/test_careful_replay.py::test_a_deadly_record_is_set_aside_with_its_offset_after_a_few_deaths",
        ),
    ),
    Removal(
        "others-before-suspects",
        "state, poison",
        "agents/runtime/bundle_intake.py",
        "if partition.is_suspect and self._others_go_first():",
        "if False:",
        (
            "tests/agents/runtime/test_bundle_intake.py::test_a_partition_that_may_end_the_process_comes_after_the_others_and_is_fetched_again",
        ),
    ),
    Removal(
        "the-leading-partition",
        "state, group",
        "agents/runtime/changelog.py",
        "if header is None and self._lead != self._state:",
        "if False:",
        (
            "tests/agents/runtime/test_source_topics.py::test_a_new_partition_waits_for_the_header_of_the_leading_partition_and_agrees_with_it",
        ),
    ),
    Removal(
        "a-withdrawn-attempt",
        "state, poison",
        "agents/runtime/partition.py",
        "self._attempt = RELEASED if self._replay is None else self._replay.release_note(self.position)",
        "pass",
        (
            "tests/agents/runtime/test_careful_replay.py::test_a_partition_that_is_released_between_the_note_and_its_attempt_blames_no_record",
        ),
    ),
    Removal(
        "bounded-decompression",
        "transport",
        "agents/kafka/decompression.py",
        "setattr(module, name, decode)",
        "pass",
        (
            "tests/agents/kafka/test_decompression.py::test_a_batch_of_kilobytes_that_is_a_record_of_400_megabytes_takes_little_memory",
        ),
    ),
    Removal(
        "topic-ids",
        "state 6",
        "agents/runtime/source_topics.py",
        'return {} if identity is None or not identity.topic_id else {"topic_id": identity.topic_id}',
        "return {}",
        (
            f"{KAFKA}::test_a_topic_that_was_created_again_and_is_longer_than_the_position_is_refused",
            "tests/agents/runtime/test_source_topics.py::test_the_state_of_a_topic_states_its_id_where_the_broker_keeps_one",
        ),
    ),
    Removal(
        "an-error-of-an-event-keeps-no-frame",
        "memory",
        "schemas/event_decoder.py",
        "fault = str(error)",
        "fault = error",
        (
            "tests/agents/runtime/test_owned_partitions.py::test_a_revoked_partition_that_was_scraped_and_had_unreadable_records_leaves_memory_without_a_collection",
        ),
    ),
    Removal(
        "a-revoked-partition-keeps-no-task",
        "memory",
        "agents/runtime/partition.py",
        "tasks, self._tasks = self._tasks, []",
        "tasks = self._tasks",
        (
            "tests/agents/runtime/test_owned_partitions.py::test_a_revoked_partition_that_was_scraped_and_had_unreadable_records_leaves_memory_without_a_collection",
        ),
    ),
    Removal(
        "a-scrape-keeps-no-core",
        "memory",
        "agents/runtime/process_counters.py",
        "weakref.ref(part.core), now",
        "(lambda core=part.core: core), now",
        (
            "tests/agents/runtime/test_owned_partitions.py::test_a_revoked_partition_that_was_scraped_and_had_unreadable_records_leaves_memory_without_a_collection",
        ),
    ),
    Removal(
        "an-unclean-end-is-known-to-the-next-owner",
        "state, poison",
        "agents/runtime/changelog.py",
        "attempt or self._attempt, attempt != RELEASED",
        "attempt or self._attempt, False",
        (
            "tests/agents/runtime/test_careful_replay.py::test_a_deadly_record_in_quiet_traffic_ends_the_process_three_times",
        ),
    ),
    Removal(
        "a-release-is-noted",
        "state, poison",
        "agents/runtime/partition.py",
        "self._attempt = RELEASED if self._replay is None else self._replay.release_note(self.position)",
        "pass",
        (
            "tests/agents/runtime/test_careful_replay.py::test_the_owner_after_one_that_released_in_order_searches_nothing",
        ),
    ),
    Removal(
        "a-release-continues-the-search",
        "state, poison",
        "agents/runtime/careful_replay.py",
        "if self._noted is None or not self.is_suspect(position):",
        "if not self.is_suspect(position) or self._noted:",
        (
            "tests/agents/runtime/test_careful_replay.py::test_an_owner_that_releases_before_it_applied_anything_does_not_begin_the_search_again",
        ),
    ),
    Removal(
        "http-connections-are-limited",
        "limits",
        "agents/web/connections.py",
        "if len(self._since) > self._most:",
        "if False:",
        (
            "tests/agents/web/test_connections.py::test_probes_are_answered_beside_more_half_sent_requests_than_connections",
        ),
    ),
    Removal(
        "every-route-checks-the-host",
        "limits",
        "agents/web/access.py",
        "if is_local and not is_loopback(request.host):",
        "if False:",
        (
            "tests/agents/web/test_access.py::test_without_a_token_of_the_configuration_another_host_name_is_refused_on_every_route",
        ),
    ),
    Removal(
        "answers-are-never-unpacked",
        "limits",
        "agents/notify_http.py",
        "auto_decompress=False,",
        "",
        ("tests/agents/notify/test_channels.py::test_a_compressed_answer_is_never_unpacked",),
    ),
    Removal(
        "no-answer-names-the-server",
        "limits",
        "agents/web/connections.py",
        'response.headers["Server"] = "softfail"',
        "pass",
        ("tests/agents/web/test_connections.py::test_no_answer_names_the_server_software",),
    ),
    Removal(
        "a-cut-sample-is-redacted-beyond-its-cut",
        "limits",
        "monitor/ingest/failure_samples.py",
        "redact(text[: TEXT_CHARS + _MARGIN_CHARS])[:-_MARGIN_CHARS]",
        "redact(text[:TEXT_CHARS])",
        (
            "tests/monitor/ingest/test_failure_samples.py::test_a_sample_has_no_half_of_a_card_number_at_its_cut",
        ),
    ),
    Removal(
        "an-added-partition-is-the-end",
        "state, group",
        "agents/runtime/source_topics.py",
        "if identity is not None and tp.partition >= identity.partitions:",
        "if False:",
        (
            "tests/agents/runtime/test_source_topics.py::test_a_partition_that_was_added_later_ends_the_worker_with_78",
        ),
    ),
    Removal(
        "a-deleted-topic-is-noticed",
        "state, group",
        "agents/runtime/source_topics.py",
        "tuple(topic for topic in self._identities if topic not in now)",
        "()",
        (
            "tests/agents/runtime/test_source_topics.py::test_a_deleted_topic_makes_the_worker_unready_until_it_is_there_again",
        ),
    ),
    Removal(
        "features-are-capped",
        "limits",
        "monitor/ingest/feature_cap.py",
        "return self.other(key.environment)",
        "return key",
        (
            "tests/monitor/ingest/test_feature_cap.py::test_names_that_never_repeat_open_no_features_beyond_the_cap",
        ),
    ),
    Removal(
        "a-schema-has-bounded-work",
        "limits",
        "monitor/evaluators/json_schema_check.py",
        "values * self._breadth > _MAX_WORK",
        "False",
        (
            "tests/monitor/evaluators/test_json_schema_limits.py::test_more_than_the_limit_is_skipped_as_too_large",
        ),
    ),
    Removal(
        "a-line-of-a-file-is-bounded",
        "limits",
        "sdk/softfail/bounded_lines.py",
        "while line := file.readline(max_bytes + 1):",
        "while line := file.readline():",
        (
            "tests/monitor/cli/test_hostile_files.py::test_a_line_that_is_larger_than_the_limit_is_cut_and_the_next_line_is_read",
        ),
    ),
    Removal(
        "a-record-that-is-too-deep-is-unreadable",
        "limits",
        "monitor/delivery/alert_records.py",
        "except RecursionError as error:",
        "except KeyError as error:",
        (
            "tests/monitor/delivery/test_alert_records.py::test_a_record_that_is_nested_too_deep_is_unreadable_at_every_depth",
        ),
    ),
    Removal(
        "whoever-was-answered-waits-anew",
        "limits",
        "agents/web/connections.py",
        "self._since[handler] = self._since.pop(handler)",
        "pass",
        (
            "tests/agents/web/test_connections.py::test_a_connection_that_was_answered_is_closed_after_those_that_wait_longer",
        ),
    ),
    Removal(
        "a-request-that-is-handled-is-not-closed",
        "limits",
        "agents/web/connections.py",
        "return handler._current_request is None and not handler._request_in_progress",
        "return True",
        (
            "tests/agents/web/test_connections.py::test_a_request_that_is_being_handled_is_not_closed_for_those_that_wait",
        ),
    ),
    Removal(
        "an-evaluator-has-no-standard-input",
        "limits",
        "sdk/softfail/evaluator_process.py",
        "stdin=subprocess.DEVNULL,",
        "",
        (
            "tests/softfail/test_evaluator_pool.py::test_an_evaluator_that_reads_its_standard_input_gets_nothing_of_the_worker",
        ),
    ),
    Removal(
        "a-schema-file-is-bounded",
        "limits",
        "schemas/config/load.py",
        "read_bounded(folder / file, MAX_SCHEMA_BYTES)",
        "(folder / file).read_text()",
        ("tests/schemas/config/test_load.py::test_a_schema_file_without_an_end_is_refused",),
    ),
    Removal(
        "features-of-late-events-are-capped",
        "limits",
        "monitor/ingest/ingestor.py",
        "self._cap.other(key.environment) if is_new else key",
        "key",
        (
            "tests/monitor/ingest/test_feature_cap.py::test_names_of_events_that_come_too_late_open_no_features_beyond_the_cap",
        ),
    ),
    Removal(
        "a-dead-letter-has-short-keys-and-headers",
        "limits",
        "monitor/ingest/dead_letters.py",
        "data[:TEXT_BYTES]",
        "data",
        (
            "tests/monitor/documentation/test_limits.py::test_a_dead_letter_has_the_beginning_of_a_long_key_and_of_long_headers",
        ),
    ),
    Removal(
        "outputs-left-out-are-counted",
        "limits",
        "agents/runtime/counters.py",
        "self.oversized += written.oversized",
        "pass",
        (
            "tests/agents/web/test_metrics_endpoint.py::test_records_above_their_limit_are_counted_by_checkpoint",
        ),
    ),
    Removal(
        "large-records-of-state-are-counted",
        "limits",
        "agents/runtime/counters.py",
        "self.large_records += written.large",
        "pass",
        (
            "tests/agents/web/test_metrics_endpoint.py::test_records_above_their_limit_are_counted_by_checkpoint",
        ),
    ),
    Removal(
        "a-quote-has-no-half-of-a-secret",
        "limits",
        "sdk/softfail/event_faults.py",
        "text = text[: -_QUOTED_CHARS // 4]",
        "pass",
        (
            "tests/softfail/test_event_faults.py::test_a_quote_has_no_half_of_a_card_number_behind_a_long_secret",
        ),
    ),
)
