"""Predict the operators of a split with a trained model, one structure after the other, into a predictions file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from slembench.core.errors import ConfigError
from slembench.core.progress import progress
from slembench.data import Dataset
from slembench.data.graph import OperatorGraph, build_graph
from slembench.inference.chunked import features
from slembench.models.contract import OperatorModel
from slembench.nn.kernels.matmul import batch_invariant_matmul
from slembench.operators.blocks import BlockMatrix
from slembench.predictions import PredictionWriter
from slembench.training.numerics import numerics


@dataclass(frozen=True)
class InferenceCost:
    """Measured cost of predictions, from positions to blocks: with neighbour list and frames, without files.

    Attributes:
        ms_per_atom: milliseconds per atom, median over structures.
        pairs_per_atom: predicted pairs (both directions, on-site ones included) per atom, over all structures.
        structures: how many.
        wall_s: seconds in all, files included.
    """

    ms_per_atom: float
    pairs_per_atom: float
    structures: int
    wall_s: float


@torch.no_grad()
@batch_invariant_matmul()
def predict_blocks(model: OperatorModel, graph: OperatorGraph) -> dict[str, BlockMatrix]:
    """Operators of one structure.

    Args:
        model: in evaluation mode.
        graph: of one structure (no batch), on the CPU; float64, so that vectors and frames are exact.

    Returns:
        operator -> complete Hermitian blocks, float64, on the on-site and the graph's pairs, in the data's unit.
    """
    # Irreps features of unit scale -> blocks in the data's unit. Of a pair of shells a <= b are predicted; those with
    # a > b are the transposes of the reverse pair's, which makes the operator Hermitian.
    numbers, index, shift = graph.numbers.numpy(), graph.pair_index.numpy().T, graph.pair_shift.numpy()
    return {
        name: model.layout.to_blocks(numbers, value.onsite.double().numpy(), value.pair.double().numpy(), index, shift)
        for name, value in features(model, graph).items()
    }


def predict(
    model: OperatorModel,
    dataset: Dataset,
    path: str | Path,
    *,
    split: str = "test",
    ids: Sequence[str] | None = None,
    model_name: str | None = None,
    precision: str | None = None,
) -> InferenceCost:
    """Predict a split of a data set and write the predictions file.

    Args:
        model: a trained model; its dtype and device are used.
        dataset: gives the structures, the unit and the fingerprint; only positions, cells and species are looked at.
        path: predictions file to write; appears, whole, at the end.
        split: name of the split, as it will be written in the file.
        ids: structures to predict; by default all of the split.
        model_name: name of the model in the file; by default ``model.name``.
        precision: precision word of float32 products; see `slembench.training.numerics`.

    Raises:
        ConfigError: the model's basis or cutoffs are not those of the data set.

    Example:
        An untrained model, on one structure:

        >>> import tempfile
        >>> from slembench.data import load_dataset
        >>> from slembench.models.registry import load_model_class
        >>> from slembench.predictions import read_predictions
        >>> data, kind = load_dataset("gan-mini"), load_model_class("slem")
        >>> model = kind(kind.Config(n_layers=1), data.basis, data.cutoffs)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cost = predict(model, data, f"{folder}/predictions.h5", ids=data.split("test")[:1])
        ...     with read_predictions(f"{folder}/predictions.h5") as predictions:
        ...         cost.structures, len(predictions), predictions.operators
        (1, 1, ('hamiltonian',))
    """
    check_match(model, dataset)
    started, times, n_pairs, n_atoms = time.perf_counter(), [], 0, 0
    parameter, wanted = next(model.parameters()), dataset.split(split) if ids is None else ids
    model.eval()  # dropout off
    with (
        numerics(parameter.device.type, precision, sizes=len(wanted), uses_native_kernels=model.uses_native_kernels),
        PredictionWriter(
            path,
            dataset=dataset.name,
            dataset_fingerprint=dataset.fingerprint,
            split=split,
            model=model_name or model.name,
            basis=dataset.basis,
            energy_unit=dataset.card.units.energy,
        ) as writer,
    ):
        for structure in progress(wanted, f"predict {split}"):
            sample = dataset.sample(structure)
            # the sample is read before: the clock runs from positions to blocks
            begun = time.perf_counter()
            # float64 geometry also for float32 models: differences of positions lose digits, angles of frames more
            graph = build_graph(sample.atoms, model.cutoffs, model.layout, dtype=torch.float64)
            operators = predict_blocks(model, graph)
            times.append(1e3 * (time.perf_counter() - begun) / len(sample.atoms))
            writer.add(structure, np.asarray(sample.atoms.numbers), operators)
            # the graph holds both directions of every pair; on-site blocks are one more an atom
            n_pairs += graph.pair_type.shape[0] + len(sample.atoms)
            n_atoms += len(sample.atoms)
    wall = time.perf_counter() - started
    # median: the first structure also pays for compilation and for filling caches
    return InferenceCost(float(np.median(times)), n_pairs / n_atoms, len(times), wall)


def check_match(model: OperatorModel, dataset: Dataset) -> None:
    """Raises a ConfigError where the model's basis or cutoffs are not those of the data set."""
    for what, own, data in (
        ("basis", model.basis.to_dict(), dataset.basis.to_dict()),
        ("cutoffs", model.cutoffs, dataset.cutoffs),
    ):
        if own != data:
            raise ConfigError(
                f"model {model.name} was trained for {what} {own}, data set {dataset.name} has {data}; "
                "choose a checkpoint that was trained on such data"
            )
