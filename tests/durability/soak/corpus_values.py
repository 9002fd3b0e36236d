"""Events of the corpus: healthy and failing features, invalid events, and the configuration that measures
them.
"""

from __future__ import annotations

import json
import random
from datetime import timedelta, timezone
from typing import Any

from tests.durability.soak.oracle_verdicts import ANSWERS, LEAKS, REFUSALS

BERLIN = timezone(timedelta(hours=1))
ERRORS, REFUSED = 0.02, 0.02  # share of calls and share of answers with text in healthy traffic
AT_FAULT = 0.85  # share of calls or answers during a fault
# model -> probability that a call without error is sent
CHANCES = {"large": 1.0, "small": 0.5, "tiny": 0.1, "spare": 0.01}
MODELS = {  # service or feature -> models, and their relative frequencies
    "shop": (("large", "small"), (4, 1)),
    "bot": (("large", "small", "tiny"), (8, 1, 1)),
    "desk": (("small", "tiny"), (9, 1)),
    "bot/f8": (tuple(CHANCES), (1, 1, 1, 1)),
    "bot/f9": (tuple(CHANCES), (1, 1, 1, 1)),
}
TEXTS = {"shop": (1.0,), "bot": (1.0, 0.5, 0.2), "desk": (0.5,), "bot/f8": (1.0, 0.9, 0.7, 0.5, 0.3, 0.2)}
"""Service or feature -> probabilities that the text came along; of the last, more than eight classes of weight meet in a pane."""


def settings(pane_s: int, lateness_s: int) -> dict[str, Any]:
    """Return the softfail configuration without kafka, http and channels.

    ``page_old_events`` is set because event time is months before the clock.
    """
    return {
        "time": {"pane": f"{pane_s}s", "lateness": f"{lateness_s}s"},
        "default_rules": False,
        "no_data": {"severity": None},
        "page_old_events": True,
        "features": [
            {"match": "shop/*", "dimensions": ["region"], "interaction": "sync"},
            {
                "match": "bot/f9",
                "evaluators": ["outcome", "empty", "refusal", {"length": {"min_chars": 5, "max_chars": 100}}],
                "gating": {"length": True},
            },
        ],
        "rules": [
            {
                "name": "errors",
                "on": "error_rate",
                "above": 0.2,
                "clear": 0.1,
                "level": "feature",
                "window": "60s",
                "for": "20s",
                "keep_firing_for": "60s",
                "min_events": 30,
                "severity": "critical",
            },
            {
                "name": "refusals",
                "on": "evaluator.refusal.fail_rate",
                "above": 0.3,
                "clear": 0.2,
                "level": "segment",
                "window": "2m",
                "for": "10s",
                "keep_firing_for": "60s",
                "min_events": 20,
                "severity": "error",
            },
            {
                "name": "passes",
                "on": "pass_rate",
                "below": 0.4,
                "level": "both",
                "clear": 0.6,
                "window": "2m",
                "keep_firing_for": "60s",
                "min_events": 30,
                "severity": "warning",
                "environments": ["production"],
            },
        ],
    }


def event(rng: random.Random, source: str, fault: str, name: str) -> tuple[dict[str, Any], str]:
    """Make an event of ``service/feature`` without its time; return it and its kind.

    ``fault``: the current failure of the feature.
    """
    service, feature = source.split("/")
    segment = {"service": service, "feature": feature, **_segment(rng, source, fault)}
    kind = rng.choices(("response", "feedback", "evaluation", "meter"), (90, 4, 5, 1))[0]
    if kind == "response":
        return {"event_id": f"r{name}", **segment, **_response(rng, segment, fault)}, kind
    if kind == "meter":
        started = {"producer_id": f"{service}-1", "started_at": "2026-03-02T00:00:00Z"}
        count = int(name, 16)
        return {
            "kind": kind,
            "service": service,
            "feature": feature,
            **started,
            "seen": count,
            "sampled": count,
            "sent": count,
            "dropped": 0,
        }, kind
    labels = segment if rng.random() < 0.7 else {"service": service, "feature": feature}
    common = {
        "kind": kind,
        "event_id": f"{kind[0]}{name}",
        "response_id": f"r{name}",
        **labels,
        "sample_probability": rng.choice((1, 0.5, 0.1)),
    }
    if kind == "feedback":
        answers = {
            "accepted": rng.random() < 0.8,
            "regenerated": rng.random() < 0.1,
            "edit_distance": round(rng.random(), 3),
            "rating": rng.randint(-2, 5),
            "task_s": round(rng.expovariate(0.1), 3),
        }
        return {
            **common,
            **{field: item for field, item in answers.items() if rng.random() < 0.5},
            "outcome": None,
        }, kind
    return {
        **common,
        "evaluator": rng.choice(("judge", "judge v2")),
        "passed": rng.random() < 0.9,
        "score": round(rng.uniform(-1, 1), 4),
    }, kind


