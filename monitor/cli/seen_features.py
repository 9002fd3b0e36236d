"""The features that were seen: in files of events, or by a running worker. Patterns are compared with them."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from monitor.backtest.event_files import Files
from schemas.event_decoder import InvalidEvent, decode

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 16 << 20


class NotAnswered(ValueError):
    """Raised if a worker does not say what it has seen."""


class Seen(Protocol):
    """What was seen."""

    @property
    def where(self) -> str:
        """Name of the source, for messages."""

    def names(self) -> set[str]:
        """Return ``service/feature`` of the features, or of some of very many."""

    def has(self, pattern: str) -> bool:
        """Return whether a pattern like ``bot/*`` matches one."""

    def environments(self) -> set[str]:
        """Return the environments of ``names``."""

    @property
    def evaluators(self) -> frozenset[str] | None:
        """Names in evaluation events; None: not known."""


class SeenInFiles(NamedTuple):
    """Features of the events in files."""

    where: str
    features: frozenset[tuple[str, str]]
    evaluators: frozenset[str] | None

    @classmethod
    def read(cls, paths: Sequence[str]) -> SeenInFiles:
        """Read files of events; what is no event is skipped.

        Raises:
            UnreadableInput: a file cannot be read.
        """
        features, evaluators = set(), set()
        for record in Files(paths).records():
            with suppress(InvalidEvent):
                event = decode(record.value or b"")
                features.add((f"{event.service}/{event.feature}", str(event.environment)))
                evaluators |= {str(event.evaluator)} if event.kind == "evaluation" else set()
        return cls(", ".join(paths), frozenset(features), frozenset(evaluators))

    def names(self) -> set[str]:
        """As of ``Seen``."""
        return {name for name, _ in self.features}

    def has(self, pattern: str) -> bool:
        """As of ``Seen``."""
        return any(fnmatchcase(name, pattern) for name in self.names())

    def environments(self) -> set[str]:
        """As of ``Seen``."""
        return {environment for _, environment in self.features}


class SeenByWorker:
    """Features that the page of a worker shows: those of the whole deployment.

    Args:
        url: of the page.
        token: ``http.token`` of the worker; empty: it has none.

    Raises:
        NotAnswered: the worker does not answer; the message has the remedy.
    """

    evaluators: frozenset[str] | None = None

    def __init__(self, url: str, token: str) -> None:
        address = urllib.parse.urlsplit(url)  # or the link that the worker prints, with its token
        self._token = urllib.parse.parse_qs(address.query).get("token", [token])[0]
        self.where = address._replace(query="").geturl()
        rows = self._ask("")["features"]
        assert isinstance(rows, list)
        self._features = {(f"{row['service']}/{row['feature']}", str(row["environment"])) for row in rows}

    def names(self) -> set[str]:
        """As of ``Seen``; 200 at most."""
        return {name for name, _ in self._features}

    def has(self, pattern: str) -> bool:
        """As of ``Seen``; of all features, however many."""
        return any(fnmatchcase(name, pattern) for name in self.names()) or bool(
            self._ask(pattern)["features_total"]
        )

    def environments(self) -> set[str]:
        """As of ``Seen``."""
        return {environment for _, environment in self._features}

    def _ask(self, pattern: str) -> Mapping[str, object]:
        query = f"?{urllib.parse.urlencode({'match': pattern})}" if pattern else ""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(f"{self.where.rstrip('/')}/api/status{query}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                status = json.loads(answer.read(MAX_ANSWER_BYTES))  # a longer answer is cut: no JSON
            if not isinstance(status, dict) or "features_total" not in status:
                raise NotAnswered(f"{self.where}: is no worker of softfail; give the address of its page")
            return status
        except urllib.error.HTTPError as error:
            remedy = "; set SOFTFAIL_HTTP__TOKEN to its http.token" if error.code == 401 else ""
            raise NotAnswered(f"{self.where}: answered {error.code}{remedy}") from None
        except (OSError, ValueError, RecursionError) as error:
            if isinstance(error, NotAnswered):
                raise
            why = getattr(error, "reason", None) or error
            raise NotAnswered(f"{self.where}: does not answer ({why}); check the address") from None


def is_address(text: str) -> bool:
    """Return whether an argument is the address of a worker and not a file."""
    return text.startswith(("http://", "https://"))


def any_matches(patterns: Iterable[str], values: Iterable[str]) -> bool:
    """Return whether a pattern with * and ? matches a value."""
    listed = list(values)
    return any(fnmatchcase(value, pattern) for pattern in patterns for value in listed)
