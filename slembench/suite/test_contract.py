"""Contract of a model: declarations, shapes and dtype of the output, gradients, batches, checkpoint, training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from slembench.suite.model_under_test import ModelUnderTest
    from slembench.suite.session import RecordValue

EXACT = 1e-8
"""Largest relative difference of float64 results that should be equal."""


def test_declarations(under_test: ModelUnderTest, record_value: RecordValue) -> None:
    """Symmetry, inputs and receptive field are among those that the contract defines; there are parameters to train."""
    import math

    model = under_test.model
    field = model.receptive_field
    reach = [r if math.isfinite(r) else None for r in (field.onsite, field.pair)]  # YAML and JSON have no infinity
    about = {
        "name": model.name or type(model).__name__,
        "symmetry": model.symmetry,
        "inputs": list(model.inputs),
        "targets": list(model.targets),
        "parameters": model.n_parameters,
        "onsite_reads": reach[0],
        "pair_reads": reach[1],
    }
    record_value("about", "model", about)
    assert model.symmetry in ("O3", "SO3", "none")
    assert set(model.inputs) <= {"S", "H0"}, "inputs beyond the structure: S and H0 are known"
    assert field.onsite >= 0
    assert field.pair >= 0
    assert model.n_parameters > 0, "no parameter requires a gradient"


def test_unknown_settings_are_refused(under_test: ModelUnderTest) -> None:
    """The configuration refuses an unknown key: a misspelt setting must not be ignored."""
    config = type(under_test.model).Config
    with pytest.raises(ValueError, match="no_such_setting"):
        config.model_validate({**under_test.model.config.model_dump(), "no_such_setting": 1})


def test_output(under_test: ModelUnderTest) -> None:
    """A graph gives every target for each atom and pair, in the layout of the basis and the dtype of the model."""
    import torch

    from slembench.suite.checks import structure_graph

    model = under_test.model
    graph = structure_graph(model, under_test.structures()[0])
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


def test_gradients(under_test: ModelUnderTest) -> None:
    """Parameters have gradients: finite, and not all of them zero."""
    from slembench.suite.checks import parameter_gradients

    largest = parameter_gradients(under_test.model, under_test.structures()[0])
    assert largest, "no parameter has a gradient"
    assert all(value < float("inf") for value in largest.values()), "a gradient is not finite"
    assert max(largest.values()) > 0, "all gradients are zero"


def test_batch(under_test: ModelUnderTest, record_value: RecordValue) -> None:
    """Structures of a batch do not interact: features equal those of each structure alone."""
    from slembench.suite.checks import batch_error

    error = batch_error(under_test.model, under_test.structures(3))
    record_value("contract", "batch", error)
    assert error < EXACT


def test_single_atom(under_test: ModelUnderTest) -> None:
    """One atom without neighbours, alone and in a batch: sums over no pairs."""
    from slembench.suite.checks import batch_error

    first = under_test.structures()[0]
    # no pair at all: sums over neighbours, normalisations and batch offsets must bear empty tensors
    atom = first[[0]]
    atom.pbc = False
    assert batch_error(under_test.model, [atom, first]) < EXACT


def test_checkpoint(under_test: ModelUnderTest, record_value: RecordValue, tmp_path: Path) -> None:
    """A checkpoint that is written and read again gives the same predictions."""
    from slembench.suite.checks import checkpoint_error

    error = checkpoint_error(under_test.model, under_test.source, under_test.structures()[0], tmp_path)
    record_value("contract", "checkpoint", error)
    assert error < EXACT


def test_training(under_test: ModelUnderTest) -> None:
    """A short training, the prediction of the split and its scores finish without error."""
    from slembench.suite.shared_results import ComputationError

    if under_test.job is None:
        pytest.skip("given as a checkpoint")
    try:
        training = under_test.run().training
    except ComputationError as failure:
        pytest.fail(f"{failure}\n\n{failure.trace}", pytrace=False)
    assert training is not None
    assert training.steps > 0
