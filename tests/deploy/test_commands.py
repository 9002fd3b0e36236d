"""``softfail-agents`` and ``softfail-monitor``, which `make setup` writes: they run from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory):
    """A virtual environment that make takes for installed, with the commands in it."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    environment = tmp_path_factory.mktemp("venv")
    (environment / "bin").mkdir()
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (environment / ".installed").touch()
    names = [f"{environment}/bin/softfail-{name}" for name in ("agents", "monitor")]
    subprocess.run(["make", "--silent", f"VENV={environment}", *names], cwd=ROOT, check=True, timeout=60)
    return environment / "bin"


def run(program, *arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )


def test_argument_paths_are_relative_to_the_folder_of_the_caller(bin_folder, tmp_path):
    (tmp_path / "mine.yaml").write_text("kafka: {prefix: t}\n")
    done = run(bin_folder / "softfail-monitor", "check", "mine.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(bin_folder / "softfail-agents", "topics", "--config", "other.yaml", cwd=tmp_path)
    assert done.returncode == 78
    assert "other.yaml" in done.stderr


@pytest.mark.parametrize("name", ["agents", "monitor", "schemas", "softfail"])
def test_a_package_of_the_same_name_in_the_folder_of_the_caller_is_not_imported(bin_folder, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    done = run(bin_folder / "softfail-agents", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "silence" in done.stdout


def test_arguments_are_passed_unchanged(bin_folder, tmp_path):
    done = run(bin_folder / "softfail-agents", "silence", "add", "--match", "a b/$HOME *", cwd=tmp_path)
    assert done.returncode == 2
    done = run(bin_folder / "softfail-monitor", "check", "a b $HOME.yaml", cwd=tmp_path)
    assert "a b $HOME.yaml" in done.stderr
