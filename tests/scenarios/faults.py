"""Faults of the scenario bench: what a feature's calls look like while each lasts, and how it should be told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Call = dict[str, Any]

ANSWERS = (
    "Your lamp left our warehouse yesterday and should reach Lyon within three days.",
    "That is covered by the guarantee: open Orders, choose the number and press Report a fault.",
    "Yes, until the parcel leaves the depot; go to Orders, then Delivery, and enter the address.",
    "Print the label under Orders, put it into any box and hand it in at a parcel shop.",
)
GERMAN = (
    "Ihre Lampe hat unser Lager gestern verlassen und sollte Lyon in drei Tagen erreichen.",
    "Das ist von der Garantie gedeckt: Bitte öffnen Sie Ihre Bestellungen und melden Sie den Schaden.",
    "Ja, solange das Paket das Lager nicht verlassen hat; ändern Sie die Adresse unter Lieferung.",
)
REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I apologize, but I'm unable to assist with this.",
    "As an AI language model, I cannot provide an answer to that question.",
)


@dataclass(frozen=True)
class Fault:
    """A fault of one feature.

    ``change``: makes a call one of the fault. ``words``: a regular expression that its text matches. ``pages``:
    whether it rings; else it is a ticket. ``within``: minutes from its beginning to the ring.
    """

    name: str
    change: Callable[[Call, random.Random], Call | None]
    words: str
    pages: bool = True
    within: float = 4.0


def _sometimes(share: float, **fields: Any) -> Callable[[Call, random.Random], Call]:
    return lambda call, draw: call | fields if draw.random() < share else call


def _failed(share: float, error: str) -> Callable[[Call, random.Random], Call]:
    return _sometimes(share, error_type=error, output=None, output_tokens=None)


def _refused(share: float) -> Callable[[Call, random.Random], Call]:
    return lambda call, draw: call | {"output": draw.choice(REFUSALS)} if draw.random() < share else call


def _bad_prompt(call: Call, draw: random.Random) -> Call:
    return _refused(0.7)(call | {"prompt_version": "v2"}, draw)


def _german(call: Call, draw: random.Random) -> Call:
    return call | {"output": draw.choice(GERMAN)}


def _longer(call: Call, draw: random.Random) -> Call:
    return call | {"output_tokens": call["output_tokens"] * 6}


def _slower(call: Call, draw: random.Random) -> Call:
    return call | {"duration_s": call["duration_s"] + 2.5}


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("errors", _failed(0.3, "http_500"), r"calls failed"),
        Fault("timeouts", _failed(1.0, "timeout"), r"calls failed"),
        Fault("few_percent", _failed(0.03, "http_500"), r"calls fail", within=12),
        Fault("few_errors", _failed(0.12, "http_500"), r"calls failed", within=12),
        Fault("refusals", _refused(0.45), r"answers refused"),
        Fault("all_refused", _refused(1.0), r"answers refused"),
        Fault("bad_prompt", _bad_prompt, r"answers refused"),
        Fault("empty", _sometimes(1.0, output="", output_tokens=0), r"answers (were|are) empty"),
        Fault("half_empty", _sometimes(0.5, output="", output_tokens=0), r"answers (were|are) empty"),
        Fault("broken_json", _sometimes(0.6, output='{"answer": "Your lamp'), r"not valid JSON"),
        Fault("truncated", _sometimes(0.5, finish_reason="length"), r"cut short"),
        Fault("filtered", _sometimes(0.5, finish_reason="content_filter"), r"filter"),
        Fault("silent", lambda call, draw: None, r"no events", within=7),
        Fault("slow", _slower, r"duration|budget", pages=False, within=7),
        Fault("longer", _longer, r"output length is [\d.,]+ tokens", pages=False, within=7),
        Fault("german", _german, r"German|language", pages=False, within=8),
        Fault(
            "other_model",
            _sometimes(1.0, response_model="gpt-4-0613"),
            r"gpt-4-0613",
            pages=False,
            within=6,
        ),
    )
}
JSON_FEATURE = "extract"


def healthy(feature: str, second: float, draw: random.Random) -> Call:
    """Return a healthy call of a feature."""
    service, _, name = feature.partition("/")
    answer: str = draw.choice(ANSWERS)
    if name == JSON_FEATURE:
        answer = json.dumps({"answer": answer})
    return {
        "service": service,
        "feature": name,
        "provider": "other" if service == "crm" else "acme",
        "model": "gpt-4o",
        "prompt_version": "v1",
        "response_model": "gpt-4o",
        "output": answer,
        "output_tokens": len(answer) // 4,
        "input_tokens": draw.randrange(80, 120),
        "duration_s": round(draw.lognormvariate(-0.2, 0.35), 3),
        "finish_reason": "stop",
    }
