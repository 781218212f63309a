"""The command line: help that teaches and is quick, one line for an error a user can mend, usage errors with code 2."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import slembench
from slembench.cli import AREAS, ErrorGroup, app
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
    for word in ("run", "leaderboard", "evaluate", "data", "--dataset mos2-mini --model slem --variant quickstart"):
        assert word in done.output


def test_every_command_has_help_with_an_example():
    def walk(command, path):
        commands = getattr(command, "commands", {})
        for name, child in commands.items():
            yield from walk(child, [*path, name])
        if not commands:
            yield path, command

    found = list(walk(typer.main.get_command(app), []))
    assert len(found) >= len(AREAS)
    for path, command in found:
        done = runner.invoke(app, [*path, "--help"])
        assert done.exit_code == 0, path
        assert f"slembench {' '.join(path)}" in " ".join((command.help or "").split()), (
            f"{path}: no example in the help"
        )
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"


def test_no_arguments_shows_the_help():
    assert "leaderboard" in runner.invoke(app, []).output


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
    assert runner.invoke(app, ["leaderboard", "--no-such-option"]).exit_code == 2


def test_help_as_a_program_loads_no_heavy_library():
    code = "import sys; from slembench.cli import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "datasets", "pandas", "scipy"} & set(done.stdout.split())
    done = subprocess.run([sys.executable, "-m", "slembench", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("slembench ")
