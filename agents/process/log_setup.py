"""Log lines on standard output, with a rate limit: without a broker the clients write thousands a second."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from softfail.sanitize import sanitize

OURS = "softfail"
MOST_KINDS = 1000


class RateLimit(logging.Filter):
    """Passes one line of each kind (logger, level, template) per ``period_s``; the next one says how many
    were left out.

    Lines of softfail itself (logger ``softfail`` and below) always pass.

    >>> limit = RateLimit(clock=lambda: 100.0)
    >>> line = logging.LogRecord("aiokafka", logging.ERROR, "", 0, "no broker", (), None)
    >>> limit.filter(line), limit.filter(line)
    (True, False)
    """

    def __init__(self, period_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._period_s, self._clock = period_s, clock
        self._last: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if record.name == OURS or record.name.startswith(OURS + "."):
            return True
        kind, now = (record.name, record.levelno, str(record.msg)), self._clock()
        since, suppressed = self._last.get(kind, (-self._period_s, 0))
        if now - since < self._period_s:
            self._last[kind] = since, suppressed + 1
            return False
        if suppressed:
            record.msg, record.args = f"{record.getMessage()} [and {suppressed} more like it]", ()
        if len(self._last) >= MOST_KINDS:  # templates with values formatted in: forget rather than grow
            self._last.clear()
        self._last[kind] = now, 0
        return True


class SafeFormatter(logging.Formatter):
    """Formats a record as sanitized text: error messages quote records of others. A traceback keeps its
    lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line or lines of a record."""
        return sanitize(super().format(record), lines=True)


def configure(level: int = logging.INFO) -> None:
    """Send everything to standard output through the limit: our own lines from ``level``, the libraries'
    warnings.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(RateLimit())
    handler.setFormatter(
        SafeFormatter("%(asctime)s.%(msecs)03d %(levelname).1s %(name)s %(message)s", "%H:%M:%S")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level)
