"""QH9's numbers for one set of predictions against its published definitions, written out again with PyTorch.

Definitions: the paper (arXiv 2306.09549, sections on metrics) and its public test script: one molecule at a time,
eigenvalues of S floored at 1e-8, occupied orbitals = sum of Z / 2, every number a mean over molecules. The data set
stores S rounded to 2^-32, and the 1s orbitals of like atoms are degenerate almost to that: both sides take the stored
S.
"""

import numpy as np
import pytest
import torch

from slembench.data import load_dataset
from slembench.data.pyscf import canonical, pyscf_molecule
from slembench.evaluation import evaluate
from slembench.predictions import PredictionHeader


class Noisy:
    """Reference Hamiltonians with an error that grows with distance from the diagonal."""

    operators = ("hamiltonian",)

    def __init__(self, dataset, ids):
        self.ids = ids
        self.attrs = PredictionHeader(dataset.name, dataset.fingerprint, "test", "noisy", dataset.basis, "Hartree")
        rng = np.random.default_rng(17)
        self.blocks = {}
        for name in ids:
            h = dataset.sample(name).operators["hamiltonian"]
            self.blocks[name] = h.with_values(h.values + 2e-4 * rng.normal(size=len(h.values))).hermitise()

    def __getitem__(self, name):
        return {"hamiltonian": self.blocks[name]}


def levels_and_orbitals(overlap, hamiltonian):
    """Canonical orthogonalisation with small eigenvalues of S raised to 1e-8."""
    s, vectors = torch.linalg.eigh(overlap)
    half = vectors / s.clamp(min=1e-8).sqrt()
    energies, inner = torch.linalg.eigh(half.T @ hamiltonian @ half)
    return energies, half @ inner


def published(sample, predicted):
    """QH9's errors of one molecule."""
    s = torch.from_numpy(sample.operators["overlap"].dense())
    h, p = (torch.from_numpy(m.dense()) for m in (sample.operators["hamiltonian"], predicted))
    atom = torch.repeat_interleave(
        torch.arange(len(sample.atoms)), torch.tensor([5 if z == 1 else 14 for z in sample.atoms.numbers.tolist()])
    )
    onsite, error = atom[:, None] == atom, (p - h).abs()
    (e_p, c_p), (e_h, c_h) = levels_and_orbitals(s, p), levels_and_orbitals(s, h)
    n = int(sample.atoms.numbers.sum() / 2)
    return {
        "mae_all.full.per_structure": error.mean(),
        "mae_diag.full.per_structure": error[onsite].mean(),
        "mae_off.full.per_structure": error[~onsite].mean(),
        "eps_mae_occ": (e_p[:n] - e_h[:n]).abs().mean(),
        "psi_cos_legacy": torch.cosine_similarity(c_p[:, :n], c_h[:, :n], dim=0).abs().mean(),
        "homo_mae": (e_p[n - 1] - e_h[n - 1]).abs(),
        "lumo_mae": (e_p[n] - e_h[n]).abs(),
        "gap_mae": (e_p[n] - e_p[n - 1] - e_h[n] + e_h[n - 1]).abs(),
    }


def test_qh9_numbers():
    dataset = load_dataset("qh9-mini")
    ids = dataset.split("test")
    source = Noisy(dataset, ids)
    scores = evaluate(dataset, source, threads=1).scores
    rows = [published(dataset.sample(name), source.blocks[name]) for name in ids]
    for name in rows[0]:
        expected = np.mean([float(row[name]) for row in rows])
        assert scores[f"hamiltonian.{name}"].value == pytest.approx(expected, rel=0, abs=1e-9), name
    assert scores["hamiltonian.eps_mae_occ"].value > 1e-4
    assert 0.5 < scores["hamiltonian.psi_cos_legacy"].value < 0.9999


def test_stored_overlaps_are_pyscfs():
    pytest.importorskip("pyscf")
    dataset = load_dataset("qh9-mini")
    for name in dataset.split("test")[:4]:
        sample = dataset.sample(name)
        molecule = pyscf_molecule(sample.atoms, "def2-svp")
        s = canonical(molecule.intor("int1e_ovlp"), molecule)
        assert np.abs(s - sample.operators["overlap"].dense()).max() <= dataset.card.rounding["overlap"]
