"""The toy model and its structures (toy.py), for the tests of this folder."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toy():
    spec = importlib.util.spec_from_file_location("slembench_tests_toy", Path(__file__).with_name("toy.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def train_graphs(toy):
    return toy.graphs(range(7))


@pytest.fixture(scope="session")
def val_graphs(toy):
    return toy.graphs(range(100, 103))
