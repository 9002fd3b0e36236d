"""The steps of the Dockerfile, run without a container engine: what it copies is all that a worker needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text("utf-8")
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in ("softfail", "schemas", "monitor", "agents"):
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] in ("softfail", "schemas", "monitor", "agents"):
        print(module.__file__)
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of the image, without what pip installs."""
    app = tmp_path_factory.mktemp("app")
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            to = app / target / Path(source).name if target.endswith("/") else app / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, to)
    return app


def run(image: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=image,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(image / "sdk"), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_compile_step_of_the_dockerfile_compiles_all_that_is_copied(image):
    (step,) = re.findall(r"^RUN python (-m compileall .+)$", DOCKERFILE, re.MULTILINE)
    compiled = run(image, *step.split())
    assert (compiled.returncode, compiled.stderr) == (0, "")
    for name in step.split()[3:]:
        assert list((image / name).rglob("*.pyc"))


def test_all_modules_are_imported_from_what_is_copied(image):
    imported = run(image, "-c", IMPORT_ALL)
    assert imported.returncode == 0, imported.stderr
    files = imported.stdout.split()
    assert len(files) > 100
    assert all(Path(file).is_relative_to(image) for file in files)


def test_the_entry_point_of_the_image_reads_its_configuration(image, tmp_path):
    (entry,) = re.findall(r'^ENTRYPOINT \["python", "-m", "(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    (command,) = re.findall(r'^CMD \["(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    wrong = tmp_path / "softfail.yaml"
    wrong.write_text("time: {pane: 7s}\n")
    refused = run(image, "-m", entry, command, "--config", str(wrong))
    assert refused.returncode == 78
    assert "time.pane" in refused.stderr + refused.stdout
