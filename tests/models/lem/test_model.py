"""LEM keeps the contract, and sees exactly as far as it says."""

import numpy as np
import pytest

from slembench.models.lem.model import Lem
from slembench.suite.checks import contract_report, outside_gradient

from ..conftest import small_slem

EXACT = 1e-10


@pytest.mark.parametrize("symmetry", ["O3", "SO3"])
@pytest.mark.parametrize("targets", [("hamiltonian", "overlap"), ("hamiltonian", "density")])
def test_contract(layer, symmetry, targets):
    report = contract_report(small_slem(symmetry, targets, kind=Lem), layer)
    inversion = report.pop("inversion")
    assert all(error < EXACT for error in report.values()), report
    assert inversion < EXACT if symmetry == "O3" else inversion > 1e-3


@pytest.mark.parametrize(("n_layers", "i", "j"), [(1, 0, None), (2, 0, None), (1, 0, 1), (2, 0, 1), (3, 0, 1)])
def test_receptive_field_grows_with_the_layers(chain, n_layers, i, j):
    model = small_slem("O3", kind=Lem, n_layers=n_layers)
    gradient, outside = outside_gradient(model, chain, i, j)
    assert outside > 0
    assert gradient == 0.0


@pytest.mark.parametrize(("n_layers", "j"), [(1, None), (2, None), (2, 1), (3, 1)])
def test_it_looks_beyond_one_cutoff(chain, n_layers, j):
    """With the field stated one cutoff too small, atoms outside it do matter."""
    model = small_slem("O3", kind=Lem, n_layers=n_layers)
    field, cutoff = model.receptive_field, model.pair_cutoff
    short = type(field)(field.onsite - cutoff, field.pair - cutoff, False)
    model.__class__ = type("Short", (Lem,), {"receptive_field": short})
    gradient, _ = outside_gradient(model, chain, 0, j)
    assert gradient > 1e-9


def test_smaller_than_slem(layer):
    slem, lem = small_slem("O3"), small_slem("O3", kind=Lem)
    assert lem.n_parameters < slem.n_parameters
    assert np.isclose(lem.receptive_field.pair, 2 * slem.receptive_field.pair)
