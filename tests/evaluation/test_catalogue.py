"""Every score and check really comes from the function that the catalogue names: spoil it, and the number changes."""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from ase.build import mx2

from slembench.data.card import ScfProtocol
from slembench.data.pyscf import ScfRun
from slembench.evaluation import evaluate, scf
from slembench.evaluation.sources import EnsembleSource
from slembench.metrics.catalogue import catalogue
from slembench.metrics.physics import physics_report
from slembench.metrics.scores import ScoreName
from slembench.results import exponents

from ..metrics.test_physics import CUTOFFS, REACH, model
from .test_columns import Given

NEED_RUNS = ("run", "study")  # forms whose numbers come from a run or several, not from an evaluation


def spoil(result):
    """The same kind of result with other numbers, finite where they were."""
    if isinstance(result, Mapping):
        return {key: spoil(value) for key, value in result.items()}
    if isinstance(result, pd.DataFrame):
        return result.assign(**{name: 1.5 * result[name] + 1 for name in ("mae", "abs_sum")})
    if isinstance(result, np.ndarray):
        return 1.5 * result + 1 if result.dtype.kind == "f" else result
    if isinstance(result, tuple):
        return tuple(spoil(value) for value in result)
    if is_dataclass(result):
        return replace(result, **{f.name: spoil(getattr(result, f.name)) for f in fields(result)})
    if isinstance(result, int):
        return result + 7
    return -1.5 * result - 1 if isinstance(result, float) else result


def spoil_function(path, monkeypatch):
    """Replace a function of the package in every module that has imported it."""
    module, name = path.rsplit(".", 1)
    function = getattr(import_module(module), name)

    def spoiled(*args, **options):
        return spoil(function(*args, **options))

    for other in [m for key, m in sys.modules.items() if key.split(".")[0] == "slembench"]:
        for attribute in [key for key, value in vars(other).items() if value is function]:
            monkeypatch.setattr(other, attribute, spoiled)


@pytest.fixture(scope="module")
def datasets(crystals, molecules):
    """Data sets whose cards name everything that a metric may need; PySCF's runs are made up."""
    patch = pytest.MonkeyPatch()
    for dataset in (crystals, molecules):
        given = Given(dataset, ("hamiltonian",))
        hard = {"baseline": "made up", "samples": given.ids[:2]}
        hard["blocks"] = dict.fromkeys(dataset.card.operators, ("B", "s1", "N", "p1"))
        challenging = type(dataset.card).model_fields["challenging"].annotation.__args__[0]
        update = {"challenging": challenging(**hard)}
        if not dataset.card.periodic:
            update["scf"] = ScfProtocol(code="PySCF", functional="b3lyp5", basis="def2-svp", grid_level=1)
        patch.setattr(dataset, "card", dataset.card.model_copy(update=update))
    guess = ScfRun(12, True, -76.0, -75.5, tuple(0.5**n for n in range(12)))
    run = ScfRun(5, True, -76.0, -75.9, tuple(0.1**n for n in range(5)))
    patch.setattr(scf, "converge", lambda atoms, protocol, target, density=None: guess if density is None else run)
    patch.setattr(scf, "one_shot_energy", lambda atoms, protocol, density: (-75.9, np.zeros(density.shape)))
    yield crystals, molecules
    patch.undo()


def numbers_of(datasets):
    """(metric, where, name) -> number, of an evaluation of each data set and of the checks of a made-up model."""
    numbers = {}
    for dataset in datasets:
        ensemble = EnsembleSource([Given(dataset, dataset.card.operators, seed=seed) for seed in (1, 2)])
        periodic = dataset.card.periodic
        result = evaluate(dataset, ensemble, path=periodic, scf=not periodic, threads=1)
        for name, score in result.scores.items():
            numbers[ScoreName.parse(name).metric, dataset.name, name] = score.value
        for metric, table in (("mae_block", result.blocks), ("mae_by_distance", result.distances)):
            for operator, part in table.groupby("operator"):
                numbers[metric, dataset.name, operator] = part["mae"].sum()
    checks = physics_report(model, mx2("MoS2", a=3.18, vacuum=6), CUTOFFS, REACH)
    return numbers | {(name, "model", name): check.value for name, check in checks.items()}


@pytest.fixture(scope="module")
def numbers(datasets):
    return numbers_of(datasets)


def test_every_metric_is_computed(numbers):
    expected = {name for name, metric in catalogue().items() if metric.form not in NEED_RUNS}
    assert {metric for metric, _, _ in numbers} == expected
    assert np.isfinite(list(numbers.values())).all()


@pytest.mark.parametrize("path", sorted({m.function for m in catalogue().values() if m.form not in NEED_RUNS}))
def test_numbers_come_from_the_function_that_the_catalogue_names(path, datasets, numbers, monkeypatch):
    spoil_function(path, monkeypatch)
    spoiled = numbers_of(datasets)
    metrics = [name for name, metric in catalogue().items() if metric.function == path]
    for key, number in numbers.items():
        if key[0] in metrics:
            assert spoiled[key] != number, key


@pytest.mark.parametrize("name", [name for name, metric in catalogue().items() if metric.form in NEED_RUNS])
def test_what_runs_give(name):
    """Costs stand in the record under the metric's name, exponents come from a fit that the studies call."""
    module, attribute = catalogue()[name].function.rsplit(".", 1)
    source = getattr(import_module(module), attribute)
    if catalogue()[name].form == "run":
        assert name.removeprefix("train_" if name == "train_steps" else "") in source.model_fields
    else:
        assert source in vars(exponents).values()
