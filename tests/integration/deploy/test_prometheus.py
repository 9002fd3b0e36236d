"""The alert rules and the queries of the dashboard in a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import yaml

from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.process_counters import ProcessCounters
from agents.web.metrics_endpoint import gather
from agents.web.server import WebServer
from monitor.protocol.messages import FileRecord
from monitor.protocol.metrics import METRICS, Measure
from monitor.watch import Watch
from schemas.config.connections import Http
from schemas.config.monitor_config import Config
from schemas.times import rfc3339
from tests.deploy.test_alert_rules import ALERTS, CASES, RULES
from tests.deploy.test_dashboard import EXPRESSIONS, VARIABLES

_VALUES = {
    "level": ("feature", "segment"),
    "metric": ("duration_s", "output_tokens", "input_tokens"),
    "quantile": ("0.5", "0.9", "0.99"),
    "evaluator": ("refusal",),
    "urgency": ("high", "low"),
    "environment": ("production",),
    "stage": ("seen", "sampled", "sent", "dropped"),
}
# what a watch alone cannot show
ONLY_IN_TROUBLE = {
    "Deliveries",
    "Faults",
    "Dropped by producers",
    "Dead man's switch",
    "Circuit breakers of channels",
}


class Everything:
    """A core that exports every metric; its counters increase at every reading."""

    def __init__(self) -> None:
        self._looks = 0

    def measures(self) -> Iterator[Measure]:
        self._looks += 1
        for name, metric in METRICS.items():
            if metric.kind == "histogram":
                continue
            for labels in itertools.product(
                *(_VALUES.get(label, (f"a {label}",)) for label in metric.labels)
            ):
                yield Measure(name, labels, 10 * self._looks if metric.kind == "counter" else 0.5)


def _watch_in_trouble() -> Watch:
    """A real watch: healthy for ten minutes, then with refusals and errors; some inputs and fields are
    unreadable.
    """
    rule = {"name": "refusals", "on": "evaluator.refusal.fail_rate", "above": 0.2}
    watch = Watch(Config.model_validate({"time": {"pane": "10s", "lateness": "5s"}, "rules": [rule]}), 0, 1)
    records = [FileRecord(b"{", 0)]
    for second in range(1200):
        bad = second > 600
        event = {
            "event_id": str(second),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1200 + second)),
            "service": "bot",
            "feature": "answer",
            "model": "m",
            "duration_s": 0.5 + second % 7 / 10,
            "output": "I'm sorry, but I cannot help with that." if bad else "Your parcel arrives on Monday.",
            "output_tokens": 20 + second % 5,
            "input_tokens": 100 if second % 10 else "a hundred",
            "error_type": "timeout" if bad and second % 10 == 0 else None,
        }
        records.append(FileRecord(json.dumps(event).encode(), second + 1))
    watch.apply(records)
    return watch


@contextlib.contextmanager
def _served(core: object) -> Iterator[str]:
    """Return host:port of a running server of one partition with this core."""
    counters = Counters()

    def partitions() -> list[PartitionStatus]:
        counters.checkpoints += 1
        counters.checkpoint_seconds += 0.01
        return [PartitionStatus("watch", "softfail.events", 0, core, 90, 90, 100, False, False, 0, 0, None)]

    worker = SimpleNamespace(
        partitions=partitions,
        counters=counters,
        running=ProcessCounters(),
        ready=True,
        healthy=True,
        store=SimpleNamespace(agents={"events": SimpleNamespace(name="watch")}, assigned=True),
    )
    loop, server = asyncio.new_event_loop(), WebServer(worker, Http(port=0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        yield f"127.0.0.1:{server.port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def _scraping(program: str, target: str, folder: Path) -> Iterator[str]:
    """Return the URL of Debian's Prometheus, scraping the target each second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    scrape = {"job_name": "softfail", "static_configs": [{"targets": [target]}]}
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]})
    )
    with open(folder / "prometheus.log", "wb") as log:
        flags = [
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={address}",
        ]
        process = subprocess.Popen([program, *flags], stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    if len(_query(f"http://{address}", "count_over_time(up[1m]) >= 4")) and _query(
                        f"http://{address}", "up == 1"
                    ):
                        break
                except OSError:
                    pass
                assert process.poll() is None, (folder / "prometheus.log").read_text()
                assert time.monotonic() < deadline, (
                    "no four scrapes within a minute\n" + (folder / "prometheus.log").read_text()[-3000:]
                )
                time.sleep(0.3)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(20)


def _query(url: str, expression: str) -> list[object]:
    with urllib.request.urlopen(
        f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}", timeout=10
    ) as answer:
        response = json.load(answer)
    assert response["status"] == "success"
    return response["data"]["result"]


