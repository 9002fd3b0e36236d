"""The pinned packages of the image, and the list of what is installed."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "dependencies.py"
LINES = [line for line in (ROOT / "deploy" / "requirements.txt").read_text().splitlines() if line[:1] != "#"]


@pytest.fixture(scope="module")
def dependencies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_of_the_image_has_the_version_of_the_constraints_and_a_hash(dependencies):
    constraints = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if "==" in line and not line.startswith("#"):
            name, _, version = line.partition("==")
            constraints[dependencies.normal(name)] = version
    for line in LINES:
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
        assert match, line
        assert constraints[match[1]] == match[2], "run: make hashes"


def test_every_dependency_of_the_worker_is_pinned(dependencies):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.partition("==")[0] for line in LINES}
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["worker"]]:
        assert dependencies.normal(re.split(r"[<>=!\[ ]", requirement)[0]) in pinned, "run: make hashes"


def test_dependencies_of_dependencies_are_followed_and_those_of_other_extras_are_not(dependencies):
    requires = {"a": ["b>=1", 'c; extra == "more"', 'd; python_version < "3"'], "b": ["a", "e"]}
    assert dependencies.closure(["A>=1"], requires) == {"a", "b", "e"}
    assert dependencies.closure(["a[more]"], requires) == {"a", "b", "c", "e"}


def test_the_image_installs_by_hash():
    assert "--require-hashes" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_sbom_lists_every_installed_package():
    done = subprocess.run([sys.executable, str(SCRIPT), "sbom"], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert document["bomFormat"] == "CycloneDX"
    versions = {component["name"]: component["version"] for component in document["components"]}
    assert versions["aiokafka"]
    assert all(component["purl"].startswith("pkg:pypi/") for component in document["components"])


def test_the_rights_for_strimzi_are_those_of_the_document():
    users = {
        user["metadata"]["name"]: user["spec"]["authorization"]["acls"]
        for user in yaml.safe_load_all((ROOT / "deploy" / "strimzi.yaml").read_text())
    }
    written = {
        name: {
            acl["resource"].get("name", "")
            for acl in acls
            if "Write" in acl["operations"] and acl["resource"]["type"] == "topic"
        }
        for name, acls in users.items()
    }
    assert written == {
        "softfail-producer": {"softfail.events"},
        "softfail-worker": {"softfail."},
        "softfail-operator": {"softfail."},
        "softfail-analyst": set(),
    }
    document = (ROOT / "docs" / "security.md").read_text()
    assert all(f"User:{name}" in document for name in ("softfail-producer", "softfail-operator"))
