"""Orbital, density and noise metrics on files of other programs, against plain NumPy and SciPy."""

import ase.io
import numpy as np
import pytest
import scipy.linalg

from slembench.data.formats.deeph.current import read_matrix
from slembench.data.formats.registry import read_samples
from slembench.metrics.density import d_idempotency, electrons_of
from slembench.metrics.dos import dos_w1, ghost_states
from slembench.metrics.kpath import band_path
from slembench.metrics.matrix import error_blocks
from slembench.metrics.spectrum import in_reference_basis, k_mesh, levels, orbitals
from slembench.metrics.wavefunctions import DEGENERATE_EV, occ_subspace, psi_cos_legacy, psi_overlap

pytestmark = pytest.mark.real_files

SHELLS = {8: [0, 0, 1, 1, 2], 1: [0, 0, 1]}
WATERS = ["138", "282", "1009", "1978", "3563", "3573"]


def one(folder, **options):
    (sample,) = read_samples(folder, "deeph-new", **options)
    return sample


@pytest.fixture(scope="module")
def water(real_files):
    """(name, H, S, D, predicted H) of the six waters; dense, orbitals O 2s2p1d, H 2s1p."""
    folder = real_files / "deeph_new" / "water_predicted"
    cases = []
    for name in WATERS:
        sample = one(folder / "reference" / name)
        predicted = read_matrix(folder / "predicted" / name / "hamiltonian_pred.h5", SHELLS, sample.atoms.numbers)
        cases.append((sample, predicted.hermitise().dense()))
    return cases


def test_orbitals_of_predicted_waters(water):
    for sample, predicted in water:
        h, s, d = (sample.operators[name].dense() for name in ("hamiltonian", "overlap", "density"))
        eps, c = scipy.linalg.eigh(h, s)
        _, c_p = scipy.linalg.eigh(predicted, s)
        overlaps = np.abs(np.diag(c.T @ s @ c_p))[:4]
        cosines = np.abs((c * c_p).sum(axis=0) / np.linalg.norm(c, axis=0) / np.linalg.norm(c_p, axis=0))[:4]
        _, ours, _ = in_reference_basis(predicted - h, *orbitals(h, s))
        assert np.diff(eps[:4]).min() > DEGENERATE_EV
        assert psi_overlap(ours, eps, 4, DEGENERATE_EV) == pytest.approx(overlaps.mean(), abs=1e-9)
        assert psi_cos_legacy(orbitals(predicted, s)[1][:, :4], c[:, :4]) == pytest.approx(cosines.mean(), abs=1e-9)
        d_p = 2 * c_p[:, :4] @ c_p[:, :4].T
        # ||C^T S C'||^2 = Tr(D S D' S) / 4
        assert occ_subspace(ours, 4) == pytest.approx(np.trace(d @ s @ d_p @ s) / 16, abs=1e-9)
        assert 0.3 < occ_subspace(ours, 4) < 1


def test_densities_of_waters(water):
    for sample, _ in water:
        s, d = (sample.operators[name].dense() for name in ("overlap", "density"))
        assert electrons_of(d, s) == pytest.approx(8, abs=1e-10)
        assert d_idempotency(d, s) < 1e-12


def test_noise_floor_of_rotated_water(real_files):
    """Four orientations of one water, each recomputed: every H turned back onto the first."""
    folder = real_files / "deeph_new" / "water_rotated"
    samples = [one(folder / str(k)) for k in range(4)]
    first = samples[0]
    arms = [sample.atoms.positions - sample.atoms.positions[0] for sample in samples]
    means, largest = [], []
    for sample, arm in zip(samples[1:], arms[1:]):
        u, _, v = np.linalg.svd(arms[0].T @ arm)
        flip = np.diag([1, 1, np.sign(np.linalg.det(u @ v))])
        rotation = u @ flip @ v
        np.testing.assert_allclose(arm @ rotation.T, arms[0], atol=1e-4)
        turned = sample.operators["hamiltonian"].rotate(rotation)
        reference = first.operators["hamiltonian"]
        errors = np.abs(error_blocks(turned, reference).delta.values)
        means.append(errors.mean())
        largest.append(errors.max())
    assert means[0] == pytest.approx(2.1e-5, abs=1e-6)
    assert max(means) < 2.5e-5
    assert max(largest) == pytest.approx(3.1e-4, abs=1e-5)


def test_degenerate_pair_of_benzene(real_files):
    """HOMO and HOMO-1 (e1g), set equal and mixed by hand: the same state, which only the legacy number does not see."""
    sample = one(real_files / "deeph_new" / "benzene" / "1000")
    h, s = sample.operators["hamiltonian"].dense(), sample.operators["overlap"].dense()
    eps, c = orbitals(h, s)
    occupied = 15
    assert eps[14] - eps[13] < 0.5 < eps[15] - eps[14]
    eps[13:15] = eps[13:15].mean()
    angle = 0.6
    mixed = c.copy()
    mixed[:, 13] = np.cos(angle) * c[:, 13] + np.sin(angle) * c[:, 14]
    mixed[:, 14] = np.cos(angle) * c[:, 14] - np.sin(angle) * c[:, 13]
    overlaps = c.T @ s @ mixed
    # both orbitals have eigenvalue eps, so the mixed ones are eigenvectors of the same H
    degenerate = s @ c @ np.diag(eps) @ c.T @ s
    np.testing.assert_allclose(degenerate @ mixed, s @ mixed * eps, atol=1e-9)
    assert psi_cos_legacy(c[:, :occupied], c[:, :occupied]) == pytest.approx(1)
    assert psi_cos_legacy(mixed[:, :occupied], c[:, :occupied]) < 0.985
    assert psi_overlap(overlaps, eps, occupied, DEGENERATE_EV) == pytest.approx(1, abs=1e-12)
    assert occ_subspace(overlaps, occupied) == pytest.approx(1, abs=1e-12)


def test_densities_of_states_of_two_releases(real_files):
    """MoTe2 twice, apart by a gauge shift: after it the densities of states agree and there is no surplus state."""
    ours, theirs = (one(real_files / name) for name in ("deeph_new/MoTe2_bands", "deeph_pairs/MoTe2_new"))
    kpoints, weights = k_mesh((3, 3, 1))
    h, s, other = ours.operators["hamiltonian"], ours.operators["overlap"], theirs.operators["hamiltonian"]
    eps, eps_other = levels(h, s, kpoints), levels(other, s, kpoints)
    shift = float((eps - eps_other).mean())
    assert shift == pytest.approx(13.0882, abs=5e-5)
    fermi = ours.info.fermi_level
    assert dos_w1(eps_other + shift, eps, weights, fermi, 5.0, 0.1) < 1e-6
    assert dos_w1(eps_other + shift + 0.1, eps, weights, fermi, 5.0, 0.1) == pytest.approx(0.1, rel=0.2)
    assert ghost_states(eps_other + shift, eps, fermi, 5.0, 0.5) == 0
    assert ghost_states(eps_other + shift - 1.0, eps, fermi, 5.0, 0.5) > 0


def test_path_of_mote2(real_files):
    """seekpath's special points of the hexagonal cell are those of the other program's own path."""
    atoms = ase.io.read(real_files / "deeph_new" / "MoTe2_bands" / "POSCAR", format="vasp")
    path = band_path(atoms, 0.1)
    labels = set("".join(path.labels.values()).replace("|", ""))
    assert {"Γ", "M", "K"} <= labels
    place = {label: path.kpoints[k] for k, label in path.labels.items()}
    np.testing.assert_allclose(np.abs(place["K"][:2]).sum() % 1, 2 / 3, atol=1e-6)
