"""`import slembench` gives the public functions, whatever was imported before, also where a module has their name."""

import importlib
import inspect
import subprocess
import sys

import pytest

import slembench


@pytest.mark.parametrize("name", sorted(set(slembench.__all__) - {"__version__"}))
def test_public_names_are_functions(name):
    assert callable(getattr(slembench, name))
    assert getattr(slembench, name).__name__ == name
    assert name in dir(slembench)


@pytest.mark.parametrize("module", ["evaluate", "leaderboard"])
def test_a_module_of_the_same_name_does_not_hide_the_function(module):
    imported = importlib.import_module(f"slembench.{module}")
    function = getattr(slembench, module)
    assert inspect.isfunction(function)
    assert getattr(imported, module) is function


def test_a_module_imported_first_does_not_hide_the_function():
    code = "import slembench.leaderboard\nprint(type(slembench.leaderboard).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "function\n"


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = slembench.nothing
