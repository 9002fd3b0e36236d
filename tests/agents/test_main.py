from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from agents.__main__ import COMMANDS, main
from agents.commands.worker import main as worker_main

ROOT = Path(__file__).parents[2]


def test_help_names_every_command_the_environment_and_the_exit_codes(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert {
        line.split()[0] for line in output.splitlines() if line.startswith("    ") and line[4:5].isalpha()
    } >= set(COMMANDS)
    assert "SOFTFAIL_KAFKA__BROKERS" in output
    assert "78" in output


@pytest.mark.parametrize("arguments", [[], ["wroker"], ["--nonsense"]])
def test_an_unknown_command_is_an_error_that_lists_the_commands(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_with_main(name):
    spec = importlib.util.find_spec(COMMANDS[name].module)
    assert spec is not None
    assert spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text("utf-8")).body
    named = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    named |= {
        alias.asname or alias.name
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "main" in named


def test_an_invalid_configuration_exits_the_worker_with_78_and_one_line_per_fault(tmp_path, capsys):
    wrong = tmp_path / "softfail.yaml"
    wrong.write_text("kafka: {prefix: 'no blanks'}\nhttp: {port: 99999}\n")
    assert worker_main(["--config", str(wrong)]) == 78
    output = capsys.readouterr().err.splitlines()
    assert any(line.startswith("kafka.prefix") for line in output)
    assert any(line.startswith("http.port") for line in output)


def test_help_does_not_import_faust():
    code = (
        "import sys; from agents.__main__ import main\ntry: main(['--help'])\nexcept SystemExit:"
        " print('faust' in sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert output.splitlines()[-1] == "False"
