"""`import slembench` gives the public functions, whatever was imported before."""

import subprocess
import sys
from pathlib import Path

import pytest

import slembench


@pytest.mark.parametrize("name", sorted(set(slembench.__all__) - {"__version__"}))
def test_public_names_are_functions(name):
    assert callable(getattr(slembench, name))
    assert getattr(slembench, name).__name__ == name
    assert name in dir(slembench)


def test_no_package_has_the_name_of_a_public_function():
    modules = {path.stem for path in Path(slembench.__file__).parent.iterdir()}
    assert not modules & set(slembench.__all__)


def test_a_package_imported_first_does_not_hide_a_function():
    names = sorted(set(slembench.__all__) - {"__version__"})
    packages = (
        "slembench.leaderboard, slembench.evaluation.evaluate, slembench.inference.predict, slembench.harness.run"
    )
    code = f"import {packages}\nprint(*(type(getattr(slembench, n)).__name__ for n in {names}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["function"] * len(names)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = slembench.nothing
