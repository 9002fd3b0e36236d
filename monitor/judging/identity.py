"""The identity of a judge: a changed judge is another statistic."""

from __future__ import annotations

import json
from hashlib import sha256

from monitor.judging.prompt import PROMPT_VERSION
from schemas.config.judges import Judge


def identity(judge: Judge, answering_model: str) -> str:
    """Return the identity of a judge: 12 hexadecimal digits of a digest of all that shapes its verdicts.

    Args:
        judge: its rubric and parameters count; sampling, budget and limits change no verdict.
        answering_model: the model as the provider reports it, not the one asked for.

    >>> rubric = {"prompt": "Is it right? {{output}}", "choice_scores": {"yes": 1, "no": 0}}
    >>> judge = Judge(name="j", rubric=rubric, model="m-1", budget=1, prices={"input": 1, "output": 1})
    >>> identity(judge, "m-1") == identity(judge, "m-1"), identity(judge, "m-1") == identity(judge, "m-2")
    (True, False)
    """
    parts = [
        PROMPT_VERSION,
        answering_model,
        judge.rubric.prompt,
        sorted(judge.rubric.choice_scores.items()),
        judge.rubric.passes_from,
        judge.temperature,
        judge.max_tokens,
        judge.text_chars,
    ]
    return sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]
