"""A configuration file that stands for more than a person writes is refused with one line."""

from __future__ import annotations

import pytest

from schemas.config.load import InvalidConfig, load
from schemas.config.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_yaml


def laughs(key: str) -> str:
    levels = [f"{key.format(0)}: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    levels += [f"{key.format(n)}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(levels)


def merges(levels: int) -> str:
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs("x{}"), "100,000 values"),
        (laughs("features{}") + "\nfeatures: *a8", "100,000 values"),
        (merges(9), "100,000 values"),
        ("features: " + "[" * 5_000, "within each other"),
        ("features: " + "[" * 150 + "]" * 150, "within each other"),
        ("features: &f [*f]", "inside of its anchor"),
        ("features: &f {match: a/b, more: *f}", "inside of its anchor"),
        ("# " + "x" * MAX_BYTES, "longer than 1 MiB"),
        ("time: {pane: " + "9" * 5_000 + "}", "not YAML"),
        ("rules: [!!python/object/apply:os.system [ls]]", "not YAML"),
    ],
)
def test_a_bomb_is_refused_with_one_line(text, message, tmp_path):
    path = tmp_path / "softfail.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match=message) as refused:
        load(path, {})
    assert len(refused.value.faults) == 1


def test_a_bomb_in_the_environment_is_a_fault_of_its_variable():
    with pytest.raises(InvalidConfig):
        load(None, {"SOFTFAIL_FEATURES": "[" * 5_000})


def test_aliases_and_merges_within_the_limits_are_read():
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nlist: [*b, *b]"
    both = {"x": 1, "y": 2}
    assert read_yaml(text) == {"base": both, "other": {"x": 1, "y": 3}, "list": [both, both]}
    assert read_yaml("") is None


def test_a_long_list_is_read():
    assert len(read_yaml("\n".join(f"- {n}" for n in range(5_000)))) == 5_000
    assert MAX_VALUES > 10_000
    assert MAX_DEPTH > 20
