"""Options that have no meaning are refused by the name under which they were given."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from slembench.cli.options import numbers, refuse_options
from slembench.core.errors import ConfigError


@pytest.fixture
def call():
    """Function that invokes a command which refuses its option ``everything`` and its argument ``name``."""
    app = typer.Typer()

    @app.command()
    def command(
        context: typer.Context,
        name: Annotated[str, typer.Argument()] = "a",
        everything: Annotated[bool, typer.Option("--all")] = False,
    ) -> None:
        refuse_options(context, ["everything", "name"], "has no meaning")

    return lambda *words: CliRunner().invoke(app, list(words))


def test_only_what_was_given_is_refused(call):
    assert call().exit_code == 0
    assert str(call("--all").exception) == "--all has no meaning"
    assert str(call("a").exception) == "name has no meaning"  # even where it equals the default


def test_numbers():
    assert numbers("1,.8", "--x", float) == (1.0, 0.8)
    for text in ("", "1,", "a", "1.5"):
        with pytest.raises(ConfigError, match="--x .*give numbers separated by commas"):
            numbers(text, "--x", int)
