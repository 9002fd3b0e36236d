"""Broker and worker of the demo: a mock cluster in this process, and a worker in its own process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import aiohttp

import agents

PREFIX = "softfail"
START_S = 60.0
STOP_S = 10.0
_SAMPLE = re.compile(r"^(softfail_\w+)\{([^}]*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class EmbeddedBroker:
    """The mock cluster of librdkafka; ``address`` serves any Kafka client on this machine."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"


def configuration(brokers: str, port: int, pagerduty_url: str) -> dict[str, Any]:
    """Return the configuration of the demo: seconds instead of minutes."""
    return {
        "time": {"pane": "2s", "lateness": "1s"},
        "kafka": {"brokers": brokers, "prefix": PREFIX, "embedded": True, "checkpoint": "1s"},
        "http": {"host": "127.0.0.1", "port": port, "token": "none"},
        "rules": [
            {
                "name": "refusals",
                "on": "evaluator.refusal.fail_rate",
                "above": 0.1,
                "clear": 0.05,
                "window": "6s",
                "keep_firing_for": "4s",
                "level": "feature",
                "severity": "critical",
            },
            # Its `for` lets the refusals open the episode, so that the page shows the more severe rule.
            {
                "name": "slow",
                "on": "duration_s.p90",
                "above": 3.0,
                "window": "6s",
                "for": "4s",
                "keep_firing_for": "4s",
                "level": "feature",
                "severity": "error",
            },
        ],
        "channels": {
            "pagerduty": {"routing_key": "${PAGERDUTY_ROUTING_KEY}", "url": pagerduty_url, "timeout": "5s"}
        },
        "links": {"status": f"http://127.0.0.1:{port}/"},
    }


def environment(routing_key: str) -> dict[str, str]:
    """Return the environment of the worker: without settings of other workers and without a proxy for local
    addresses.
    """
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("SOFTFAIL_")}
    local = "127.0.0.1,localhost"
    return kept | {
        "PAGERDUTY_ROUTING_KEY": routing_key,
        "NO_PROXY": local,
        "no_proxy": local,
        "PYTHONUNBUFFERED": "1",
    }


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class WorkerProcess:
    """``python -m agents worker`` as a subprocess, with its log in ``folder``."""

    def __init__(self, folder: Path, config: dict[str, Any], routing_key: str) -> None:
        self._folder, self._config, self._key = folder, config, routing_key
        self.url = f"http://127.0.0.1:{config['http']['port']}/"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return when it is ready.

        Raises:
            RuntimeError: it ended, or was not ready within a minute; holds the end of its log.
        """
        file, log = self._folder / "softfail.yaml", self._folder / "worker.log"
        file.write_text(json.dumps(self._config, indent=1))  # JSON is YAML
        with log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "agents",
                "worker",
                "--config",
                str(file),
                cwd=Path(agents.__file__).parents[1],
                env=environment(self._key),
                # the demo handles Ctrl-C and stops the worker
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_S):
                while await self._get("readyz") is None:
                    if self._process.returncode is not None:
                        raise RuntimeError(f"the worker ended with {self._process.returncode}:\n{self.log()}")
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise RuntimeError(f"the worker was not ready within {START_S:g} s:\n{self.log()}") from None

    async def stop(self) -> None:
        """Stop the worker; kill it if it does not stop."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def ended(self) -> bool:
        """Whether the worker has ended by itself."""
        return self._process is not None and self._process.returncode is not None

    def log(self, lines: int = 25) -> str:
        """Return the last lines of the log."""
        file = self._folder / "worker.log"
        return "\n".join(file.read_text("utf-8", "replace").splitlines()[-lines:]) if file.exists() else ""

    async def pass_rates(self) -> dict[str, float]:
        """Return the pass rate by service/feature, from /metrics."""
        return pass_rates(await self._get("metrics") or "")

    async def _get(self, path: str) -> str | None:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
                session.get(self.url + path) as answer,
            ):
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def pass_rates(metrics: str) -> dict[str, float]:
    """Parse the pass rate by service/feature from the text of /metrics.

    >>> pass_rates('softfail_pass_rate{level="feature",service="s",feature="f"} 0.97')
    {'s/f': 0.97}
    """
    rates = {}
    for line in metrics.splitlines():
        if (match := _SAMPLE.match(line)) and match[1] == "softfail_pass_rate":
            labels = dict(_LABEL.findall(match[2]))
            if labels.get("level") == "feature":
                rates[f"{labels['service']}/{labels['feature']}"] = float(match[3])
    return rates
