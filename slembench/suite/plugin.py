"""pytest plug-in with the options of ``slembench.suite``, the tests of a model that ship with the package.

    pytest --pyargs slembench.suite --slembench-model=package.module:Model --slembench-dataset=mos2-mini

The entry point loads it at every start of pytest in an environment with slembench, in projects of all kinds. So it
imports nothing but pytest until one of its options names a model, and touches no tests but those of the suite.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

SUITE = Path(__file__).parent

MODEL_OPTIONS = ("--slembench-model", "--slembench-checkpoint")
"""Options that name what to test; the suite runs where one is given."""

OPTIONS = {
    "--slembench-model": "model to test: a shipped name such as slem, a folder with model.py, package.module:Class, or "
    "the folder of a run or checkpoint",
    "--slembench-checkpoint": "folder of a run or of a checkpoint to test instead",
    "--slembench-dataset": "data set: a name from `slembench data list`, or a folder (default: mos2-mini)",
    "--slembench-split": "held-out split (default: test)",
    "--slembench-variant": "variant of the model's recipe, such as quickstart",
    "--slembench-steps": "steps of training before the accuracy is measured (default: 10), or `recipe`: as that says",
    "--slembench-gate": "YAML file with limits of metrics; each becomes a test",
    "--slembench-out": "file for the record of this session (YAML)",
    "--slembench-run": "folder to keep the run in, for `slembench board` and `submit` (default: a temporary one)",
}
"""Option -> help text; none has a default here, so that one that is given without a model is noticed."""

CHANGE = "--slembench-set"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all of them without effect on other tests."""
    group = parser.getgroup("slembench", "tests of a model of DFT operators (pytest --pyargs slembench.suite)")
    for option, text in OPTIONS.items():
        group.addoption(option, metavar=option.rpartition("-")[2].upper(), help=text)
    group.addoption(CHANGE, action="append", metavar="KEY=VALUE", help="change a setting of the recipe; repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and start the suite's session where they name a model."""
    given = [option for option in (*OPTIONS, CHANGE) if config.getoption(option) is not None]
    if any(option in given for option in MODEL_OPTIONS):
        with warnings.catch_warnings():
            # torch and its libraries are imported here, before pytest collects warnings: they would be printed raw
            warnings.simplefilter("ignore", DeprecationWarning)
            from slembench.suite import session

            session.start(config)
    elif given:
        raise pytest.UsageError(f"{given[0]} needs {' or '.join(MODEL_OPTIONS)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the suite's tests where no option names a model."""
    if any(config.getoption(option) is not None for option in MODEL_OPTIONS):
        return
    suite = [item for item in items if item.path.parent == SUITE]
    if suite:
        config.hook.pytest_deselected(items=suite)
        items[:] = [item for item in items if item.path.parent != SUITE]


def pytest_report_collectionfinish(config: pytest.Config, start_path: Path, items: list[pytest.Item]) -> str:
    """Say why the suite's tests were deselected."""
    asked = any(argument.startswith("slembench.suite") for argument in config.args)
    if asked and not items and not any(config.getoption(option) is not None for option in MODEL_OPTIONS):
        return f"slembench.suite: nothing to test; say what with {' or '.join(MODEL_OPTIONS)}"
    return ""
