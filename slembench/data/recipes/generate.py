"""Running the recipe of a data set: first-principles calculations into a work directory, ready for `assemble`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from slembench.core.errors import ConfigError, DataError
from slembench.core.jobs import JobsResult
from slembench.data.recipes.assemble import read_template
from slembench.data.recipes.runner import generate


def run_recipe(name: str, workdir: Path, jobs: int) -> JobsResult:
    """Compute what the work directory of a data set still lacks.

    Args:
        name: a data set with a template, whose key ``recipe`` names a module with a function ``plan()``.
        workdir: made where it is missing; a run that was stopped goes on from what is there.
        jobs: calculations at a time, one thread each.

    Raises:
        ConfigError: a program that the recipe needs is not installed.
        DataError: no such recipe, a work directory with results of other settings, or calculations that failed.
    """
    template = read_template(name)
    try:
        result = generate(import_module(template.recipe).plan(), workdir, jobs)
    except ModuleNotFoundError as error:
        raise ConfigError(str(error)) from error
    except ValueError as error:
        raise DataError(str(error)) from error
    if result.failed:
        first, reason = next(iter(result.failed.items()))
        raise DataError(
            f"{workdir}: {len(result.failed)} calculations failed, the first {first}: {reason};"
            " its .failed.txt says more, the same command tries again"
        )
    return result
