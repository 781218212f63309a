"""The floors: zero is zero, the irreps mean is the mean of block traces and nothing else."""

import numpy as np
import pytest

from slembench.core.errors import ConfigError, DataError
from slembench.evaluation import evaluate
from slembench.evaluation.floors import FLOORS, IrrepsMean, floor_predictions
from slembench.operators.irreps import BlockIrreps
from slembench.operators.rotations import random_rotation

SHELLS = {5: [(0, 1), (1, 2), (2, 5)], 7: [(0, 1), (1, 4), (4, 9)]}  # B 2s1p, N 1s1p1d
L = {5: [0, 0, 1], 7: [0, 1, 2]}


def mean_block(dataset, op, z_i, z_j, onsite):
    """Mean of every block of equal shells' trace, by loops over the training structures."""
    size = {z: spans[-1][1] for z, spans in SHELLS.items()}
    total, count = np.zeros((size[z_i], size[z_j])), 0
    for sample in dataset.iterate(dataset.split("train")):
        matrix = sample.operators[op].complete()
        for p, (i, j) in enumerate(matrix.pair_index):
            is_onsite = i == j and not matrix.pair_shift[p].any()
            if (matrix.numbers[i], matrix.numbers[j]) == (z_i, z_j) and is_onsite == onsite:
                total += matrix.gather(np.array([p]))[0]
                count += 1
    result = np.zeros_like(total)
    for (a0, a1), la in zip(SHELLS[z_i], L[z_i]):
        for (b0, b1), lb in zip(SHELLS[z_j], L[z_j]):
            if la == lb:
                result[a0:a1, b0:b1] = np.trace(total[a0:a1, b0:b1]) / count / (2 * la + 1) * np.eye(2 * la + 1)
    return result


@pytest.mark.parametrize("op", ["hamiltonian", "overlap"])
def test_irreps_mean_equals_mean_traces(crystals, op):
    found = floor_predictions(crystals, "irreps-mean")["s09"][op]
    means = {
        (a, b, on): mean_block(crystals, op, a, b, on)
        for a in (5, 7)
        for b in (5, 7)
        for on in (True, False)
        if not (on and a != b)
    }
    for p, (i, j) in enumerate(found.pair_index):
        expected = means[found.numbers[i], found.numbers[j], bool(found.onsite[p])]
        np.testing.assert_allclose(found.gather(np.array([p]))[0], expected, atol=1e-13)
    assert np.abs(found.values).max() > 1e-3
    assert found.hermiticity_error() < 1e-15


def test_irreps_mean_is_unchanged_by_rotation(crystals):
    found = floor_predictions(crystals, "irreps-mean")["s09"]["hamiltonian"]
    rotated = found.rotate(random_rotation(3, improper=True))
    np.testing.assert_allclose(rotated.values, found.values, atol=1e-12)


def test_irreps_mean_of_one_scalar_structure_is_exact(crystals):
    """Adding only what it predicts gives it back; elements that were never seen are zero."""
    sample = crystals.sample("s00")
    index, shift = crystals.pairs(sample)
    offsite = (index[:, 0] != index[:, 1]) | shift.any(axis=1)
    prediction = floor_predictions(crystals, "irreps-mean", "train")["s00"]["overlap"]
    again = IrrepsMean(BlockIrreps(crystals.basis))
    again.add(prediction, index[offsite], shift[offsite])
    found = again.predict(sample.atoms.numbers, index[offsite], shift[offsite])
    np.testing.assert_allclose(found.values, prediction.values, atol=1e-13)
    unseen = IrrepsMean(BlockIrreps(crystals.basis)).predict(sample.atoms.numbers, index[offsite], shift[offsite])
    assert not unseen.values.any()


def test_zero_scores_the_mean_size_of_the_reference(crystals):
    scores = evaluate(crystals, floor_predictions(crystals, "zero"), bands=False).scores
    values = [
        np.abs(sample.operators["hamiltonian"].complete().values) for sample in crystals.iterate(crystals.split("test"))
    ]
    expected = np.concatenate(values).mean()
    assert scores["hamiltonian.mae_all.full.pooled"].value == pytest.approx(expected, rel=1e-13)


def test_irreps_mean_is_better_than_zero(molecules):
    zero, mean = (evaluate(molecules, floor_predictions(molecules, name)).scores for name in FLOORS[:2])
    for op in ("hamiltonian", "overlap", "density"):
        assert mean[f"{op}.rmse_all.full.pooled"].value < 0.9 * zero[f"{op}.rmse_all.full.pooled"].value


def test_fewer_training_structures_are_another_mean(crystals):
    whole, part = (floor_predictions(crystals, "irreps-mean", train_ids=ids) for ids in (None, ["s00"]))
    assert np.abs((whole["s09"]["hamiltonian"] - part["s09"]["hamiltonian"]).values).max() > 1e-3


def test_header_and_choice_of_operators(molecules):
    floor = floor_predictions(molecules, "zero", "val", ["density"])
    assert floor.ids == molecules.split("val")
    assert floor.operators == ("density",)
    assert set(floor[floor.ids[0]]) == {"density"}
    assert (floor.attrs.model, floor.attrs.split, floor.attrs.energy_unit) == ("floor-zero", "val", "Hartree")


def test_what_does_not_exist(crystals):
    with pytest.raises(ConfigError, match="no floor 'mean'; use one of zero, irreps-mean, two-body, atoms"):
        floor_predictions(crystals, "mean")
    with pytest.raises(ConfigError, match="no operator 'density', only hamiltonian, overlap"):
        floor_predictions(crystals, "zero", operators=["density"])
    with pytest.raises(DataError, match="no split 'tests'"):
        floor_predictions(crystals, "zero", "tests")
