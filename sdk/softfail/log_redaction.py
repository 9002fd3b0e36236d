"""Keeps a password out of debug logs: with mechanism PLAIN the Kafka clients log, at DEBUG, the very bytes
that they send.
"""

from __future__ import annotations

import logging

# kafka-python 3, kafka-python 2.2, aiokafka. A filter holds for its logger alone, so each is named.
LOGGERS = (
    "kafka.protocol.parser",
    "kafka.net.connection",
    "kafka.net.transport",
    "kafka.net.manager",
    "kafka.conn",
    "kafka.client_async",
    "kafka.sasl.plain",
    "kafka.net.sasl.plain",
    "aiokafka.conn",
    "aiokafka.client",
)
HIDDEN = "**********"


class Veil(logging.Filter):
    """Rewrites lines that hold one of the passwords that it was told; lets every line pass.

    >>> veil = Veil()
    >>> veil.hide("it's geheim")
    >>> line = logging.LogRecord("kafka.conn", logging.DEBUG, "", 0, "auth_bytes=%s", (b"bot\\0it's geheim",), None)
    >>> veil.filter(line), line.getMessage()
    (True, 'auth_bytes=b"bot\\\\x00**********"')
    """

    def __init__(self) -> None:
        super().__init__()
        self._forms: frozenset[str] = frozenset()

    def hide(self, secret: str) -> None:
        """Hide this text from now on, as it stands and as Python shows its bytes."""
        # with a double quote in it, a single one is escaped
        shown = repr(secret.encode() + b'"')[2:-1].removesuffix('"')
        self._forms |= {secret, repr(secret)[1:-1], repr(secret.encode())[2:-1], shown, secret.encode().hex()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if self._forms:
            text = record.getMessage()
            if any(form in text for form in self._forms):
                for form in sorted(self._forms, key=len, reverse=True):
                    text = text.replace(form, HIDDEN)
                record.msg, record.args = text, ()
        return True


_veil = Veil()


def hide(secret: str) -> None:
    """Hide a password in what the Kafka clients of this process log."""
    _veil.hide(secret)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_veil)  # adding it again does nothing
