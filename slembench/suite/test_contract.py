"""The contract: what the model says of itself, what it returns, and that it trains and is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from slembench.suite.session import Note
    from slembench.suite.subject import Subject

EXACT = 1e-8
"""Largest relative difference of float64 results that should be equal."""


def test_declarations(subject: Subject, note: Note) -> None:
    """Name, symmetry, inputs, cutoffs and receptive field are what the contract knows."""
    import math

    model = subject.model
    field = model.receptive_field
    reach = [r if math.isfinite(r) else None for r in (field.onsite, field.pair)]
    about = {
        "name": model.name or type(model).__name__,
        "symmetry": model.symmetry,
        "inputs": list(model.inputs),
        "targets": list(model.targets),
        "parameters": model.n_parameters,
        "onsite_reads": reach[0],
        "pair_reads": reach[1],
    }
    note("about", "model", about)
    assert model.symmetry in ("O3", "SO3", "none")
    assert set(model.inputs) <= {"S", "H0"}, "inputs beyond the structure: S and H0 are known"
    assert field.onsite >= 0
    assert field.pair >= 0
    assert model.n_parameters > 0, "no parameter requires a gradient"


def test_unknown_settings_are_refused(subject: Subject) -> None:
    """The configuration refuses a key that it does not know: a misspelt one must not be lost."""
    config = type(subject.model).Config
    with pytest.raises(ValueError, match="no_such_setting"):
        config.model_validate({**subject.model.config.model_dump(), "no_such_setting": 1})


def test_output(subject: Subject) -> None:
    """A graph gives every target for each atom and pair, in the layout of the basis and the dtype of the model."""
    import torch

    from slembench.suite.checks import structure_graph

    model = subject.model
    graph = structure_graph(model, subject.structures()[0])
    with torch.no_grad():
        result = model(graph)
    size, dtype = model.layout.n_features, next(model.parameters()).dtype
    assert set(result) == set(model.targets)
    for name, features in result.items():
        shapes = {"onsite": (int(graph.num_nodes), size), "pair": (graph.pair_index.shape[1], size)}
        for part, shape in shapes.items():
            value = getattr(features, part)
            assert tuple(value.shape) == shape, f"{name}: {part} features"
            assert value.dtype == dtype, f"{name}: {part} features"


def test_gradients(subject: Subject) -> None:
    """The output leads back to parameters, with finite gradients."""
    from slembench.suite.checks import parameter_gradients

    largest = parameter_gradients(subject.model, subject.structures()[0])
    assert largest, "no parameter has a gradient"
    assert all(value < float("inf") for value in largest.values()), "a gradient is not finite"
    assert max(largest.values()) > 0, "all gradients are zero"


def test_batch(subject: Subject, note: Note) -> None:
    """Structures of a batch do not see each other."""
    from slembench.suite.checks import batch_error

    error = batch_error(subject.model, subject.structures(3))
    note("contract", "batch", error)
    assert error < EXACT


def test_single_atom(subject: Subject) -> None:
    """One atom without neighbours, alone and in a batch: sums over no pairs."""
    from slembench.suite.checks import batch_error

    first = subject.structures()[0]
    atom = first[[0]]
    atom.pbc = False
    assert batch_error(subject.model, [atom, first]) < EXACT


def test_checkpoint(subject: Subject, note: Note, tmp_path: Path) -> None:
    """Weights that are written and read again predict the same."""
    from slembench.suite.checks import checkpoint_error

    error = checkpoint_error(subject.model, subject.source, subject.structures()[0], tmp_path)
    note("contract", "checkpoint", error)
    assert error < EXACT


def test_training(subject: Subject) -> None:
    """A short training, predictions and scores go through."""
    from slembench.suite.shared import Failure

    if subject.job is None:
        pytest.skip("given as a checkpoint")
    try:
        training = subject.run().training
    except Failure as failure:
        pytest.fail(f"{failure}\n\n{failure.trace}", pytrace=False)
    assert training is not None
    assert training.steps > 0
