"""Expected verdicts of a response.

Generic verdicts (error, outcome, empty, truncation, content filter, length, latency) are computed from the
fields. Refusals cannot be computed independently without a copy of the product. The texts of the corpus are
few and fixed, so ``TEXTS`` lists the failures of each text, and ``LANGUAGES`` its language. A text that is
not in the table is an error of the bench and has no verdict.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

ANSWERS = (
    "Your order was shipped on Tuesday and arrives on Friday.",
    "The invoice is attached; the total is 42 euros.",
    "Paris is the capital of France.",
    "Open Settings, then Orders, and press Return.",
    "Ja, das Paket ist unterwegs.",
    (
        "The train leaves at nine from platform two, and the journey takes about three hours with one change"
        " in the middle of it."
    ),
)
REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "As an AI language model, I am unable to answer that.",
)
LEAKS = ("Hello {{ customer_name }}, thank you for writing.", "<|im_start|>assistant", "I like it. " * 30)
TEXTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(ANSWERS, frozenset[str]()),
    **dict.fromkeys(REFUSALS, frozenset({"refusal"})),
    **dict.fromkeys(LEAKS, frozenset({"known_failure"})),
}
LANGUAGES: dict[str, str | None] = {
    **dict.fromkeys((*ANSWERS, *REFUSALS), "en"),
    "Ja, das Paket ist unterwegs.": "de",
    # template markers; repetitive text, whose language is uncertain
    **dict(zip(LEAKS, ("en", None, None), strict=True)),
    "": None,
    "Where is my order?": None,  # empty, and too short
}
PROSE = frozenset(TEXTS)  # every nonempty text of the bench
READS_TEXT = frozenset({"refusal", "refusal.partial", "known_failure"})
# fields that are judged instead of the text
SIZES = {"empty": ("output_chars", "output_tokens"), "length": ("output_chars",)}
INFORMS = frozenset({"length", "latency", "refusal.partial"})
DEFAULTS = (
    "error",
    "outcome",
    "empty",
    "refusal",
    "refusal.partial",
    "truncation",
    "content_filter",
    "known_failure",
    "length",
    "latency",
)
CUT, FILTERED, TOOLS = (
    frozenset({"length", "max_tokens"}),
    frozenset({"content_filter", "safety"}),
    frozenset({"tool_calls", "tool_use"}),
)
BUDGETS_S = {"sync": 1.0, "progressive": 5.0, "async": 20.0}
FIRST_TOKEN_S = 0.5


class Judges(NamedTuple):
    """Evaluators of a feature: name -> parameters, the gating ones, dimensions and interaction."""

    evaluators: dict[str, dict[str, Any]]
    gating: frozenset[str]
    dimensions: tuple[str, ...]
    interaction: str | None


def judges_of(settings: dict[str, Any], service: str, feature: str) -> Judges:
    """Return the settings of the first feature that matches, else the defaults."""
    chosen = next(
        (
            setting
            for setting in settings.get("features", ())
            if fnmatchcase(f"{service}/{feature}", setting.get("match", "*"))
        ),
        {},
    )
    named = DEFAULTS if chosen.get("evaluators") is None else chosen["evaluators"]
    evaluators: dict[str, dict[str, Any]] = {}
    for item in named:
        evaluators.update({item: {}} if isinstance(item, str) else item)
    evaluators.setdefault("error", {})
    moved = chosen.get("gating", {})
    gating = frozenset(name for name in evaluators if moved.get(name, name not in INFORMS))
    return Judges(evaluators, gating, tuple(chosen.get("dimensions", ())), chosen.get("interaction"))


def verdicts(event: dict[str, Any], judges: Judges) -> dict[str, bool]:
    """Return evaluator -> whether the response failed it; skipped evaluators are absent."""
    verdicts = {name: _failed(name, event, judges) for name in judges.evaluators}
    return {name: failed for name, failed in verdicts.items() if failed is not None}


def by_text(name: str, event: dict[str, Any]) -> bool:
    """Return whether the verdict needs the text. If so, it is weighted by p·q."""
    return name in READS_TEXT or (
        name in SIZES and "output" in event and not any(size in event for size in SIZES[name])
    )


def format_of(event: dict[str, Any]) -> str:
    """Return the format of an answer; empty without an answer."""
    if event.get("error_type"):
        return ""
    if event["output"]:
        return dict.fromkeys(PROSE, "prose")[event["output"]]
    calls_tools = event.get("tool_calls") or event.get("finish_reason") in TOOLS
    return "" if calls_tools else "empty"


def _failed(name: str, event: dict[str, Any], judges: Judges) -> bool | None:
    error, output, reason = bool(event.get("error_type")), event.get("output"), event.get("finish_reason", "")
    if name == "error":
        return error
    if name == "outcome":
        return None if "outcome" not in event else event["outcome"] != "ok"
    if name == "truncation":
        return None if not reason else reason in CUT
    if name == "content_filter":
        if event.get("guardrail") == "blocked":
            return True
        return (None if "guardrail" not in event else False) if not reason else reason in FILTERED
    if name == "latency":
        return _slow(event, judges)
    if error:
        return None
    if name == "empty":
        return _empty(event)
    if name == "length":
        return _out_of_bounds(event, **judges.evaluators[name])
    return name in TEXTS[output] if output else None


def _empty(event: dict[str, Any]) -> bool | None:
    output, size = event.get("output"), event.get("output_chars")
    if output:
        return not output.strip() and not _tools(event)
    if output is None:
        if size is None:
            if "output_tokens" not in event:
                return None
            size = event["output_tokens"] - event.get("reasoning_tokens", 0)
            size = event["output_tokens"] if size < 0 else size
        if size > 0:
            return False
    return not _tools(event)


def _tools(event: dict[str, Any]) -> bool:
    return bool(event.get("tool_calls")) or event.get("finish_reason", "") in TOOLS


def _out_of_bounds(
    event: dict[str, Any], min_chars: int | None = None, max_chars: int | None = None
) -> bool | None:
    size = event.get("output_chars", len(event["output"]) if "output" in event else None)
    if size is None or (min_chars is None and max_chars is None):
        return None
    return (min_chars is not None and size < min_chars) or (max_chars is not None and size > max_chars)


def _slow(event: dict[str, Any], judges: Judges) -> bool | None:
    waits = event.get("interaction") or judges.interaction
    if waits is None:
        return None
    if waits == "progressive" and event.get("time_to_first_token_s", 0) > FIRST_TOKEN_S:
        return True
    return None if "duration_s" not in event else event["duration_s"] > BUDGETS_S[waits]
