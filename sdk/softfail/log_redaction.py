"""Keep passwords out of debug logs. With mechanism PLAIN the Kafka clients log the bytes that they send."""

from __future__ import annotations

import logging

# Loggers of kafka-python 3, kafka-python 2.2 and aiokafka. A filter applies to its own logger only.
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


class SecretFilter(logging.Filter):
    """Replaces secrets in log records. Passes every record.

    >>> secret_filter = SecretFilter()
    >>> secret_filter.add("it's geheim")
    >>> message = b"bot\\0it's geheim"
    >>> record = logging.LogRecord("kafka.conn", logging.DEBUG, "", 0, "auth_bytes=%s", (message,), None)
    >>> secret_filter.filter(record), record.getMessage()
    (True, 'auth_bytes=b"bot\\\\x00**********"')
    """

    def __init__(self) -> None:
        super().__init__()
        self._forms: frozenset[str] = frozenset()

    def add(self, secret: str) -> None:
        """Replace a secret from now on: as text, as ``repr`` shows the text and its bytes, and as hex."""
        encoded = secret.encode()
        # repr escapes a single quote if the bytes also contain a double quote
        escaped = repr(encoded + b'"')[2:-1].removesuffix('"')
        self._forms |= {secret, repr(secret)[1:-1], repr(encoded)[2:-1], escaped, encoded.hex()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the secrets in a record. Always return True."""
        if self._forms:
            text = record.getMessage()
            if any(form in text for form in self._forms):
                for form in sorted(self._forms, key=len, reverse=True):
                    text = text.replace(form, HIDDEN)
                record.msg, record.args = text, ()
        return True


_secret_filter = SecretFilter()


def hide_in_logs(secret: str) -> None:
    """Hide a password in the logs of this process's Kafka clients."""
    _secret_filter.add(secret)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_secret_filter)  # adding it twice has no effect
