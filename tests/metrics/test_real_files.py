"""Metrics on files of other programs against plain NumPy and SciPy straight from the h5 files."""

import json

import ase.io
import h5py
import numpy as np
import pytest
import scipy.linalg

from slembench.data import Sample, SampleInfo
from slembench.evaluation import evaluate
from slembench.metrics.matrix import (
    align_hermitian,
    error_blocks,
    first_atoms,
    gauge_shifts,
    structure_sums,
    subtract_gauge,
)
from slembench.metrics.spectrum import levels
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.predictions import PredictionWriter, read_predictions

pytestmark = pytest.mark.real_files

WATERS = ["138", "282", "1009", "1978", "3563", "3573"]
# numbers in the united shell list s s p p d: O has 2s2p1d, H has 2s1p
UNITED = {8: [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4], 1: [0, 1, 2, 2, 2]}


def raw_blocks(path):
    """(R, i, j) -> block, straight from a file of the new DeepH layout."""
    with h5py.File(path) as file:
        bounds, entries = file["chunk_boundaries"][:], file["entries"][:].astype(np.float64)
        pairs, shapes = file["atom_pairs"][:].tolist(), file["chunk_shapes"][:].tolist()
    return {tuple(pair): entries[a:b].reshape(shape) for pair, shape, a, b in zip(pairs, shapes, bounds, bounds[1:])}


def to_blocks(raw, basis, numbers):
    pairs = np.array(list(raw))
    return BlockMatrix(
        basis, numbers, pairs[:, 3:], pairs[:, :3], np.concatenate([b.reshape(-1) for b in raw.values()])
    )


def read_structure(folder):
    info = json.loads((folder / "info.json").read_text())
    atoms = ase.io.read(folder / "POSCAR", format="vasp")
    return atoms, Basis.parse(info["elements_orbital_map"]), info


@pytest.fixture(scope="module")
def waters(real_files, make_dataset, tmp_path_factory):
    """The six waters as a data set, and its scores for the predictions that another program made."""
    folder, tmp = real_files / "deeph_new" / "water_predicted", tmp_path_factory.mktemp("waters")
    samples, predicted = [], {}
    for name in WATERS:
        atoms, basis, _ = read_structure(folder / "reference" / name)
        atoms.pbc = False
        files = {"hamiltonian": "hamiltonian.h5", "overlap": "overlap.h5"}
        operators = {
            op: to_blocks(raw_blocks(folder / "reference" / name / file), basis, atoms.numbers)
            for op, file in files.items()
        }
        samples.append(Sample(name, atoms, basis, operators, SampleInfo("eV", "unknown", 8.0, group=name)))
        raw = raw_blocks(folder / "predicted" / name / "hamiltonian_pred.h5")
        predicted[name] = to_blocks(raw, basis, atoms.numbers)
    splits = {"train": [], "test": WATERS}
    dataset = make_dataset(tmp / "waters", samples, {"O": 20.0, "H": 20.0}, splits=splits)
    header = {"dataset": "waters", "dataset_fingerprint": dataset.fingerprint, "split": "test", "model": "other"}
    with PredictionWriter(tmp / "p.h5", **header, basis=dataset.basis, energy_unit="eV") as writer:
        for sample in samples:
            writer.add(sample.id, sample.atoms.numbers, {"hamiltonian": predicted[sample.id]})
    with read_predictions(tmp / "p.h5") as predictions:
        return folder, evaluate(dataset, predictions)


def errors_of(folder, name, counting, part):
    """All |Delta| of one water, element by element from the two h5 files."""
    numbers = [8, 1, 1]
    reference = raw_blocks(folder / "reference" / name / "hamiltonian.h5")
    prediction = raw_blocks(folder / "predicted" / name / "hamiltonian_pred.h5")
    values = []
    for key, block in reference.items():
        onsite = key[3] == key[4] and key[:3] == (0, 0, 0)
        if part != "all" and onsite != (part == "diag"):
            continue
        difference = np.abs(prediction[key] - block)
        rows, columns = UNITED[numbers[key[3]]], UNITED[numbers[key[4]]]
        for a, b in np.ndindex(*block.shape):
            if counting == "full" or rows[a] <= columns[b]:
                values.append(difference[a, b])
    return np.array(values)


@pytest.mark.parametrize("counting", ["full", "reduced"])
@pytest.mark.parametrize("part", ["all", "diag", "off"])
def test_water_errors(waters, part, counting):
    folder, result = waters
    errors = [errors_of(folder, name, counting, part) for name in WATERS]
    together = np.concatenate(errors)
    expected = {
        f"mae_{part}.{counting}.pooled": together.mean(),
        f"mae_{part}.{counting}.per_structure": np.mean([e.mean() for e in errors]),
        f"rmse_{part}.{counting}.pooled": np.sqrt((together**2).mean()),
        f"rmse_{part}.{counting}.per_structure": np.mean([np.sqrt((e**2).mean()) for e in errors]),
    }
    if part == "all":
        expected[f"max_abs.{counting}.pooled"] = together.max()
        expected[f"max_abs.{counting}.per_structure"] = np.mean([e.max() for e in errors])
    found = {name: result.scores[f"hamiltonian.{name}"].value for name in expected}
    assert found == pytest.approx(expected, rel=0, abs=1e-12)
    assert 0.3 < expected[f"mae_{part}.{counting}.pooled"] < 5


