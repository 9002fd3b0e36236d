"""Write a failing answer for a page: what failed, what was asked, and where to find it."""

from __future__ import annotations

from schemas.records import Example
from softfail.sanitize import sanitize


def example_line(example: Example, most: int) -> str:
    """Return evaluator and output, or the reason where there is no output; ``most`` characters of it."""
    return f"e.g. {sanitize(example.evaluator, 200)}: {sanitize(example.output or example.reason, most)}"


def example_details(example: Example, most: int) -> list[str]:
    """Return what was asked, and the ids under which the call is found.

    Args:
        example: shown on a page.
        most: characters of the input.
    """
    named = {
        "prompt version": example.prompt_version,
        "session": example.session_id,
        "trace": example.trace_id,
    }
    ids = ", ".join(f"{name} {sanitize(value, 128)}" for name, value in named.items() if value)
    asked = [f"asked: {sanitize(example.input, most)}"] if example.input else []
    return [*asked, *([ids] if ids else [])]
