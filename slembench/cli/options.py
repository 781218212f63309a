"""Options that several commands take, and the one way to refuse an option that has no meaning beside the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from slembench.core.errors import ConfigError

Number = TypeVar("Number", int, float)

DatasetName = Annotated[str, typer.Option("--dataset", help="Data set: a name from `data list`, or a folder.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with. Default: torch's choice.")]
SolverThreads = Annotated[int | None, typer.Option(min=1, help="Structures diagonalised at once.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe; repeatable.")
]
ResultsFolder = Annotated[Path | None, typer.Option("--results", help="Folder of results instead of the shipped one.")]
Committed = Annotated[bool, typer.Option(help="Include the results that ship with slembench.")]


def refuse_options(context: typer.Context, names: Iterable[str], why: str) -> None:
    """Refuse options that were given though they have no effect here: one that is silently ignored misleads.

    Args:
        context: of the command.
        names: parameters of the command's function.
        why: end of the message, such as "has no meaning for a data set; leave it out".

    Raises:
        ConfigError: one of them was given on the command line, whatever its value.
    """
    for name in names:
        # The value alone does not tell: `--split test` given by hand equals the default.
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            (option, *_) = next(parameter.opts for parameter in context.command.params if parameter.name == name)
            raise ConfigError(f"{option if option.startswith('-') else name} {why}")


def numbers(text: str, option: str, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """Numbers separated by commas.

    Args:
        text: as given on the command line.
        option: its name, for the message.
        kind: ``int`` or ``float``.

    Raises:
        ConfigError: something that is no number.

    Example:
        >>> numbers("1,.8,.6", "--fractions", float)
        (1.0, 0.8, 0.6)
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}: give numbers separated by commas") from None
