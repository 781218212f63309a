"""The two-body floor: exact on functions of the bond vector, blind to everything else."""

import numpy as np
import pytest

from slembench.core.errors import ConfigError
from slembench.evaluation import evaluate
from slembench.evaluation.floors import TwoBody, floor_predictions
from slembench.operators.irreps import BlockIrreps
from slembench.operators.orbitals import Basis
from slembench.operators.rotations import random_rotation

BASIS = Basis.parse({"B": "2s1p", "N": "1s1p1d"})
NUMBERS = np.array([5, 7, 7, 5, 7])


def slater_koster(vector):
    """One s-p, p-p and p-d model block by hand: (5, 9) for B (s s p) with N (s p d), order y z x."""
    d = np.linalg.norm(vector)
    x, y, z = vector / d
    p = np.array([y, z, x])
    dd = np.array(
        [
            np.sqrt(3) * x * y,
            np.sqrt(3) * y * z,
            (3 * z * z - 1) / 2,
            np.sqrt(3) * x * z,
            np.sqrt(3) / 2 * (x * x - y * y),
        ]
    )
    sigma, pi = np.exp(-d), 0.3 * np.exp(-1.5 * d)
    block = np.zeros((5, 9))
    block[0, 0], block[1, 0] = np.exp(-0.7 * d), 0.2 * np.exp(-d)
    block[0, 1:4], block[1, 4:9] = 0.5 * np.exp(-d) * p, 0.1 * np.exp(-d) * dd
    block[2:5, 1:4] = sigma * np.outer(p, p) + pi * (np.eye(3) - np.outer(p, p))
    return block


def structure(seed):
    """Open cluster: pairs B-N both ways, blocks from `slater_koster`."""
    positions = np.random.default_rng(seed).uniform(0, 4, size=(5, 3))
    index = np.array([(i, j) for i in range(5) for j in range(5) if i != j])
    from slembench.operators.blocks import BlockMatrix

    blocks = BlockMatrix.zeros(BASIS, NUMBERS, index, np.zeros((len(index), 3), int))
    vectors = positions[index[:, 1]] - positions[index[:, 0]]
    values = blocks.values.copy()
    for p, (i, j) in enumerate(index):
        if (NUMBERS[i], NUMBERS[j]) == (5, 7):
            values[blocks.offsets[p] : blocks.offsets[p + 1]] = slater_koster(vectors[p]).reshape(-1)
        elif (NUMBERS[i], NUMBERS[j]) == (7, 5):
            values[blocks.offsets[p] : blocks.offsets[p + 1]] = slater_koster(-vectors[p]).T.reshape(-1)
    return blocks.with_values(values), vectors


@pytest.fixture(scope="module")
def fit():
    model = TwoBody(BlockIrreps(BASIS), 7.0)
    for seed in range(60):
        blocks, vectors = structure(seed)
        model.add(blocks, blocks.pair_index, blocks.pair_shift, vectors)
    return model


def test_a_two_body_function_is_learnt(fit):
    blocks, vectors = structure(1000)
    found = fit.predict(NUMBERS, blocks.pair_index, blocks.pair_shift, vectors)
    error = (found - blocks).values
    assert np.abs(error).max() < 2e-3
    assert np.abs(error).mean() < 5e-5
    assert found.hermiticity_error() < 1e-12


def test_it_turns_with_the_structure(fit):
    blocks, vectors = structure(1001)
    rotation = random_rotation(4, improper=True)
    before = fit.predict(NUMBERS, blocks.pair_index, blocks.pair_shift, vectors)
    after = fit.predict(NUMBERS, blocks.pair_index, blocks.pair_shift, vectors @ rotation.T)
    np.testing.assert_allclose(after.values, before.rotate(rotation).values, atol=1e-12)


def test_what_was_never_seen_is_zero():
    model = TwoBody(BlockIrreps(BASIS), 7.0)
    blocks, vectors = structure(0)
    assert not model.predict(NUMBERS, blocks.pair_index, blocks.pair_shift, vectors).values.any()


def test_it_is_below_the_irreps_mean_on_real_data():
    from slembench.data import load_dataset

    dataset = load_dataset("qh9-mini")
    ids = dataset.split("train")[:30]
    means = [
        evaluate(dataset, floor_predictions(dataset, name, "val", ["hamiltonian"], ids), "val", bands=False)
        .scores["hamiltonian.mae_all.full.pooled"]
        .value
        for name in ("irreps-mean", "two-body")
    ]
    assert means[1] < 0.7 * means[0]


def test_atoms_need_a_protocol(crystals):
    with pytest.raises(ConfigError, match="no floor 'atoms', its card names no protocol"):
        floor_predictions(crystals, "atoms")


def test_atoms_of_a_small_molecule():
    pytest.importorskip("pyscf")
    from slembench.data import load_dataset

    dataset = load_dataset("md17-mini")
    floor = floor_predictions(dataset, "atoms", "test", ["hamiltonian", "overlap", "density"])
    assert floor.operators == ("hamiltonian", "density")
    name = next(name for name in floor.ids if len(dataset.sample(name).atoms) == 3)
    sample, found = dataset.sample(name), floor[name]
    electrons = np.vdot(found["density"].dense(), sample.operators["overlap"].dense())
    assert electrons == pytest.approx(10, abs=0.1)
    error = found["hamiltonian"].dense() - sample.operators["hamiltonian"].dense()
    assert 1e-3 < np.abs(error).mean() < 0.1
