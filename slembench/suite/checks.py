"""Checks of the model contract, for our own tests and for users' models.

Every function takes an `OperatorModel` in float64 and structures, returns measured numbers, and asserts nothing;
`contract_report` gathers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import ase
import numpy as np
import torch
from torch_geometric.data import Batch

from slembench.data.graph import OperatorGraph, build_graph
from slembench.inference.physics import structure_blocks
from slembench.metrics import physics
from slembench.models.contract import ModelConfig, OperatorModel
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis, FloatArray, IntArray
from slembench.operators.rotations import random_rotation
from slembench.training.checkpoint import Checkpoint, load_model, model_description, save_checkpoint


def relative_difference(result: BlockMatrix, expected: BlockMatrix) -> float:
    """Largest |result - expected| / mean |expected|, over the pairs of either; an absent block is zero.

    Example:
        >>> from slembench.operators.orbitals import Basis
        >>> basis, numbers = Basis.parse({"H": "1s"}), np.array([1, 1])
        >>> a = BlockMatrix.from_dense(basis, numbers, np.array([[1.0, 0.5], [0.5, 1.0]]))
        >>> relative_difference(a * 1.1, a) < 0.14  # 0.1 over a mean of 0.75
        True
    """
    return physics.deviation(result, expected).largest


def equivariance_error(model: OperatorModel, atoms: ase.Atoms, rotation: FloatArray) -> dict[str, float]:
    """Largest |M(Q x) - D(Q) M(x) D(Q)^T| / mean |M| for each target.

    Args:
        model: float64 model.
        atoms: structure.
        rotation: (3, 3) orthogonal Q, proper or not.

    Example:
        >>> from slembench.models.slem.model import Slem
        >>> config = Slem.Config(irreps_hidden="4x0e+4x1o+4x1e+4x2e", init_multiplicity=4, n_layers=1, latent_dim=8,
        ...                      latent_channels=[8], radial_channels=4)
        >>> model = generic_model(Slem, config, Basis.parse({"H": "1s1p"}), {1: 3.0}, ["overlap"])
        >>> h2 = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
        >>> equivariance_error(model, h2, random_rotation(0))["overlap"] < 1e-10
        True
    """
    return _largest(physics.rotation_error(partial(structure_blocks, model), atoms, rotation))


def translation_error(model: OperatorModel, atoms: ase.Atoms, shift: FloatArray) -> dict[str, float]:
    """Relative difference after moving all atoms by ``shift`` (3,) | Angstrom, not wrapped into the cell."""
    return _largest(physics.translation_error(partial(structure_blocks, model), atoms, shift))


def wrapping_error(model: OperatorModel, atoms: ase.Atoms) -> dict[str, float]:
    """Relative difference after moving the first atom by a lattice vector, which only relabels its pairs."""
    # r_0 -> r_0 + a leaves every vector r_j + R - r_i, so that M_0j(R) becomes M_0j(R + a) and M_j0(R) M_j0(R - a)
    crossed = np.zeros((len(atoms), 3), dtype=np.int64)
    crossed[0, np.flatnonzero(atoms.pbc)[0]] = -1
    moved = atoms.copy()
    moved.positions -= crossed @ atoms.cell.array
    before, after = structure_blocks(model, atoms), structure_blocks(model, moved)
    return {
        name: relative_difference(physics.relabelled(blocks, crossed), before[name]) for name, blocks in after.items()
    }


def permutation_error(model: OperatorModel, atoms: ase.Atoms, order: Sequence[int] | IntArray) -> dict[str, float]:
    """Relative difference after reordering the atoms by ``order`` (N,), the blocks reordered back."""
    return _largest(physics.permutation_error(partial(structure_blocks, model), atoms, np.asarray(order)))


def _largest(errors: Mapping[str, physics.Deviation]) -> dict[str, float]:
    return {name: error.largest for name, error in errors.items()}


def outside_gradient(model: OperatorModel, atoms: ase.Atoms, i: int, j: int | None = None) -> tuple[float, int]:
    """Largest |d features / d position| over atoms outside the receptive field of one block.

    Args:
        model: float64 model.
        atoms: structure without periodic images within reach of the block.
        i: atom of the on-site block, or first atom of the pair.
        j: second atom of the pair (R = 0), or None for the on-site block of ``i``.

    Returns:
        The largest gradient component outside (1 / Angstrom times the unit of the data), and the number of atoms there.

    Raises:
        ValueError: pair (i, j) is beyond the cutoff.
    """
    graph = build_graph(atoms, model.cutoffs, model.layout, dtype=torch.float64)
    positions = graph.positions.clone().requires_grad_(True)
    first, second = graph.pair_index
    # the same vectors as before, now as differentiable functions of the positions
    moved = positions - positions.detach()
    graph.pair_vector = graph.pair_vector + moved[second] - moved[first]
    result = model(graph)
    if j is None:
        total = sum(f.onsite[i].square().sum() for f in result.values())
    else:
        rows = ((first == i) & (second == j) & (graph.pair_shift == 0).all(dim=1)).nonzero().flatten()
        if not len(rows):
            raise ValueError(f"atoms {i} and {j} are no pair of this model")
        total = sum(f.pair[rows[0]].square().sum() for f in result.values())
    # features that do not depend on positions at all, such as a constant per element
    if not isinstance(total, torch.Tensor) or not total.requires_grad:
        return 0.0, len(atoms)
    (gradient,) = torch.autograd.grad(total, positions)
    field = model.receptive_field
    reach = field.onsite if j is None else field.pair  # from the atom, and from either atom of the pair
    centres = [i] if j is None else [i, j]
    distance = np.min([np.linalg.norm(atoms.positions - atoms.positions[c], axis=1) for c in centres], axis=0)
    outside = distance > reach
    return float(gradient[torch.from_numpy(outside)].abs().max()) if outside.any() else 0.0, int(outside.sum())


def contract_report(model: OperatorModel, atoms: ase.Atoms, seed: int = 0) -> dict[str, float]:
    """Worst error over all targets of each contract property.

    Args:
        model: float64 model.
        atoms: periodic structure.
        seed: of the random rotation and permutation.

    Returns:
        rotation, inversion, translation, wrapping, permutation, hermiticity -> relative error.
    """
    order = np.random.default_rng(seed).permutation(len(atoms))
    blocks = structure_blocks(model, atoms)
    hermiticity = [b.hermiticity_error() / max(float(np.abs(b.values).mean()), 1e-300) for b in blocks.values()]
    return {
        "rotation": max(equivariance_error(model, atoms, random_rotation(seed)).values()),
        "inversion": max(equivariance_error(model, atoms, -np.eye(3)).values()),  # O(3), where rotations are SO(3)
        "translation": max(translation_error(model, atoms, np.array([0.3, -0.2, 0.1])).values()),
        "wrapping": max(wrapping_error(model, atoms).values()) if np.any(atoms.pbc) else 0.0,
        "permutation": max(permutation_error(model, atoms, order).values()),
        "hermiticity": max(hermiticity),
    }


def generic_model(
    kind: type[OperatorModel],
    config: ModelConfig,
    basis: Basis,
    cutoffs: Mapping[int, float],
    targets: Sequence[str],
    *,
    seed: int = 0,
    spread: float = 0.05,
) -> OperatorModel:
    """An untrained model in float64 with random weights everywhere, also where the initial ones are zero.

    Residual weights and output layers often begin at zero; a part that contributes nothing would pass every check.

    Args:
        kind: model class.
        config: instance of its ``Config``.
        basis: shells per element.
        cutoffs: atomic number -> cutoff radius | Angstrom.
        targets: operators to predict.
        seed: of the weights.
        spread: standard deviation of what is added to every weight, in units of the root mean square of its tensor
            (of 1, where that is zero); deep sums over many neighbours overflow when small weights are moved by more.
    """
    torch.manual_seed(seed)
    model = kind(config, basis, cutoffs, targets).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            size = float(parameter.square().mean().sqrt()) if parameter.numel() else 0.0
            parameter.add_(spread * (size or 1.0) * torch.randn_like(parameter))
    model.activate_all_parts()
    return model


def structure_graph(model: OperatorModel, atoms: ase.Atoms) -> OperatorGraph:
    """Graph of one structure (positions in Angstrom) with the model's cutoffs and block layout, in its dtype."""
    return build_graph(atoms, model.cutoffs, model.layout, dtype=next(model.parameters()).dtype)


