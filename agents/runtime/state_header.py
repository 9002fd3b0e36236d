"""The header record of state: whose state it is, and the newest format version among its records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents.process import exits
from monitor.delivery import outbox
from monitor.judging import ledger
from monitor.windows import format_versions

LAYOUTS = {"watch": format_versions.LAYOUT, "notify": outbox.LAYOUT, "judge": ledger.LAYOUT}
"""Agent to the newest format version among its state records. An older worker refuses the partition."""


FACTS = {
    "topic_id": "the id of {source}: was the topic deleted and created again?",
    "pane_s": "time.pane in seconds: all workers of a prefix need the same",
}
"""Fields that headers of earlier releases lack, with what they mean. A worker adds those that it knows."""


GROUP_FACTS = ("pane_s",)
"""Those of ``FACTS`` that all partitions of a prefix have in common."""


def expected_header(
    agent: str, cluster: str, source: str, partitions: int, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the header that state of this deployment has.

    Args:
        source: name of the source topic.
        partitions: how many the source has.
        facts: those of ``FACTS`` that are known.
    """
    return {
        **(facts or {}),
        "layout": LAYOUTS.get(agent, 1),
        "agent": agent,
        "cluster": cluster,
        "source": source,
        "partitions": partitions,
    }


def read_header(value: bytes, expected: Mapping[str, Any], where: str, remedy: str) -> dict[str, Any]:
    """Decode a header and compare it with the expected one.

    Args:
        where: topic and partition of the state, for messages.
        remedy: what to do about state that cannot be used, for messages.

    Raises:
        Misconfigured: it cannot be read, belongs to another deployment, or is of a newer release.
    """
    try:
        header: dict[str, Any] = json.loads(value)
        layout = int(header["layout"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise exits.Misconfigured(f"{where}: the header cannot be read ({error}); {remedy}") from error
    if layout > expected["layout"]:
        raise exits.Misconfigured(
            f"{where} was written by a newer softfail (layout {layout}, this one knows"
            f" {expected['layout']}); upgrade this worker"
        )
    if layout < 1:
        raise exits.Misconfigured(f"{where}: no softfail has written layout {layout}; {remedy}")
    for name, ours in expected.items():
        if name == "layout" or header.get(name) == ours or (name in FACTS and name not in header):
            continue
        meaning = f" ({FACTS[name].format(source=expected['source'])})" if name in FACTS else ""
        raise exits.Misconfigured(
            f"{where}: its {name} is {header.get(name)!r}, here it is {ours!r}{meaning}; {remedy}"
        )
    return {**header, "layout": layout}


def compare_with_lead(value: bytes, facts: Mapping[str, Any], lead: str, where: str) -> None:
    """Compare the facts of a partition that has no state yet with the header of the leading partition.

    Args:
        lead, where: topic and partition of both, for messages.

    Raises:
        Misconfigured: they differ, or the header cannot be read.
    """
    try:
        header: dict[str, Any] = dict(json.loads(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise exits.Misconfigured(f"{lead}: the header cannot be read ({error})") from error
    for name in GROUP_FACTS:
        if name in facts and name in header and facts[name] != header[name]:
            raise exits.Misconfigured(
                f"{where}: the workers of this prefix do not agree: {name} is {header[name]!r} for the others"
                f" (header of {lead}), here it is {facts[name]!r} ({FACTS[name]}); give this worker the same"
                " configuration, or another kafka.prefix"
            )
