"""Pin the archives of the image's packages by hash, and list what is installed as an SBOM.

python deploy/dependencies.py hashes    write deploy/requirements.txt from constraints.txt (asks the package index)
python deploy/dependencies.py sbom      write a CycloneDX document of the installed packages to standard output
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pip._vendor.packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "deploy" / "requirements.txt"
_HEADER = """\
# The packages of the image (the extra `worker`), by hash: archives for Linux on x86-64 and CPython 3.11.
# Made by: make hashes
"""


def normal(name: str) -> str:
    """Return the normal form of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted: Iterable[str], requires: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all packages that the wanted requirements need here.

    Args:
        wanted: requirements, as in pyproject.toml.
        requires: normal name of a package to its own requirements.
    """
    found: set[str] = set()
    waiting = [Requirement(text) for text in wanted]
    while waiting:
        requirement = waiting.pop()
        name = normal(requirement.name)
        for text in requires.get(name, ()):
            needed = Requirement(text)
            extras = ["", *requirement.extras]
            is_needed = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            )
            if is_needed and normal(needed.name) not in found:
                waiting.append(needed)
        found.add(name)
    return found


def lock_lines(report: Mapping[str, Any], wanted: Iterable[str]) -> Iterator[str]:
    """Return a line for each package that the wanted requirements need, from a report of pip."""
    items = {normal(item["metadata"]["name"]): item for item in report["install"]}
    requires = {name: item["metadata"].get("requires_dist", ()) for name, item in items.items()}
    for name in sorted(closure(wanted, requires)):
        item = items[name]
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        yield f"{name}=={item['metadata']['version']} --hash=sha256:{digest}\n"


def write_hashes() -> None:
    """Ask pip which archives it would install, and write their hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    with tempfile.NamedTemporaryFile() as report:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
        ]
        constraints = [
            "--only-binary",
            ":all:",
            "--report",
            report.name,
            "--requirement",
            str(ROOT / "constraints.txt"),
        ]
        subprocess.run([*command, *constraints], check=True)
        LOCK.write_text(_HEADER + "".join(lock_lines(json.load(report), wanted)))


def sbom() -> dict[str, Any]:
    """Return a CycloneDX document of the installed packages."""
    components = []
    for package in sorted(importlib.metadata.distributions(), key=lambda package: normal(package.name)):
        fields = package.metadata
        licence = fields.get("License-Expression") or fields.get("License") or ""
        name = normal(package.name)
        component = {
            "type": "library",
            "name": name,
            "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}",
        }
        if licence and len(licence) < 100:
            component["licenses"] = [{"license": {"name": licence}}]  # type: ignore[assignment]
        components.append(component)
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["hashes", "sbom"])
    if parser.parse_args().command == "hashes":
        write_hashes()
    else:
        json.dump(sbom(), sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
