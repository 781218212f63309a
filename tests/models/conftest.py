"""Structures and small models that the model tests share."""

import ase
import numpy as np
import pytest
import torch
from ase.build import mx2

from slembench.models.slem.model import Slem
from slembench.operators.orbitals import Basis

IRREPS = {"SO3": "8x0e+6x1o+6x2e+4x3o+4x4e", "O3": "8x0e+3x0o+6x1o+3x1e+6x2e+3x2o+4x3o+2x3e+4x4e+2x4o"}
BASIS = Basis.parse({"Mo": "2s1p1d", "S": "2s1p"})
CUTOFFS = {42: 6.0, 16: 5.0}


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_layer():
    """Rattled MoS2 2x2 with an extra S right above and one right below a Mo: pairs along + and - the polar axis."""
    atoms = mx2("MoS2", size=(2, 2, 1), vacuum=8.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.05, seed=1)
    mo = atoms.positions[atoms.numbers == 42][0]
    return atoms + ase.Atoms("S2", positions=mo + np.array([[0, 0, 3.5], [0, 0, -3.5]]))


def make_chain():
    """Long molecule-like row of Mo and S, for locality."""
    rng = np.random.default_rng(2)
    positions = np.arange(12)[:, None] * np.array([2.3, 0, 0]) + rng.normal(scale=0.3, size=(12, 3))
    return ase.Atoms("MoS" * 6, positions=positions)


layer = pytest.fixture(make_layer, name="layer")
chain = pytest.fixture(make_chain, name="chain")


def small_slem(symmetry="O3", targets=("hamiltonian", "overlap"), kind=Slem, **changes):
    """SLEM (or LEM) with generic (not initial) parameters, so that no term is hidden by a zero."""
    torch.manual_seed(0)
    options = {"n_layers": 2, "init_multiplicity": 5, "latent_dim": 16, "latent_channels": (16,), "radial_channels": 8}
    config = kind.Config(symmetry=symmetry, irreps_hidden=IRREPS[symmetry], **(options | changes))
    model = kind(config, BASIS, CUTOFFS, targets)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for statistics in model.statistics.values():
            statistics.onsite_shift.add_(torch.from_numpy(model.layout.scalar & model.layout.onsite_mask) * 0.3)
    model.set_average_neighbours(20.0)
    return model
