"""The ``slembench`` command. Every area of it is one module with a ``register(app)`` function."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slembench._version import __version__
from slembench.core.errors import SlembenchError
from slembench.core.logging import configure

AREAS = (
    "data", "models", "train", "predict", "checkpoint", "evaluate", "floors", "rescore", "scf", "compare", "exponents",
    "expected", "bands", "submit", "verify", "leaderboard", "results", "site", "report", "study",
    "reproduction",
)  # fmt: skip
"""Modules of this package that register commands, in the order of the help page."""

HELP = """Benchmark machine-learned DFT Hamiltonians, overlaps and density matrices in localised-orbital bases.

Train a shipped model on shipped data, score it, and look at the table:

    slembench run --dataset mos2-mini --model slem --variant quickstart

    slembench leaderboard

Score predictions of your own model (any program may write the file):

    slembench data info mos2-mini

    slembench evaluate --dataset mos2-mini --predictions mine.h5
"""


class ErrorGroup(TyperGroup):
    """Command group that prints a `SlembenchError` as one line on stderr and ends with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; with ``--debug`` the error and its traceback pass through."""
        try:
            return super().invoke(ctx)
        except SlembenchError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"slembench {__version__}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """The complete typer application, with the commands of all `AREAS`."""
    app = typer.Typer(
        cls=ErrorGroup,
        name="slembench",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(help=HELP)
    def options(
        debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None:
        """Options that stand before the command."""
        configure()

    for area in AREAS:
        import_module(f"slembench.cli.{area}").register(app)
    return app


app = build_app()


def main() -> None:
    """Entry point of the ``slembench`` script."""
    app()
