"""Noise of a structure computed twice: a known noise under a shift, wrapped atoms and another order of pairs."""

import json

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data import load_dataset
from slembench.data.recipes.noise import numerical_noise

SHIFT = np.array([0.05, 0.03, 0.04])


@pytest.fixture(scope="module")
def sample():
    dataset = load_dataset("mos2-mini")
    return dataset.sample(dataset.ids[0])


def arrays(sample, positions, index, shift, values):
    return {
        "id": np.array(sample.id),
        "numbers": sample.atoms.numbers,
        "positions": positions,
        "cell": sample.atoms.cell.array,
        "pbc": sample.atoms.pbc,
        "basis": np.array(json.dumps(sample.basis.to_dict())),
        "pair_radii": np.array(json.dumps({"Mo": 7.41, "S": 6.88})),
        "pair_i": index[:, 0],
        "pair_j": index[:, 1],
        "pair_shift": shift,
        **values,
        **{key: np.array(1.0) for key in ("energy", "fermi_level", "smearing_width", "check_electrons_error")},
        "electrons": np.array(4.0),
        "energy_zero": np.array("vacuum"),
        "kmesh_scf": np.array([3, 3, 1]),
        "kmesh_ft": np.array([5, 5, 1]),
        "check_kpoints": np.zeros((1, 3)),
        "check_eigenvalues": np.zeros((1, 8)),
    }


@pytest.fixture
def twice(tmp_path, sample):
    """Work directory with a structure and its shifted, wrapped, reordered copy, whose H is 1 meV or 3 meV off."""
    for folder in ("structures", "noise"):
        (tmp_path / folder).mkdir()
    operators = {name: sample.operators[name] for name in ("hamiltonian", "overlap")}
    like = operators["overlap"]
    plain = {name: operator.values for name, operator in operators.items()}
    np.savez(
        tmp_path / "structures" / f"{sample.id}.npz",
        **arrays(sample, sample.atoms.positions, like.pair_index, like.pair_shift, plain),
    )
    cells = np.zeros((len(sample.atoms), 3), dtype=int)
    cells[2], cells[5] = [-1, 0, 0], [0, 1, 0]
    i, j = like.pair_index.T
    order = np.random.default_rng(0).permutation(like.n_pairs)
    noisy = {name: operator.values.copy() for name, operator in operators.items()}
    noisy["hamiltonian"] += np.where(np.arange(len(noisy["hamiltonian"])) == 7, 3e-3, 1e-3)
    flat = {
        name: np.concatenate([values[like.offsets[p] : like.offsets[p + 1]] for p in order])
        for name, values in noisy.items()
    }
    positions = sample.atoms.positions + SHIFT + cells @ sample.atoms.cell.array
    moved = arrays(sample, positions, like.pair_index[order], (like.pair_shift + cells[i] - cells[j])[order], flat)
    moved["check_eigenvalues"] = np.array([[1e-4, 0, 0, 0, 0, -2e-3, 9.0, 9.0]])
    file = tmp_path / "noise" / f"{sample.id}.npz"
    np.savez(file, **moved)
    return tmp_path, file, moved


def test_known_noise_is_found(twice, sample):
    workdir, _, _ = twice
    found = numerical_noise(workdir)
    assert found["measured"] == (
        f"{sample.id} computed again after a rigid shift by (0.05, 0.03, 0.04) Angstrom against the grid"
    )
    assert found["hamiltonian_mean_abs_eV"] == pytest.approx(1e-3, rel=0.01)
    assert found["hamiltonian_max_abs_eV"] == 3e-3
    assert found["overlap_max_abs"] == 0
    assert found["occupied_and_4_more_bands_max_meV"] == 2.0


def test_without_a_second_calculation_nothing_is_said(tmp_path):
    assert numerical_noise(tmp_path) == {}


@pytest.mark.parametrize("key", ["positions", "pair_shift", "numbers"])
def test_another_structure_is_refused(twice, key):
    workdir, file, moved = twice
    changed = moved[key].copy()
    if key == "numbers":
        changed[[0, -1]] = changed[[-1, 0]]
    else:
        changed[3] = changed[3] + 1
    np.savez(file, **(moved | {key: changed}))
    with pytest.raises(DataError, match=file.stem):
        numerical_noise(workdir)