def batch_error(model: OperatorModel, structures: Sequence[ase.Atoms]) -> float:
    """Largest |features in a batch - features alone| / mean |feature|, over all targets and structures."""
    graphs = [structure_graph(model, atoms) for atoms in structures]
    with torch.no_grad():
        batched, alone = model(Batch.from_data_list(graphs)), [model(graph) for graph in graphs]
    worst = 0.0
    for name, result in batched.items():
        for part in ("onsite", "pair"):
            expected = torch.cat([getattr(features[name], part) for features in alone])
            scale = float(expected.abs().mean()) if expected.numel() else 1.0
            error = (getattr(result, part) - expected).abs()
            worst = max(worst, float(error.max()) / max(scale, 1e-300) if expected.numel() else 0.0)
    return worst


def repetition_error(model: OperatorModel, structures: Sequence[ase.Atoms]) -> float:
    """Relative difference of two predictions of the first structure, with those of the others in between."""
    before, *_ = [structure_blocks(model, atoms) for atoms in structures]
    after = structure_blocks(model, structures[0])
    return max(relative_difference(after[name], before[name]) for name in before)


def parameter_gradients(model: OperatorModel, atoms: ase.Atoms) -> dict[str, float]:
    """Parameter -> largest |d sum of squares of all features / d parameter|, of those that have a gradient."""
    model.zero_grad(set_to_none=True)
    result = model(structure_graph(model, atoms))
    torch.stack([f.onsite.square().sum() + f.pair.square().sum() for f in result.values()]).sum().backward()
    named = model.named_parameters()
    largest = {name: float(p.grad.abs().max()) for name, p in named if p.grad is not None and p.numel()}
    model.zero_grad(set_to_none=True)
    return largest


def checkpoint_error(model: OperatorModel, source: str, atoms: ase.Atoms, folder: Path) -> float:
    """Relative difference of predictions after the model was written as a checkpoint and read again.

    Args:
        model: the model.
        source: how `slembench.models.registry.load_model_class` finds its class.
        atoms: structure to predict, Angstrom.
        folder: empty folder to write to.
    """
    weights = dict(model.state_dict())
    save_checkpoint(folder, Checkpoint({"step": 0}, model_description(model, source), weights))
    before, after = structure_blocks(model, atoms), structure_blocks(load_model(folder), atoms)
    return max(relative_difference(after[name], before[name]) for name in before)