def _segment(rng: random.Random, source: str, fault: str) -> dict[str, Any]:
    number = sum(source.encode())
    models, often = MODELS.get(source) or MODELS[source.split("/")[0]]
    labels: dict[str, Any] = {
        "model": rng.choices(models, often)[0],
        "prompt_version": "2" if number % 2 and rng.random() < 0.2 else "1",
    }
    if source.startswith("shop/"):
        labels["dimensions"] = {"region": rng.choices(("eu", "us", "zürich"), (8, 1, 1))[0], "tier": "gold"}
    if fault == "rollback" and rng.random() < 0.9:
        labels["variant"] = "canary"
    if source == "shop/f4" and rng.random() < 0.3:
        labels["environment"] = "staging"
    return labels


def _response(rng: random.Random, segment: dict[str, Any], fault: str) -> dict[str, Any]:
    service, p = segment["service"], CHANCES[segment["model"]]
    ill = segment.get("environment", "production") == "production"
    share = AT_FAULT if fault == "errors" and ill else ERRORS
    fields: dict[str, Any] = {
        "duration_s": round(rng.lognormvariate(-0.5, 0.8), 4),
        "input_tokens": rng.randint(5, 3000),
        "trace_id": "ab" * 16,
    }
    if service != "desk":
        fields |= {
            "time_to_first_token_s": round(rng.expovariate(4), 5),
            "cost_usd": round(rng.random() / 100, 7),
        }
    if service == "bot":
        fields |= {
            "interaction": rng.choice(("sync", "progressive", "async")),
            "stages_s": {"retrieve docs": 0.25, "rank": round(rng.random(), 3)},
        }
    if rng.random() < share / (share + (1 - share) * p):  # errors are always sampled
        return {**fields, "error_type": rng.choice(("timeout", "rate_limit")), "sample_probability": 1}
    # a canary is sampled completely
    q = (
        rng.choice(TEXTS.get(f"{service}/{segment['feature']}") or TEXTS[service])
        if "variant" not in segment
        else 1.0
    )
    refuses = AT_FAULT if (fault == "refusals" and ill) or "variant" in segment else REFUSED
    output, finish = rng.choice(REFUSALS if rng.random() < refuses else ANSWERS), "stop"
    odd = rng.random()
    if odd < 0.01:
        output, finish = "", rng.choice(("stop", "tool_calls"))
    elif odd < 0.02:
        output = rng.choice(LEAKS)
    elif odd < 0.04:
        finish = rng.choice(("length", "content_filter", ""))
    fields |= {
        "sample_probability": p,
        "content_probability": q,
        "finish_reason": finish,
        "output_tokens": len(output) // 4 + bool(output),
    }
    if rng.random() < 0.3:
        fields["outcome"] = rng.choices(("ok", "parse_error"), (97, 3))[0]
    if rng.random() < 0.1:
        fields["guardrail"] = rng.choices(("none", "flagged", "blocked"), (90, 8, 2))[0]
    if rng.random() < 0.5:
        fields["output_chars"] = len(output)
    if rng.random() < q:
        fields |= {"input": "Where is my order?", "output": output}
    return fields


def poison(rng: random.Random, value: bytes) -> tuple[str, bytes | None]:
    """Corrupt an event like a defective producer; return the kind of corruption and the bytes."""
    document: dict[str, Any] = json.loads(value)
    name = rng.choice(
        (
            "bytes",
            "truncated",
            "array",
            "type",
            "missing",
            "future",
            "empty",
            "kind",
            "bound",
            "time",
            "blank",
        )
    )
    if name == "bytes":
        return name, b"\xff" + rng.randbytes(rng.randrange(1, 300))
    if name == "truncated":
        return name, value[: rng.randrange(1, len(value) - 1)]
    if name == "empty":
        return name, None
    if name in ("array", "blank"):
        return name, b"[" + value + b"]" if name == "array" else b""
    if name == "missing":
        del document[rng.choice(("service", "feature", "time"))]
    document |= {
        "type": {"sample_probability": "1"},
        "future": {"time": "2099-01-01T00:00:00Z"},
        "kind": {"kind": "trace"},
        "bound": {"sample_probability": 1.5},
        "time": {"time": "2026-03-02 09:00"},
    }.get(name, {})
    return name, json.dumps(document).encode()
