"""Read the sets of other tools. Each format is a module; what it cannot map it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.golden.importers import datasets, promptfoo
from monitor.golden.importers.imported import Imported

FORMATS: dict[str, Callable[[Any, str, Callable[[str], str]], Imported]] = {
    "promptfoo": promptfoo.import_promptfoo,
    "openai-evals": datasets.import_openai_evals,
    "langfuse": datasets.import_langfuse,
    "langsmith": datasets.import_langsmith,
    "deepeval": datasets.import_deepeval,
    "braintrust": datasets.import_braintrust,
    "inspect": datasets.import_inspect,
}
"""Format -> (decoded file, name for ids, reader of files beside it) -> what was read."""
