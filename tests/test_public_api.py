"""`import slembench` gives the public functions, whatever was imported before, also where a module has their name."""

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
@pytest.mark.parametrize("first", ["import slembench.{0}", "from slembench import {0}", "import slembench; slembench.{0}"])
def test_a_module_of_the_same_name_does_not_hide_the_function(module, first):
    code = f"{first.format(module)}\nimport slembench.{module}, slembench\nprint(type(slembench.{module}).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "function\n"


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = slembench.nothing
