"""Run softfail over the recorded corpus and return everything that it writes, as named texts of lines.

Only facades are called: the commands (`python -m monitor`), `Watch`, `Notifier` and the channels. Time,
answers of receivers and jitter are scripted, so the texts are the same on each run.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from monitor.__main__ import main
from monitor.channels import change_channels, configured
from monitor.channels.interface import Delivered, Permanent, Request, Retry
from monitor.config_check import load_checked_config
from monitor.notifier import Notifier
from monitor.protocol.messages import FileRecord, Outputs
from monitor.protocol.metrics import Measure
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.dead_mans_switch import Withheld
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from softfail.partitioning import partition_of

HERE = Path(__file__).parent
EVENTS, CONFIG, PIN = "events.ndjson.gz", "monitor.yaml", "pinned/calm.json"
SECRETS = {  # none is real
    "CORPUS_DEAD_MANS_URL": "https://hooks.example/alive/0123456789abcdef",
    "CORPUS_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "CORPUS_SECRET": "a-secret-of-the-corpus",
    "CORPUS_SLACK_URL": "https://hooks.slack.example/services/T0/B0/abcdefabcdef",
}
PARTITIONS = 2
SIZES = (1, 13, 2, 610, 5, 377, 89, 233, 3, 144, 987, 21)  # of bundles, in turn
CHECKPOINT_STEPS, LOOK_STEPS = (
    7,
    12,
)  # steps between two checkpoints, and between two looks at measures and status
STOP_STEP = 36  # after it the worker stops and another goes on; `record.py` checks that pages are open then
MISPLACED = 97  # each so manieth record lies in the wrong partition
SECOND_US = 1_000_000
SUBSTEPS_S = (0, 4, 25, 100)
PERIODS_S = (420, 1500)  # after a bundle, when nothing comes for so long, the wall clock moves the watermark
ERRORS = {  # channel, number of the request modulo 23 -> HTTP status
    **{("pagerduty", 4): 503, ("pagerduty", 9): 429, ("pagerduty", 17): 400},
    **{("slack", 3): 500, ("slack", 8): 429, ("slack", 14): 400},
    **{("webhook", 2): 502, ("webhook", 5): 400, ("webhook", 11): 429, ("webhook", 19): 400},
    **{("alertmanager", 6): 503, ("alertmanager", 13): 400},
}

CONFIRMATIONS = {"pagerduty": b'{"status":"success"}', "alertmanager": b""}
REFUSALS = {  # with status 400
    "pagerduty": b'{"status":"invalid event"}',
    "alertmanager": b'"bad"',
    "slack": b"invalid_payload",
}

Texts = dict[str, list[str]]
State = dict[bytes, bytes]
SILENCE = {
    "record": "silence",
    "silence_id": "corpus-1",
    "match": "shop/*",
    "environments": [],
    "severity": [],
    "author": "corpus",
    "starts_at": "2026-03-02T07:48:00Z",
    "ends_at": "2026-03-02T07:56:00Z",
    "reason": "a test",
    "time": "2026-03-02T07:45:00Z",
}


class Step(NamedTuple):
    """One bundle: its number, the wall clock, and the records of each partition. ``idle``: no records, the
    clock alone moves the watermark.
    """

    number: int
    now_us: int
    records: tuple[list[FileRecord], ...]
    idle: bool = False


class Alerts(NamedTuple):
    """What one step wrote to the alerts topic."""

    step: int
    now_us: int
    values: list[bytes]


@contextlib.contextmanager
def corpus_directory() -> Iterator[None]:
    """Work in the directory of the corpus, so that no path of this machine is in an output, with the
    environment that the configuration names.
    """
    before = {name: os.environ.get(name) for name in SECRETS}
    os.environ.update(SECRETS)
    try:
        with contextlib.chdir(HERE):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def command(*arguments: str) -> Texts:
    """Run ``python -m monitor`` in this process; return its standard output, and its errors with the exit
    code.
    """
    out, errors = io.StringIO(), io.StringIO()
    with corpus_directory(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(arguments)
    return {
        "out": out.getvalue().splitlines(),
        "errors": [f"exit code {code}", *errors.getvalue().splitlines()],
    }


def named(name: str, texts: Texts) -> Texts:
    """Return the texts with a name before each of their names."""
    return {f"{name}-{key}": lines for key, lines in texts.items()}


def replay() -> Texts:
    """Return what the commands print. Parts of the corpus only, where the whole would take too long."""
    configured = ("--config", CONFIG)
    day = ("--to", "2026-03-02T09:15Z")
    morning = ("--to", "2026-03-02T07:20Z")
    return {
        **named(
            "replay-defaults", command("replay", "--format", "ndjson", "--match", "bot/support", *day, EVENTS)
        ),
        **named(
            "replay-config",
            command("replay", "--format", "ndjson", "--match", "shop/*", *configured, *day, EVENTS),
        ),
        **named(
            "replay-summary",
            command(
                "replay",
                "--format",
                "summary",
                "--match",
                "mail/*",
                *configured,
                "--what-if",
                "other.yaml",
                EVENTS,
            ),
        ),
        **named(
            "replay-table",
            command("replay", "--format", "table", "--match", "shop/search", *configured, *morning, EVENTS),
        ),
    }


def evaluate() -> Texts:
    """Return the verdicts on each response, and what a pin of references holds."""
    pin = HERE / "pinned" / "again.json"
    try:
        period = ("--from", "2026-03-02T06:00Z", "--to", "2026-03-02T06:50Z", "--match", "*/s*")
        pinned = command(
            "baseline", "pin", "calm", EVENTS, *period, "--config", CONFIG, "--output", "pinned/again.json"
        )
        pinned["file"] = pin.read_text(encoding="utf-8").splitlines() if pin.exists() else []
    finally:
        pin.unlink(missing_ok=True)
    return {
        **named("evaluate-defaults", command("evaluate", "--format", "ndjson", EVENTS)),
        **named("evaluate-config", command("evaluate", "--format", "ndjson", "--config", CONFIG, EVENTS)),
        **named("evaluate-table", command("evaluate", "--format", "table", "--config", CONFIG, EVENTS)),
        **named("pin", pinned),
    }


def configuration() -> Config:
    """Return the configuration of the corpus."""
    with corpus_directory():
        return load_checked_config(Path(CONFIG))


def steps() -> list[Step]:
    """Cut the corpus into bundles of odd sizes for two partitions."""
    lines = gzip.decompress((HERE / EVENTS).read_bytes()).split(b"\n")[:-1]
    differences = gzip.decompress((HERE / "arrivals.gz").read_bytes()).split()
    offsets, arrival_ms, done, cut_steps = [0] * PARTITIONS, 0, 0, []
    while done < len(lines):
        size = SIZES[len(cut_steps) % len(SIZES)]
        records: tuple[list[FileRecord], ...] = tuple([] for _ in range(PARTITIONS))
        for number in range(done, min(done + size, len(lines))):
            arrival_ms += int(differences[number])
            key, partition = _place(lines[number], number)
            records[partition].append(
                FileRecord(
                    lines[number],
                    offsets[partition],
                    arrival_ms,
                    key,
                    "corpus.events",
                    partition,
                    (("n", b"%d" % number),),
                )
            )
            offsets[partition] += 1
        done += size
        cut_steps.append(Step(len(cut_steps), arrival_ms * 1000 + 2 * SECOND_US, records))
        pause_s = int(differences[done]) / 1000 if done < len(lines) else 0
        for period_s in PERIODS_S:
            if pause_s > period_s + 60:
                cut_steps.append(
                    Step(len(cut_steps), arrival_ms * 1000 + period_s * SECOND_US, ([], []), idle=True)
                )
    return cut_steps


def _place(line: bytes, number: int) -> tuple[bytes | None, int]:
    """Return the key of a record and the partition in which it lies."""
    try:
        event = json.loads(line)
        service, feature = event["service"], event["feature"]
    except (ValueError, KeyError, TypeError):
        return None, number % PARTITIONS
    right = partition_of(service, feature, PARTITIONS)
    return f"{service}/{feature}".encode(), (right + (number % MISPLACED == 0)) % PARTITIONS


def shown(data: bytes | None) -> str:
    """Return bytes as one line of text."""
    return (
        "-"
        if data is None
        else data.decode("utf-8", "backslashreplace").replace("\n", "\\n").replace("\r", "\\r")
    )


def digest(data: bytes | None) -> str:
    """Return the length and a hash of the bytes."""
    return "deleted" if data is None else f"{len(data)} {hashlib.sha256(data).hexdigest()[:32]}"


def keep(state: State, records: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Take state records into a state as Kafka's compacted log has it: in the order in which they were
    written last.
    """
    for key, value in records:
        state.pop(key, None)
        if value is not None:
            state[key] = value


