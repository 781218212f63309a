"""Size, receptive field and symmetry errors of a model as its recipe builds it, measured on an untrained one.

`slembench.models.facts` keeps them in the ``expected.yaml`` of the model's folder, where lists of models read them.
"""

from __future__ import annotations

import math
from pathlib import Path

import ase
import numpy as np
import torch

from slembench.core.errors import ConfigError
from slembench.data import load_dataset
from slembench.harness.recipe import load_recipe
from slembench.models.facts import EXPECTED_FILE, ModelFacts, Reach
from slembench.models.registry import model_folder
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import random_rotation
from slembench.results.expected import Expected, read_expected, write_expected
from slembench.suite.checks import equivariance_error, generic_model

DATASET = "mos2-mini"
"""Data set whose basis (to l = 2) and cutoffs the stored facts of all shipped models are measured with."""


def measure_facts(model: str, dataset: str | Path = DATASET, variant: str = "") -> ModelFacts:
    """Build a model with random weights and measure it; takes seconds.

    Args:
        model: name, folder, class or entry point, as ``--model`` takes it.
        dataset: name or folder of the data set that gives basis and cutoffs.
        variant: of the model's recipe.

    Returns:
        Facts of the untrained model; errors with two digits.

    Raises:
        ConfigError: no such model or variant.
        DataError: no such data set.
    """
    data = load_dataset(dataset)
    # a recipe may leave the budget to its user; nothing is trained here, so any budget will do
    settings = load_recipe(model, variant=variant, changes=["training.max_steps=1"])
    targets = settings.targets or ("hamiltonian",)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # random weights are other ones in float64, and so are errors that are large
    try:
        built = generic_model(settings.kind, settings.model, data.basis, data.cutoffs, targets)
    finally:
        torch.set_default_dtype(default)
    atoms = cluster_without_symmetry(data.basis)
    rotation, inversion = (
        max(equivariance_error(built, atoms, matrix).values()) for matrix in (random_rotation(0), -np.eye(3))
    )
    field = built.receptive_field
    onsite, pair = (round(r, 6) if math.isfinite(r) else None for r in (field.onsite, field.pair))
    return ModelFacts(
        dataset=data.name,
        variant=variant,
        symmetry=built.symmetry,
        inputs=tuple(built.inputs),
        parameters=built.n_parameters,
        receptive_field=Reach(onsite=onsite, pair=pair),
        rotation_error=float(f"{rotation:.1e}"),
        inversion_error=float(f"{inversion:.1e}"),
    )


def write_facts(model: str, facts: ModelFacts) -> Path:
    """Store facts in the ``expected.yaml`` of a model's folder, beside what the file says of runs; returns its path.

    Raises:
        ConfigError: the model has no folder.
        DataError: an ``expected.yaml`` that cannot be read.
    """
    folder = model_folder(model)
    if folder is None:
        raise ConfigError(f"model {model}: has no folder to keep {EXPECTED_FILE} in")
    known = (folder / EXPECTED_FILE).is_file()
    expected = read_expected(folder) if known else Expected(description="No run was measured yet.", runs={})
    return write_expected(folder, expected.model_copy(update={"measured": facts}))


def cluster_without_symmetry(basis: Basis) -> ase.Atoms:
    """Five or more atoms, each element of the basis at least once, in a random chain of 2 Angstrom steps."""
    numbers = list(basis.elements) * max(1, -(-5 // len(basis.elements)))
    # steps lean towards +x, so that the chain does not fold back onto itself
    steps = np.random.default_rng(0).normal(loc=[1.5, 0, 0], size=(len(numbers), 3))
    steps *= 2.0 / np.linalg.norm(steps, axis=1, keepdims=True)
    return ase.Atoms(numbers, np.cumsum(steps, axis=0))
