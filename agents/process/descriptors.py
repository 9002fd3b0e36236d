"""The limit of open files: sockets of Kafka and HTTP are files, too."""

from __future__ import annotations

import logging
import resource

WANTED = 65_536

log = logging.getLogger("softfail.process")


def raise_limit() -> int:
    """Raise the soft limit of open files as far as the hard limit allows, 65,536 at most; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return WANTED if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of %d open files cannot be raised: %s", soft, error)
        return soft
    return wanted