class Worker:
    """The partitions of the events topic, one ``Watch`` each, and what they write.

    ``states``: what another worker kept of each partition, with which this one goes on; None: it begins anew.
    """

    def __init__(self, states: Sequence[State] | None = None) -> None:
        config = configuration()
        self.watches = [Watch(config, partition, PARTITIONS) for partition in range(PARTITIONS)]
        self.durable: list[State] = [dict(state) for state in states or [{} for _ in range(PARTITIONS)]]
        for watch, state in zip(self.watches, states or (), strict=False):
            watch.restore(state.items())
        self.texts: Texts = {
            f"watch-{name}": []
            for name in (
                "windows",
                "alerts",
                "samples",
                "deadletter",
                "events",
                "state",
                "heartbeats",
                "looks",
            )
        }
        self.alerts: list[Alerts] = []

    def run(self, steps: Iterable[Step]) -> None:
        """Take all the steps."""
        for step in steps:
            self.alerts.append(Alerts(step.number, step.now_us, []))
            forwarded: list[list[FileRecord]] = [[] for _ in range(PARTITIONS)]
            for partition, watch in enumerate(self.watches):
                outputs = self._outputs(watch, step, partition)
                self._write(step, partition, outputs, forwarded)
            for partition, records in enumerate(forwarded):
                self._write(step, partition, self.watches[partition].apply(records, step.now_us), None)
            self._keep(step)

    @staticmethod
    def _outputs(watch: Watch, step: Step, partition: int) -> Outputs:
        if step.idle:
            return watch.advance(step.now_us - 30 * SECOND_US, step.now_us)
        return watch.apply(step.records[partition], step.now_us)

    def finish(self, step: Step) -> None:
        """Close all panes, at the end of the corpus."""
        self.alerts.append(Alerts(step.number, step.now_us, []))
        for partition, watch in enumerate(self.watches):
            self._write(step, partition, watch.finish(), None)
        self.checkpoint(step)
        self.look(step)

    def _keep(self, step: Step) -> None:
        for partition, watch in enumerate(self.watches):
            caught_up, lost = step.number % 10 != 3, 3 * (step.number > 40)
            for topic, message in watch.heartbeat(
                ReadProgress(caught_up, lost, 75.0 * (partition == 1)), step.now_us
            ).order:
                self.texts["watch-heartbeats"].append(
                    f"{step.number} {partition} {topic} {shown(message.key)} {shown(message.value)}"
                )
                self.alerts[-1].values.append(message.value)
        if step.number % CHECKPOINT_STEPS == 0 or step.number == STOP_STEP:
            self.checkpoint(step)
        if step.number % LOOK_STEPS == 0:
            self.look(step)

    def _write(
        self, step: Step, partition: int, outputs: Outputs, forwarded: list[list[FileRecord]] | None
    ) -> None:
        for topic, message in outputs.order:
            place = f"{step.number} {partition} {message.partition} {shown(message.key)} {[(name, shown(value)) for name, value in message.headers]}"
            self.texts[f"watch-{topic}"].append(f"{place} {shown(message.value)}")
            if topic == "alerts":
                self.alerts[-1].values.append(message.value)
            if topic == "events" and forwarded is not None:
                target = partition if message.partition is None else message.partition
                record = FileRecord(
                    message.value,
                    0,
                    step.now_us // 1000,
                    message.key,
                    "corpus.events",
                    target,
                    message.headers,
                )
                forwarded[target].append(record)

    def checkpoint(self, step: Step) -> None:
        """Take what has changed."""
        for partition, watch in enumerate(self.watches):
            changed = watch.changed()
            keep(self.durable[partition], changed)
            lines = sorted(
                f"{step.number} {partition} {shown(key)} {digest(value)}" for key, value in changed
            )
            self.texts["watch-state"] += lines  # sorted: the order in one checkpoint is no promise

    def look(self, step: Step) -> None:
        """Note measures and status."""
        for partition, watch in enumerate(self.watches):
            lines = [*measured(watch.measures()), *(f"counted {line}" for line in measured(watch.counted()))]
            lines += json.dumps(watch.status(), indent=1, ensure_ascii=False).splitlines()
            self.texts["watch-looks"] += [f"{step.number} {partition} {line}" for line in lines]


