"""The reference of softfail.yaml, ``docs/configuration.md``, from the models."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from schemas.config.monitor_config import Config
from schemas.generate.docstrings import as_markdown
from schemas.generate.markdown import generated_by, table

EXAMPLES: dict[str, str] = {
    "": """\
features:
  - match: support-bot/*
    interaction: sync
channels:
  pagerduty: {routing_key: "${PAGERDUTY_ROUTING_KEY}"}
""",
    "time": "time: {pane: 60s, lateness: 30s}\n",
    "kafka": """\
kafka:
  brokers: kafka-1:9093,kafka-2:9093
  prefix: softfail
  security: {username: softfail, password: "${KAFKA_PASSWORD}"}
""",
    "http": 'http: {host: 0.0.0.0, port: 6066, token: "${SOFTFAIL_HTTP_TOKEN}"}\n',
    "features": """\
features:
  - match: support-bot/summary        # the first match wins: specific entries first
    interaction: async
    dimensions: [region]
    evaluators: [refusal, empty, {length: {min_chars: 40}}, {latency: {async_s: 30}}]
    gating: {length: true}
  - match: support-bot/*
    interaction: sync
""",
    "rules": """\
features:
  - {match: "*", interaction: sync}      # `above: budget` needs to know who waits
rules:
  - {name: refusals, on: evaluator.refusal.fail_rate, above: 0.10, clear: 0.05, window: 10m, severity: error}
  - {name: slow, on: duration_s.p90, above: budget, window: 10m, severity: warning}
  - {name: judged, on: evaluator.judge.fail_rate, above: baseline, severity: error}
""",
    "drift": """\
drift:
  - {name: shifted, on: [output_tokens, finish_reason, output_text], reference: trailing 24h, severity: warning}
""",
    "pinned": """\
pinned:
  march: {file: pins/march.json}      # written by: python -m monitor baseline pin march ...
drift:
  - {name: since-march, reference: pinned march}
""",
    "objectives": "objectives:\n  - {name: good-answers, on: pass_rate, target: 0.97, period: 30d}\n",
    "no_data": "no_data: {window: 10m, min_expected: 50, severity: error}\n",
    "health": 'health: {lag: 10m, dead_mans_url: "${SOFTFAIL_DEAD_MANS_URL}"}\n',
    "channels": """\
channels:
  pagerduty: {routing_key: "${PAGERDUTY_ROUTING_KEY}"}
  alertmanager: {url: "http://alertmanager:9093"}
  slack: {webhook_url: "${SLACK_WEBHOOK_URL}"}
  webhook: {url: "https://alerts.example/softfail", secret: "${SOFTFAIL_WEBHOOK_SECRET}"}
  console: {}
""",
    "routes": """\
channels:
  pagerduty: {routing_key: "${PAGERDUTY_ROUTING_KEY}"}
  console: {}
routes:
  - {severity: [critical, error], to: [pagerduty]}
  - {to: [console]}
""",
    "silences": """\
silences:
  - {match: support-bot/*, days: [sun], at: "02:00", for: 2h, timezone: Europe/Berlin, reason: weekly reindex}
""",
    "judges": """\
judges:
  - name: grounded
    match: [support-bot/*]
    rubric:
      prompt: |
        Is each claim of the answer supported by the context?
        Question: {{input}}
        Context: {{context}}
        Answer: {{output}}
      choice_scores: {"supported": 1, "partly": 0.5, "unsupported": 0}
      passes_from: 0.5
    endpoint: {kind: openai, url: "http://localhost:8000/v1", api_key_variable: JUDGE_KEY}
    model: judge-7b-2026-05-01
    budget: 20
    prices: {input: 0.25, output: 2.0}
rules:
  - {name: grounded, on: evaluator.grounded.fail_rate, above: baseline, severity: error}
""",
    "gates": """\
gates:
  - name: answer-prompt
    feature: support-bot/answer
    by: prompt_version
    metrics:
      - {metric: pass_rate, margin: 0.01}
      - {metric: error_rate}
      - {metric: duration_s.p90, margin_share: 0.2, critical: false}
    least_time: 1h
    least_events: 1000
""",
    "links": "links: {dashboard: "
    '"https://grafana.example/d/softfail?var-feature={feature}&from={from_ms}&to={to_ms}"}\n',
}
"""Section -> an example that a test loads."""

_HEAD = f"""\
# Configuration

{generated_by("python -m schemas.generate", "schemas/config/")}

softfail reads one file, `softfail.yaml`, once, when it starts. Every key has a default: an empty file monitors every
feature that appears, by the default rules, and prints episodes on the console. `python -m monitor check softfail.yaml`
prints each fault with its path and its remedy.

- A duration is a number of seconds, or a number with a unit: `90s`, `5m`, `1h`, `3d`, `2w`.
- `${{NAME}}` is replaced by an environment variable. Secrets can be written in no other way.
- An environment variable overrides any key: `SOFTFAIL_KAFKA__BROKERS=kafka:9092` sets `kafka.brokers`. Parts are joined
  by two underscores, list items are numbers, values are YAML.
- **Order matters in two lists.** Of `features`, only the *first* entry that matches a feature applies to it; of `routes`,
  only the first that matches an episode. Put specific entries first.

```yaml
{EXAMPLES[""]}```
"""


def configuration_page() -> str:
    """Make the whole page, Markdown."""
    lines = [_HEAD, "## All sections\n"]
    rows = [
        (f"[`{key}`](#{key})" if _parts(field.annotation) else f"`{key}`", *_cells(field))
        for key, field in _fields(Config)
    ]
    lines += table(["key", "type", "default", "meaning"], rows)
    for key, field in _fields(Config):
        for part in _parts(field.annotation):
            lines += ["", *_section(key, part, len(key.split(".")) + 1)]
    return "\n".join(lines) + "\n"


def _section(path: str, model: type[BaseModel], level: int) -> list[str]:
    lines = [f"{'#' * level} {path}\n", _summary(model), ""]
    if path in EXAMPLES:
        lines += ["```yaml", EXAMPLES[path].rstrip(), "```", ""]
    lines += table(["key", "type", "default", "meaning"], field_rows(model))
    for key, field in _fields(model):
        for part in _parts(field.annotation):
            lines += ["", *_section(f"{path}.{key}", part, level + 1)]
    return lines


def field_rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """Make the cells of a table of the keys of a model: key, type, default, meaning."""
    return [(f"`{key}`", *_cells(field)) for key, field in _fields(model)]


def _summary(model: type[BaseModel]) -> str:
    text = as_markdown(model.__doc__ or "")
    return text.split("\n\n>>>")[0].split("\n\nSource:")[0]


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """List the keys that a user may write."""
    return [(field.alias or name, field) for name, field in model.model_fields.items() if not field.exclude]


def _parts(annotation: Any) -> list[type[BaseModel]]:
    """List the models inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def _cells(field: FieldInfo) -> tuple[str, str, str]:
    return _type_text(field), _default_text(field), field.description or ""


def _type_text(field: FieldInfo) -> str:
    bounds = {"Ge": "≥", "Gt": ">", "Le": "≤", "Lt": "<"}
    limits = [
        f"{bounds[kind]} {getattr(limit, kind.lower()):,g}"
        for limit in field.metadata
        if (kind := type(limit).__name__) in bounds
    ]
    duration = any(type(part).__name__ == "BeforeValidator" for part in field.metadata)
    return ", ".join(["duration" if duration else _type_name(field.annotation), *limits]) + (
        " (seconds)" if duration and limits else ""
    )


def _type_name(annotation: Any) -> str:
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        SecretStr: "secret",
        dict: "mapping",
    }
    if annotation in names:
        return names[annotation]
    if annotation is Any:
        return "any"
    origin = getattr(annotation, "__origin__", None)
    arguments = get_args(annotation)
    if any(type(part).__name__ == "BeforeValidator" for part in getattr(annotation, "__metadata__", ())):
        return "duration"
    if getattr(annotation, "__metadata__", None):
        return _type_name(origin)
    if arguments and type(None) in arguments:
        return " or ".join(_type_name(part) for part in arguments if part is not type(None))
    if str(origin) == "typing.Literal":
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        item = _type_name(arguments[0])
        return f"list of {'sections' if item == 'section' else item}"
    if origin is dict:
        return f"mapping: text → {_type_name(arguments[1])}"
    if arguments:
        return " or ".join(_type_name(part) for part in arguments)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return "time" if "datetime" in str(annotation).lower() else str(annotation)


def _default_text(field: FieldInfo) -> str:
    default = field.default
    if field.is_required():
        return "**required**"
    if default is None or isinstance(default, BaseModel) or default in ((), {}, ""):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    if isinstance(default, float) and "duration" in _type_text(field):
        return f"`{_duration_text(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _duration_text(seconds: float) -> str:
    """Write a duration as people do.

    >>> _duration_text(300.0), _duration_text(2_592_000.0), _duration_text(90.0), _duration_text(0.0)
    ('5m', '30d', '90s', '0s')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
