from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.event_decoder import STRUCTS

DATA = Path(__file__).parents[4] / "shared" / "data" / "llmdrift"


@pytest.fixture(scope="session")
def response():
    """A function from fields to a decoded response."""

    def build(**fields):
        required = {
            "event_id": "1",
            "time": datetime(2026, 3, 2, 9, tzinfo=UTC),
            "service": "s",
            "feature": "f",
            "model": "m",
        }
        return STRUCTS["response"](**{**required, **fields})

    return build


@pytest.fixture(scope="session")
def llmdrift():
    """A function from a data set and a model to its answers."""

    def answers(dataset: str, model: str) -> list[str]:
        path = DATA / f"{dataset}.csv.gz"
        if not path.exists():
            pytest.skip(f"needs {path}: the LLMDrift answers are not in this repository")
        csv.field_size_limit(10**9)
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return [row["answer"] for row in csv.DictReader(file) if row["model"] == f"openaichat/{model}"]

    return answers