def measured(measures: Iterable[Measure]) -> list[str]:
    """Return the measures as lines."""
    return [f"{measure.name}{list(measure.labels)} {measure.value!r}" for measure in measures]


class Notify:
    """The notifier over the alerts topic, with channels whose receivers answer by script.

    ``state``: what another one kept, with which this one goes on; ``offset``: how many records of the topic
    that one had read.
    """

    def __init__(
        self, state: State | None = None, offset: int = 0, answers: dict[str, int] | None = None
    ) -> None:
        self.config = configuration()
        self.channels, self.change_channels = configured(self.config), change_channels(self.config)
        self.texts: Texts = {
            f"notify-{name}": [] for name in ("requests", "changes", "written", "state", "looks", "signs")
        }
        self.durable: State = dict(state or {})
        self.core = Notifier(self.config)
        if state is not None:
            self.core.restore(state.items())
        self.offset = offset
        self.answers = dict(answers or {})

    def run(self, alerts: Sequence[Alerts]) -> None:
        """Take what each step wrote, and deliver until the next one."""
        for nth, alert in enumerate(alerts):
            values = [*alert.values]
            if alert.step == 20:
                values += [json.dumps(SILENCE).encode(), b'{"record":"episode"}', b"rubbish"]
            end_us = alerts[nth + 1].now_us if nth + 1 < len(alerts) else alert.now_us + 3600 * SECOND_US
            substeps = [alert.now_us + second * SECOND_US for second in SUBSTEPS_S]
            for now_us in [now_us for now_us in substeps if now_us == alert.now_us or now_us < end_us]:
                values = self._substep(alert.step, now_us, values)
            if values:  # of softfail's own health: read with the next step
                self._apply(alert.step, min(substeps[-1], end_us), values)
            self._checkpoint(alert.step)
            if alert.step % LOOK_STEPS == 0:
                self._look(alert.step)

    def _substep(self, step: int, now_us: int, values: list[bytes]) -> list[bytes]:
        self._apply(step, now_us, values)
        outputs = self.core.check_health(now_us)
        self._write(step, outputs)
        self._signs(step, now_us)
        for name in self.channels:
            for _ in range(40):
                if not self._deliver(step, name, now_us):
                    break
        for name in self.change_channels:
            self._deliver_change(step, name, now_us)
        return [message.value for topic, message in outputs.order if topic == "alerts"]

    def _apply(self, step: int, now_us: int, values: list[bytes]) -> None:
        records = [
            FileRecord(value, self.offset + nth, now_us // 1000, None, "corpus.alerts")
            for nth, value in enumerate(values)
        ]
        self.offset += len(records)
        self._write(step, self.core.apply(records, now_us))

    def _write(self, step: int, outputs: Outputs) -> None:
        for topic, message in outputs.order:
            self.texts["notify-written"].append(f"{step} {topic} {shown(message.key)} {shown(message.value)}")

    def _answer(self, name: str, now_us: int) -> tuple[int | None, dict[str, str], bytes]:
        """Return what a receiver answers: some errors, and an outage of PagerDuty."""
        number = self.answers[name] = self.answers.get(name, -1) + 1
        minute = (now_us // (60 * SECOND_US)) % 1440
        if name == "pagerduty" and 7 * 60 + 50 <= minute < 8 * 60:
            return None, {}, b"no answer within 10 s"
        success = 202 if name == "pagerduty" else 200
        status = ERRORS.get((name, number % 23), success)
        headers = {"Retry-After": "40"} if status == 429 else {}
        if status == success:
            return status, headers, CONFIRMATIONS.get(name, b"ok")
        return status, headers, REFUSALS.get(name, b"busy") if status == 400 else b"busy"

    def _jitter(self, name: str) -> float:
        return self.answers.get(name, 0) * 0.37 % 1

    def _deliver(self, step: int, name: str, now_us: int) -> bool:
        due = self.core.outbox.due(name, now_us)
        if due is None:
            return False
        channel, outbox = self.channels[name], self.core.outbox
        request = channel.request(due, now_us)
        verdict = channel.interpret(*self._answer(name, now_us), now_us)
        match verdict:
            case Delivered():
                outbox.delivered(due, now_us)
                result = "delivered"
            case Retry(reason, after_s, hold, unexpected):
                wait_s = outbox.failed(
                    due, now_us, self._jitter(name), after_s, hold, reason, unexpected=unexpected
                )
                result = f"retry in {wait_s!r}: {verdict}"
            case Permanent(reason):
                self._write(step, outbox.refused(due, reason, now_us))
                result = f"refused: {verdict}"
        description = f"{due.action} {due.urgency} {due.reason} {due.dedup_key} {due.left_out}"
        self.texts["notify-requests"].append(
            f"{step} {now_us} {name} {description} {rendered(request)} {result}"
        )
        return True

    def _deliver_change(self, step: int, name: str, now_us: int) -> None:
        due = self.core.outbox.change_due(name, now_us)
        if due is None:
            return
        channel, outbox = self.change_channels[name], self.core.outbox
        request = channel.change_request(due.change, now_us)
        verdict = channel.interpret(*self._answer(name, now_us), now_us)
        match verdict:
            case Delivered():
                outbox.delivered(due, now_us)
                result = "delivered"
            case Retry(_, after_s):
                result = f"retry in {outbox.failed(due, now_us, self._jitter(name), after_s)!r}: {verdict}"
            case Permanent(reason):
                self._write(step, outbox.refused(due, reason, now_us))
                result = f"refused: {verdict}"
        self.texts["notify-changes"].append(
            f"{step} {now_us} {name} {due.change.change_id} {rendered(request)} {result}"
        )

    def _signs(self, step: int, now_us: int) -> None:
        switch = self.core.dead_mans_switch
        assert switch is not None
        due = switch.due(now_us)
        if isinstance(due, Withheld):
            self.texts["notify-signs"].append(f"{step} {now_us} withheld {due.reason}: {due.text}")
            return
        for sign in due:
            arrived = step % 5 != 4
            switch.sent(sign, now_us, arrived=arrived)
            self.texts["notify-signs"].append(f"{step} {now_us} {sign.to} {rendered(sign.request)} {arrived}")

    def _checkpoint(self, step: int) -> None:
        changed = self.core.changed()
        keep(self.durable, changed)
        self.texts["notify-state"] += sorted(f"{step} {shown(key)} {shown(value)}" for key, value in changed)

    def _look(self, step: int) -> None:
        lines = [
            *measured(self.core.measures()),
            *(f"counted {line}" for line in measured(self.core.counted())),
        ]
        lines += json.dumps(self.core.status(), indent=1, ensure_ascii=False).splitlines()
        self.texts["notify-looks"] += [f"{step} {line}" for line in lines]


def rendered(request: Request) -> str:
    """Return a request as one line."""
    return f"{request.method} {request.key} {request.url} {list(request.headers)} {request.timeout_s!r} {shown(request.body)}"


class Stop(NamedTuple):
    """What was kept when the worker stopped after ``STOP_STEP``: the states of all partitions and of the
    notifier, and where the script was.
    """

    watch: list[State]
    notify: State
    offset: int
    answers: dict[str, int]

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        states = [
            {_text(key): _text(value) for key, value in state.items()} for state in (*self.watch, self.notify)
        ]
        return json.dumps(
            {"states": states, "offset": self.offset, "answers": self.answers}, indent=0
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stop:
        """Read what ``to_bytes`` gave."""
        read = json.loads(data)
        *watch, notify = [
            {base64.b64decode(key): base64.b64decode(value) for key, value in state.items()}
            for state in read["states"]
        ]
        return cls(watch, notify, read["offset"], read["answers"])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def live() -> tuple[Texts, Stop]:
    """Run two partitions that never stop, and a notifier that another one replaces after ``STOP_STEP``;
    return all texts, and what was kept then.
    """
    bundles = steps()
    worker = Worker()
    worker.run(bundles[: STOP_STEP + 1])
    states = [dict(state) for state in worker.durable]
    worker.run(bundles[STOP_STEP + 1 :])
    worker.finish(bundles[-1]._replace(number=bundles[-1].number + 1))
    first = Notify()
    first.run(worker.alerts[: STOP_STEP + 1])
    stop = Stop(states, dict(first.durable), first.offset, dict(first.answers))
    second = Notify(first.durable, first.offset, first.answers)
    second.run(worker.alerts[STOP_STEP + 1 :])
    both = {name: first.texts[name] + second.texts[name] for name in first.texts}
    state_lines = [
        f"{partition} {shown(key)} {digest(value)}"
        for partition, state in enumerate(worker.durable)
        for key, value in sorted(state.items())
    ]
    return {**worker.texts, **both, "watch-kept": state_lines}, stop


def resumed(stop: Stop, heartbeats: Sequence[str]) -> Texts:
    """Go on after ``STOP_STEP`` with what was kept, and return the texts from there on.

    ``heartbeats``: lines of the run that never stopped, for the notifier. A new worker has looked at its
    partitions for a shorter time, so its own heartbeats differ.
    """
    bundles = steps()[STOP_STEP + 1 :]
    worker = Worker(stop.watch)
    worker.run(bundles)
    worker.finish(bundles[-1]._replace(number=bundles[-1].number + 1))
    beats: dict[int, list[bytes]] = {}
    for line in heartbeats:
        step, _, _, _, value = line.split(" ", 4)
        beats.setdefault(int(step), []).append(value.encode())
    own = [
        Alerts(
            alert.step,
            alert.now_us,
            [value for value in alert.values if not value.startswith(b'{"record":"health"')],
        )
        for alert in worker.alerts
    ]
    notify = Notify(stop.notify, stop.offset, stop.answers)
    notify.run([alert._replace(values=[*alert.values, *beats.get(alert.step, ())]) for alert in own])
    state_lines = [
        f"{partition} {shown(key)} {digest(value)}"
        for partition, state in enumerate(worker.durable)
        for key, value in sorted(state.items())
    ]
    return {**worker.texts, **notify.texts, "watch-kept": state_lines}


GROUPS: dict[str, Callable[[], Texts]] = {"replay": replay, "evaluate": evaluate}
"""Name of a group of outputs -> what returns its texts; the group `live` is beside them, as it also gives a ``Stop``."""