def _substituted(expression: str) -> str:
    for variable, value in {
        "$service": ".*",
        "$feature": ".*",
        "$environment": ".*",
        "$__rate_interval": "10s",
    }.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def test_every_query_of_the_dashboard_gives_a_result_on_a_scraped_worker(prometheus, tmp_path):
    with _served(Everything()) as target, _scraping(prometheus, target, tmp_path) as url:
        assert [
            (title, expression)
            for title, expression in EXPRESSIONS
            if not _query(url, _substituted(expression))
        ] == []
        for query in VARIABLES:
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
            assert _query(url, f"count by ({label}) ({_substituted(series)})")


def test_the_queries_return_the_measurements_of_a_real_watch(prometheus, tmp_path):
    with _served(_watch_in_trouble()) as target, _scraping(prometheus, target, tmp_path) as url:
        empty = {title for title, expression in EXPRESSIONS if not _query(url, _substituted(expression))}
        assert empty - ONLY_IN_TROUBLE == set()
        (pages,) = (expression for title, expression in EXPRESSIONS if title == "Open pages")
        assert float(_query(url, _substituted(pages))[0]["value"][1]) == 1


def test_prometheus_accepts_the_rules_and_they_fire_when_they_should(promtool):
    for arguments in (["check", "rules", str(RULES)], ["test", "rules", str(CASES)]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def _first_occurrence() -> Iterator[Watch]:
    """Yield a watch once a minute. Its counters are 0 for ten minutes; then everything happens once."""
    watch = Watch(Config.model_validate({"features": [{"match": "bot/answer"}]}), 0, 1)
    now_us = 1_772_442_000_000_000

    def event(minute: float, **fields: object) -> FileRecord:
        nth = int(minute * 60_000_000)
        plain = {"event_id": str(nth), "time": rfc3339(now_us + nth), "service": "bot", "feature": "answer"}
        return FileRecord(json.dumps(plain | {"model": "m"} | fields).encode(), nth)

    def meter(minute: float, sampled: int, dropped: int) -> FileRecord:
        started = {"producer_id": "p", "started_at": rfc3339(now_us)}
        calls = {"seen": sampled, "sampled": sampled, "sent": sampled - dropped, "dropped": dropped}
        return event(minute, kind="meter", feature="new", **started, **calls)

    for minute in range(180, 210):
        records = [event(minute + nth / 100) for nth in range(20)]
        if minute in (195, 196):  # each of these has a prompt version of its own
            records += [event(minute + nth / 1000, prompt_version=f"{minute}-{nth}") for nth in range(450)]
        if minute == 195:  # a feature begins, and all of it happens at once
            records += [FileRecord(b"{", nth) for nth in range(40)]
            new = {"feature": "new"}
            records += [
                event(minute + 0.4, **new),
                meter(minute + 0.5, 200, 40),
                event(minute - 150.0, **new),
            ]
            poison = FileRecord(b"{}", 0)
            watch.set_aside(poison, "poison", "it ended the process twice")
        watch.apply(records)
        if minute == 195:
            (feature,) = (
                feature for key, feature in watch.partition_state.features.items() if key.feature == "new"
            )
            feature.evaluator_errors["refusal"] = 3
        yield watch


def test_each_alert_on_a_counter_fires_when_its_counter_counts_for_the_first_time(promtool, tmp_path):
    """The series are those of real scrapes, in which a counter may exist only from its first count on."""
    running, counters = ProcessCounters(), Counters()
    series: dict[str, list[str]] = {}
    for minute, watch in enumerate(_first_occurrence()):
        counters.lost_events = counters.oversized = 7 if minute >= 15 else 0
        part = PartitionStatus("watch", "softfail.events", 0, watch, 90, 90, 100, True, False, 0, 0, None)
        worker = SimpleNamespace(
            partitions=lambda part=part: [part],
            counters=counters,
            running=running,
            store=SimpleNamespace(agents={"events": SimpleNamespace(name="watch")}, assigned=True),
        )
        totals = asyncio.run(gather(worker, 0.0))
        for name, values in totals.items():
            for labels, value in values.items() if METRICS[name].kind == "counter" else ():
                pairs = ",".join(
                    f'{key}="{text}"' for key, text in zip(METRICS[name].labels, labels, strict=True)
                )
                series.setdefault(f"{name}{{{pairs}}}", ["_"] * minute).append(f"{value:g}")
    alerts = {
        "ProducerDrops",
        "DeadLetters",
        "RecordsSetAside",
        "ExpiredEvents",
        "LostRecords",
        "OutputsLeftOut",
        "UnrepeatedLabel",
        "EvaluatorErrors",
    }
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": " ".join(values)} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="Softfail{alert}",alertstate="firing"}}) > 0',
                "eval_time": "25m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            }
            for alert in sorted(alerts)
        ],
    }
    path = tmp_path / "cases.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]})
    )
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    on_counters = {
        rule["alert"].removeprefix("Softfail") for rule in ALERTS if "increase(softfail" in rule["expr"]
    }
    assert on_counters - alerts == {"DeadManUnreached"}  # its two results exist from the start
