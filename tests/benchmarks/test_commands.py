"""Every benchmark that a document names exists and starts."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "Makefile",
    "benchmarks/README.md",
    "docs/statistics.md",
    "docs/architecture.md",
    "CONTRIBUTING.md",
)
NAMED = sorted({
    name
    for document in DOCUMENTS
    for name in re.findall(r"-m benchmarks\.(\w+)", (ROOT / document).read_text(encoding="utf-8"))
})  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_benchmark_that_a_document_names_says_how_it_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    is_package = (ROOT / "benchmarks" / name).is_dir()
    command = importlib.import_module(f"benchmarks.{name}.__main__" if is_package else f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_programs_that_make_bench_starts_exist() -> None:
    throughput = importlib.import_module("benchmarks.worker_throughput")
    source = Path(throughput.__file__ or "").read_text(encoding="utf-8")
    programs = re.findall(r'"benchmarks" / "(\w+\.py)"', source)
    modules = re.findall(r'"benchmarks\.(\w+)"', source)
    assert programs
    assert modules
    for file in (*programs, *(f"{module}.py" for module in modules)):
        assert (ROOT / "benchmarks" / file).is_file(), file
