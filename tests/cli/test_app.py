"""The command line: help that teaches and is quick, one line for an error a user can mend, usage errors with code 2."""

import re
import shlex
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import slembench
from slembench.cli import ErrorGroup, app
from slembench.core.errors import DataError

runner = CliRunner()


@pytest.fixture
def failing():
    """An application with a command that fails in the way its argument says, also inside a group of commands."""
    application = typer.Typer(cls=ErrorGroup)
    group = typer.Typer()
    application.add_typer(group, name="group")

    @application.callback()
    def options(debug: bool = False) -> None: ...

    @group.command()
    def fail(how: str) -> None:
        if how == "user":
            raise DataError("card.yaml: key 'units': missing; add it")
        raise RuntimeError("a bug")

    return application


def test_help_shows_every_command_and_examples():
    done = runner.invoke(app, ["--help"])
    assert done.exit_code == 0
    for word in ("run", "board", "evaluate", "data", "--dataset mos2-mini --model slem --variant quickstart"):
        assert word in done.output


def commands(command, path=(), hidden=False):
    """Path, command, and whether it is hidden, of every command, groups counted through."""
    children = getattr(command, "commands", {})
    for name, child in children.items():
        yield from commands(child, (*path, name), hidden or child.hidden)
    if not children:
        yield path, command, hidden


EVERY = list(commands(typer.main.get_command(app)))


def test_the_commands():
    visible = [" ".join(path) for path, _, hidden in EVERY if not hidden]
    assert visible == [
        "run", "predict", "evaluate", "compare", "bands", "board", "submit", "verify",
        "data list", "data info", "data get", "data inspect", "data convert", "data split", "data template",
        "models list", "models import", "study new", "study run", "study report", "study fit",
    ]  # fmt: skip
    assert len(visible) <= 24
    assert all(path[0] == "dev" for path, _, hidden in EVERY if hidden)
    shown = runner.invoke(app, ["--help"]).output
    assert [line for line in shown.splitlines() if line.split()[1:2] == ["study"]]
    assert not [line for line in shown.splitlines() if line.split()[1:2] == ["dev"]]


@pytest.mark.parametrize(("path", "command"), [x[:2] for x in EVERY], ids=[" ".join(x[0]) for x in EVERY])
def test_every_command_has_help_with_an_example(path, command):
    done = runner.invoke(app, [*path, "--help"], env={"COLUMNS": "80"})
    assert done.exit_code == 0
    assert max(map(len, done.output.splitlines())) <= 80
    text = command.help or ""
    assert text.split("\n\n")[0].rstrip().endswith("."), "a summary of one sentence first"
    assert f"slembench {' '.join(path)}" in " ".join(text.split()), "no example in the help"
    # an example that is wrapped by a terminal of 80 columns cannot be copied
    assert not [line for line in text.splitlines() if line.startswith("    ") and len(line) > 80]
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"


def test_examples_are_commands_that_exist():
    """Every command line that a help text shows names a command, and options that it has."""
    known = {path: command for path, command, _ in EVERY}
    for path, command, _ in EVERY:
        text = (command.help or "").replace("\\\n", " ")
        for line in re.findall(r"^    (?:.* -m )?slembench (.*)$", text, flags=re.M):
            words = shlex.split(line)
            found = next((p for n in (1, 2, 3) if (p := tuple(words[:n])) in known), None)
            assert found, f"{path}: {line}"
            options = {o for parameter in known[found].params for o in (*parameter.opts, *parameter.secondary_opts)}
            assert {word for word in words if word.startswith("--")} <= options, f"{path}: {line}"


def test_no_arguments_shows_the_help():
    assert "board" in runner.invoke(app, []).output


def test_version():
    done = runner.invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"slembench {slembench.__version__}\n")


def test_error_is_one_line_on_stderr(failing):
    done = runner.invoke(failing, ["group", "fail", "user"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr == "error: card.yaml: key 'units': missing; add it\n"


def test_debug_and_bugs_keep_their_traceback(failing):
    assert isinstance(runner.invoke(failing, ["--debug", "group", "fail", "user"]).exception, DataError)
    assert isinstance(runner.invoke(failing, ["group", "fail", "bug"]).exception, RuntimeError)


def test_usage_error_has_code_two():
    assert runner.invoke(app, ["no-such-command"]).exit_code == 2
    assert runner.invoke(app, ["board", "--no-such-option"]).exit_code == 2


HEAVY = {"torch", "datasets", "pandas", "pyarrow", "e3nn", "scipy", "h5py", "ray", "matplotlib"}


def modules_after(*lines):
    """What is imported by command lines, in a fresh process."""
    code = (
        "import sys\nfrom slembench.cli import app\n"
        f"for line in {[list(line) for line in lines]!r}:\n"
        "    try: app(line)\n    except SystemExit as end: assert not end.code, (line, end.code)\n"
        "print('modules:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("modules:")[2].split())


def test_the_help_of_all_commands_loads_no_heavy_library():
    lines = [["--help"], *([*path, "--help"] for path, _, _ in EVERY)]
    assert not (HEAVY | {"numpy", "ase", "yaml"}) & modules_after(*lines)


@pytest.mark.parametrize(
    "line",
    [
        ["models", "list"], ["models", "list", "--json"], ["data", "list"], ["data", "list", "--json"],
        ["data", "info", "mos2-mini"], ["data", "info", "qh9-stable-id"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_lists_load_no_heavy_library(line):
    assert not HEAVY & modules_after(line)


def test_the_program():
    done = subprocess.run([sys.executable, "-m", "slembench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("slembench ")
