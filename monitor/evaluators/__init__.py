"""Evaluators: pure functions from a response to a verdict. One a file; ``EVALUATORS`` lists all of them."""

from __future__ import annotations

from monitor.evaluators.content_filter import ContentFilterEvaluator
from monitor.evaluators.empty import EmptyEvaluator
from monitor.evaluators.error import ErrorEvaluator
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.json_answer import JsonEvaluator
from monitor.evaluators.json_schema import JsonSchemaEvaluator
from monitor.evaluators.known_failure import KnownFailureEvaluator
from monitor.evaluators.latency import LatencyEvaluator
from monitor.evaluators.length import LengthEvaluator
from monitor.evaluators.outcome import OutcomeEvaluator
from monitor.evaluators.refusal.evaluator import PartialRefusalEvaluator, RefusalEvaluator
from monitor.evaluators.truncation import TruncationEvaluator

EVALUATORS: dict[str, type[Evaluator]] = {
    "error": ErrorEvaluator,
    "outcome": OutcomeEvaluator,
    "empty": EmptyEvaluator,
    "refusal": RefusalEvaluator,
    "refusal.partial": PartialRefusalEvaluator,
    "truncation": TruncationEvaluator,
    "content_filter": ContentFilterEvaluator,
    "known_failure": KnownFailureEvaluator,
    "json": JsonEvaluator,
    "json_schema": JsonSchemaEvaluator,
    "length": LengthEvaluator,
    "latency": LatencyEvaluator,
}
"""Name -> class, in the order of display."""
