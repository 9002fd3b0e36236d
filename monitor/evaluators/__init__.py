"""Evaluators: pure functions from a response to a verdict. One a file; ``EVALUATORS`` lists all of them."""

from __future__ import annotations

from monitor.evaluators.budget import BudgetEvaluator
from monitor.evaluators.code import CodeEvaluator
from monitor.evaluators.content_filter import ContentFilterEvaluator
from monitor.evaluators.echo import EchoEvaluator
from monitor.evaluators.empty import EmptyEvaluator
from monitor.evaluators.error import ErrorEvaluator
from monitor.evaluators.grounding import GroundingEvaluator
from monitor.evaluators.injection import InjectionEvaluator
from monitor.evaluators.interface import Evaluator
from monitor.evaluators.json_answer import JsonEvaluator
from monitor.evaluators.json_schema import JsonSchemaEvaluator
from monitor.evaluators.known_failure import KnownFailureEvaluator
from monitor.evaluators.language import LanguageEvaluator
from monitor.evaluators.latency import LatencyEvaluator
from monitor.evaluators.length import LengthEvaluator
from monitor.evaluators.non_answer import NonAnswerEvaluator
from monitor.evaluators.outcome import OutcomeEvaluator
from monitor.evaluators.pii import PiiEvaluator
from monitor.evaluators.prompt_leak import PromptLeakEvaluator
from monitor.evaluators.refusal.evaluator import PartialRefusalEvaluator, RefusalEvaluator
from monitor.evaluators.stages import StagesEvaluator
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
    "code": CodeEvaluator,
    "language": LanguageEvaluator,
    "echo": EchoEvaluator,
    "non_answer": NonAnswerEvaluator,
    "grounding": GroundingEvaluator,
    "prompt_leak": PromptLeakEvaluator,
    "pii": PiiEvaluator,
    "injection": InjectionEvaluator,
    "budget": BudgetEvaluator,
    "stages": StagesEvaluator,
}
"""Name -> class, in the order of display."""
