"""Real answers of language models: the LLMDrift data sets, which are not in this repository."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "llmdrift"
MARCH, JUNE = "openaichat/gpt-4-0314", "openaichat/gpt-4-0613"


def rows_of(name: str, model: str) -> list[dict[str, str]]:
    """Return the rows of a data set and model; skip the test if the data are not there."""
    path = DATA / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"the real answers are not here: {path.name} belongs in ../shared/data/llmdrift")
    csv.field_size_limit(10**9)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["model"] == model]


def measurements_of(row: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a response that a row contains."""
    return {
        "input": row["query"],
        "output": row["answer"],
        "output_tokens": int(row["answer_token"]),
        "duration_s": float(row["latency"]),
        "cost_usd": float(row["cost"]),
        "finish_reason": "stop",
    }
