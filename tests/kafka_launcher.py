"""One Apache Kafka (KRaft, broker and controller in one process) on loopback, from jars that Maven downloads
into ``.cache/``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

VERSION = "4.1.0"
CACHE = Path(__file__).parents[1] / ".cache" / f"kafka-{VERSION}"
POM = f"""<project><modelVersion>4.0.0</modelVersion>
<groupId>softfail</groupId><artifactId>kafka-launch</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
</dependencies></project>
"""
HEAP = "-Xmx768m"


def missing() -> str | None:
    """Return what this machine lacks to run Kafka, or None."""
    needed = ["java"] if _is_cached() else ["java", "mvn"]
    lacking = [name for name in needed if shutil.which(name) is None]
    return f"needs {' and '.join(lacking)} (Debian: default-jre-headless, maven)" if lacking else None


def jars() -> Path:
    """Return the directory with the broker's jars, filled by Maven at the first call."""
    if not _is_cached():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "pom.xml").write_text(POM)
        copy = [
            "mvn",
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DoutputDirectory=lib",
            "-DincludeScope=runtime",
        ]
        subprocess.run(copy, cwd=CACHE, check=True, timeout=600)
    return CACHE / "lib"


def _is_cached() -> bool:
    return (CACHE / "lib" / f"kafka_2.13-{VERSION}.jar").exists()


def free_port() -> int:
    """Return a free TCP port below those that the system gives to outgoing connections, so that no connection
    takes it while a server is down.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_768)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Kafka:
    """A broker with an empty log. ``start`` and ``stop`` keep its data; leaving the context deletes it.

    Args:
        also: security protocols (SSL, SASL_PLAINTEXT, SASL_SSL) that get a port of their own beside the plain
            one; ``addresses`` names them.
        storage: more arguments of ``kafka-storage format``, like those that add users.
        overrides: broker settings.
    """

    def __init__(self, *, also: Sequence[str] = (), storage: Sequence[str] = (), **overrides: object) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="softfail-kafka-"))
        self.port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.addresses = {
            "PLAINTEXT": self.address,
            **{protocol: f"127.0.0.1:{free_port()}" for protocol in also},
        }
        listeners = ",".join(f"{protocol}://{address}" for protocol, address in self.addresses.items())
        settings: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{protocol}:{protocol}" for protocol in self.addresses)]
            ),
            "log.dirs": self.dir / "data",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,  # 6 s by default
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.num.partitions": 8,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            **overrides,
        }
        self._settings = self.dir / "server.properties"
        self._settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        # one that begins so would be read as an option
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        if self._java(
            "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._settings), *storage
        ).wait(120):
            raise RuntimeError(f"the storage cannot be formatted:\n{self.log()}")
        self.start()

    def _java(self, main: str, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self.dir / "log", "ab") as out:
            return subprocess.Popen(
                ["java", HEAP, "-cp", f"{jars()}{os.sep}*", main, *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        """Return the end of the broker's log."""
        return (self.dir / "log").read_text(errors="replace")[-3000:]

    def start(self) -> None:
        """Start the broker; return when it accepts connections.

        One that ends at once is started again: while it was down its port may have been somebody's outgoing
        connection for a moment.

        Raises:
            RuntimeError: it does not within two minutes.
        """
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            self.process = self._java("kafka.Kafka", str(self._settings))
            while self.process.poll() is None and time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                        time.sleep(0.5)
                        if self.process.poll() is None:  # or it was not ours that answered
                            return
                time.sleep(0.1)
            time.sleep(1)
        raise RuntimeError(f"Kafka did not start (exit code {self.process.poll()}):\n{self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the broker with a signal and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)

    def __enter__(self) -> Kafka:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the broker ends with us
    with Kafka() as kafka:
        print(kafka.address, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            kafka.process.wait()
