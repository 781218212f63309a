"""Operators of one structure by a model, and its physics checks on the CPU in float64."""

from __future__ import annotations

import copy
from functools import partial

import ase

from slembench.data.graph import build_graph
from slembench.inference.predict import predict_blocks
from slembench.metrics.physics import Check, physics_report
from slembench.models.contract import OperatorModel
from slembench.operators.blocks import BlockMatrix


def structure_blocks(model: OperatorModel, atoms: ase.Atoms) -> dict[str, BlockMatrix]:
    """Predict every target operator of one structure, in the dtype of the model.

    Args:
        model: the model, on the CPU; left as it is.
        atoms: positions and cell in Angstrom.

    Returns:
        operator -> complete Hermitian blocks, float64, in the unit of the data that the model was trained on.

    Example:
        >>> from slembench.models.slem.model import Slem
        >>> from slembench.operators.orbitals import Basis
        >>> config = Slem.Config(irreps_hidden="4x0e+4x1o+4x1e+4x2e", init_multiplicity=4, n_layers=1, latent_dim=8,
        ...                      latent_channels=[8], radial_channels=4)
        >>> model = Slem(config, Basis.parse({"H": "1s1p"}), {1: 3.0}, ["overlap"])  # Angstrom; weights of no training
        >>> overlap = structure_blocks(model.eval(), ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]))["overlap"]
        >>> overlap.dense().shape, overlap.hermiticity_error()
        ((8, 8), 0.0)
    """
    dtype = next(model.parameters()).dtype
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=dtype)
    return predict_blocks(model, graph)


def model_physics(model: OperatorModel, atoms: ase.Atoms, *, largest: int = 400) -> dict[str, Check]:
    """`slembench.metrics.physics.physics_report` of a float64 copy of a model, with the receptive field it states.

    Args:
        model: the model; left as it is.
        atoms: structure.
        largest: atoms of the largest structure that is predicted for a check.
    """
    # float64: rounding errors of float32 are as large as the limits of the checks
    exact = copy.deepcopy(model).cpu().double().eval()
    field = exact.receptive_field
    reach = (field.onsite, field.pair)
    return physics_report(partial(structure_blocks, exact), atoms, exact.cutoffs, reach, largest=largest)
