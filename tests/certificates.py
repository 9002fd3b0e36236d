"""Keys and certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def request(folder: Path, name: str, key: str, output: str, *more: str) -> None:
    """Make a new unencrypted key for ``/CN=name`` and a signing request; with ``-x509`` a certificate."""
    new_key = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", output)
    openssl(folder, *new_key, "-subj", f"/CN={name}", *more)


def encrypt_key(folder: Path, key: str, output: str, password: str) -> None:
    """Encrypt a key with a password."""
    openssl(folder, "rsa", "-aes256", "-in", key, "-out", output, "-passout", f"pass:{password}")
