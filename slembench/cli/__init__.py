"""The ``slembench`` command. Every command is a function of a module of this package; this file is their table.

The modules import typer and the standard library alone; a command imports what it computes with when it is called.
So the help, and every command that only lists, starts without torch.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slembench._version import __version__
from slembench.cli import (
    bands,
    board,
    compare,
    data,
    data_tools,
    dev,
    evaluate,
    models,
    predict,
    run,
    study,
    submission,
)
from slembench.core.errors import SlembenchError
from slembench.core.logging import configure

FROM_DATA_TO_SCORES, BOARD, GROUPS = "From data to scores", "The board", "Groups of commands"
"""Panels of the main help, in the order in which a newcomer needs them."""


class ErrorGroup(TyperGroup):
    """Command group that prints a `SlembenchError` as one line on stderr and ends with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; with ``--debug`` the error and its traceback pass through."""
        try:
            return super().invoke(ctx)
        except SlembenchError as error:
            # Other exceptions are bugs of ours and keep their traceback.
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"slembench {__version__}")
        raise typer.Exit


def global_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the full traceback of an error.")] = False,
    version: Annotated[
        # Eager: it answers before a missing command is complained about.
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages but warnings and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Details, too.")] = False,
) -> None:
    """Benchmark machine-learned DFT Hamiltonians, overlaps and density matrices in localised-orbital bases.

    Train a shipped model on shipped data, score it, and look at the board:

        slembench run --dataset mos2-mini --model slem --variant quickstart

        slembench board --dataset mos2-mini

    Score predictions of your own model (any program may write the file):

        slembench data template mos2-mini --out mine.h5 --structures mine.extxyz

        slembench evaluate --dataset mos2-mini --predictions mine.h5
    """
    # Messages go to stderr; stdout is for what a script reads: tables, JSON, paths.
    configure(-1 if quiet else int(verbose))


def _group(parent: typer.Typer, name: str, text: str, *, hidden: bool = False) -> typer.Typer:
    """A group of commands below another one."""
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode="markdown")
    panel = None if hidden else GROUPS
    parent.add_typer(group, name=name, hidden=hidden, rich_help_panel=panel)
    return group


app = typer.Typer(
    cls=ErrorGroup,
    name="slembench",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # its tracebacks hide frames that a bug report needs
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(global_options)

app.command("run", rich_help_panel=FROM_DATA_TO_SCORES)(run.run_command)
app.command("predict", rich_help_panel=FROM_DATA_TO_SCORES)(predict.predict_command)
app.command("evaluate", rich_help_panel=FROM_DATA_TO_SCORES)(evaluate.evaluate_command)
app.command("compare", rich_help_panel=FROM_DATA_TO_SCORES)(compare.compare_command)
app.command("bands", rich_help_panel=FROM_DATA_TO_SCORES)(bands.bands_command)
app.command("board", rich_help_panel=BOARD)(board.board_command)
app.command("submit", rich_help_panel=BOARD)(submission.submit_command)
app.command("verify", rich_help_panel=BOARD)(submission.verify_command)

data_group = _group(app, "data", "Data sets: list, get, inspect, convert.")
data_group.command("list")(data.list_command)
data_group.command("info")(data.info_command)
data_group.command("get")(data.get_command)
data_group.command("inspect")(data_tools.inspect_command)
data_group.command("convert")(data_tools.convert_command)
data_group.command("split")(data_tools.split_command)
data_group.command("template")(data_tools.template_command)

models_group = _group(app, "models", "Models: list, and import checkpoints of other programs.")
models_group.command("list")(models.list_command)
models_group.command("import")(models.import_command)

study_group = _group(app, "study", "Tables of runs: data efficiency, transfer, locality, seeds; cost against size.")
study_group.command("new")(study.new_command)
study_group.command("run")(study.run_command)
study_group.command("report")(study.report_command)
study_group.command("fit")(study.fit_command)

dev_group = _group(app, "dev", "For those who keep data sets, models and committed results.", hidden=True)
dev_group.command("generate")(dev.generate_command)
dev_group.command("assemble")(dev.assemble_command)
dev_group.command("resplit")(dev.resplit_command)
dev_group.command("challenging")(dev.challenging_command)
dev_group.command("page")(dev.page_command)
dev_group.command("expected")(dev.expected_command)
dev_group.command("rescore")(dev.rescore_command)
dev_group.command("claims")(dev.claims_command)
dev_group.command("schema")(dev.schema_command)

results_group = _group(
    dev_group,
    "results",
    "Index of committed results (results/index.csv): nothing disappears, no score changes unnoticed.",
)
results_group.command("add")(dev.results_add_command)
results_group.command("check")(dev.results_check_command)
results_group.command("supersede")(dev.results_supersede_command)
results_group.command("withdraw")(dev.results_withdraw_command)


def main() -> None:
    """Entry point of the ``slembench`` script."""
    app()