def dense(raw):
    """(23, 23) matrix of a water: rows of blocks are O, H, H."""
    return np.block([[raw[0, 0, 0, i, j] for j in range(3)] for i in range(3)])


def test_water_levels_and_gauge(waters):
    folder, result = waters
    table = result.per_structure.set_index("id")
    for name in WATERS:
        h, s = (dense(raw_blocks(folder / "reference" / name / file)) for file in ("hamiltonian.h5", "overlap.h5"))
        p = dense(raw_blocks(folder / "predicted" / name / "hamiltonian_pred.h5"))
        mu = ((p - h) * s).sum() / (s * s).sum()
        assert table.loc[name, "hamiltonian.mu"] == pytest.approx(mu, abs=1e-12)
        parts = [table.loc[name, f"hamiltonian.gauge.{part}.full.abs_sum"] for part in ("onsite", "offsite")]
        assert sum(parts) / 529 == pytest.approx(np.abs(p - h - mu * s).mean(), abs=1e-12)
        p = (p + p.T) / 2
        e, e_ref = (scipy.linalg.eigh(m, s, eigvals_only=True) for m in (p, h))
        row = table.loc[name]
        assert row["hamiltonian.eps_mae_occ"] == pytest.approx(np.abs(e - e_ref)[:4].mean(), abs=1e-10)
        assert row["hamiltonian.homo_mae"] == pytest.approx(abs(e[3] - e_ref[3]), abs=1e-10)
        assert row["hamiltonian.lumo_mae"] == pytest.approx(abs(e[4] - e_ref[4]), abs=1e-10)
        assert row["hamiltonian.gap_mae"] == pytest.approx(abs(e[4] - e[3] - e_ref[4] + e_ref[3]), abs=1e-10)


def test_water_identity_of_all_diag_and_off(waters):
    scores = waters[1].scores
    f = 219 / 529  # on-site elements: 13 * 13 + 2 * 5 * 5
    all_, diag, off = (scores[f"hamiltonian.mae_{part}.full.pooled"].value for part in ("all", "diag", "off"))
    assert all_ == pytest.approx(f * diag + (1 - f) * off, rel=1e-14)


@pytest.fixture(scope="module")
def telluride(real_files):
    """MoTe2: atoms, basis and info, H and S of one release, H of the other."""
    atoms, basis, info = read_structure(real_files / "deeph_new" / "MoTe2_bands")
    raw = {
        name: raw_blocks(real_files / folder / file)
        for name, folder, file in (
            ("h", "deeph_new/MoTe2_bands", "hamiltonian.h5"),
            ("s", "deeph_new/MoTe2_bands", "overlap.h5"),
            ("other", "deeph_pairs/MoTe2_new", "hamiltonian.h5"),
        )
    }
    return raw, {name: to_blocks(blocks, basis, atoms.numbers) for name, blocks in raw.items()}, info


def test_bands_of_another_program(telluride, real_files):
    _, operators, info = telluride
    with h5py.File(real_files / "deeph_new" / "MoTe2_bands" / "band.h5") as file:
        bands, kpoints = file["band_data"][:].T, file["kpoints_frac_list"][:]
        zero = file["fermi_energy_before_shift_eV"][()]
    found = levels(operators["h"], operators["s"], kpoints)
    np.testing.assert_allclose(found - zero, bands, rtol=0, atol=1e-8)
    assert operators["h"].hermiticity_error() > 1e-8  # so only the lower triangle of H(k) gives these bands
    assert zero == pytest.approx(info["fermi_energy_eV"], abs=1e-9)


def test_two_releases_differ_by_a_gauge_shift(telluride):
    raw, operators, _ = telluride
    pairs, basis, starts = np.array(list(raw["s"])), operators["h"].basis, first_atoms([len(operators["h"].numbers)])
    result = error_blocks(operators["h"], align_hermitian(operators["other"], pairs[:, 3:], pairs[:, :3])[0])
    mu, s = gauge_shifts(result, operators["s"], starts)
    assert mu[0] == pytest.approx(13.0882, abs=5e-5)
    sums = structure_sums(result, starts, basis)
    absolute, count = (
        sum(getattr(sums[part, "full"], name)[0] for part in ("onsite", "offsite")) for name in ("absolute", "count")
    )
    expected = sum(np.abs(raw["h"][key] - raw["other"][key]).sum() for key in raw["s"])
    assert absolute == pytest.approx(expected, rel=1e-13)
    shift = mu[0] * np.mean(np.concatenate([np.abs(block).reshape(-1) for block in raw["s"].values()]))
    assert absolute / count == pytest.approx(shift, rel=1e-6)
    left = structure_sums(subtract_gauge(result, s, mu, starts), starts, basis)
    parts = [left[part, "full"] for part in ("onsite", "offsite")]
    assert sum(part.absolute[0] for part in parts) / count < 1e-9
    assert max(part.largest[0] for part in parts) < 1e-7
