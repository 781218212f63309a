"""The shipped molecular sets: complete, within their size, divided as the cards say, physics from the stored values."""

import numpy as np
import pytest
import scipy.linalg

from slembench.data import load_dataset
from slembench.data.readme import dataset_readme
from slembench.data.recipes.verify import direction_error, molecule_density_error, molecule_electrons_error

NAMES = ("qh9-mini", "qh9-mini-ood", "md17-mini", "water-qz-mini")
MEGABYTES = {"qh9-mini": 8, "qh9-mini-ood": 0.1, "md17-mini": 4, "water-qz-mini": 3}
THEORIES = {"qh9-mini": ("b3lyp5", "def2-svp"), "md17-mini": ("pbe", "def2-svp"), "water-qz-mini": ("pbe", "def2-qzvp")}
HARTREE_TOLERANCE = {"qh9-mini": 1e-6, "md17-mini": 1e-6, "water-qz-mini": 4e-5}
CORE = {6: -10.2, 7: -14.3, 8: -19.1, 9: -24.6}


@pytest.fixture(scope="module")
def sets():
    return {name: load_dataset(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_card_fits_data_and_readme(sets, name):
    data = sets[name]
    (data_file,) = data.card.origin.files
    assert (data.root / "README.md").read_text() == dataset_readme(data.card, data.root / data_file)
    assert len(data.fingerprint) == 64
    assert sum(path.stat().st_size for path in data.root.rglob("*") if path.is_file()) < MEGABYTES[name] * 1e6
    assert data.card.operators == ("hamiltonian", "overlap", "density")
    assert data.card.units.energy == "Hartree"
    assert data.card.checks["structures_verified"] == len(data)


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_nothing_and_leave_nothing_out(sets, name):
    splits = [sets[name].split(split) for split in ("train", "val", "test")]
    together = [identifier for split in splits for identifier in split]
    assert sorted(together) == sorted(sets[name].ids)
    assert len(set(together)) == len(together)


def test_molecules_of_qh9_mini(sets):
    sizes = {sample.id: len(sample.atoms) for sample in sets["qh9-mini"].iterate()}
    elements = {z for sample in sets["qh9-mini"].iterate() for z in sample.atoms.numbers.tolist()}
    assert len(sizes) >= 150
    assert min(sizes.values()) >= 5
    assert max(sizes.values()) <= 20
    assert elements == {1, 6, 7, 8, 9}
    share = [len(sets["qh9-mini"].split(name)) / len(sizes) for name in ("train", "val", "test")]
    assert share == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_ood_split_is_by_size(sets):
    data = sets["qh9-mini-ood"]
    train, val, test = (
        [len(sample.atoms) for sample in data.iterate(data.split(name))] for name in ("train", "val", "test")
    )
    assert max(train) < min(val) <= max(val) < min(test)
    assert len(test) >= 20
    assert list(data.card.origin.files.values()) == list(sets["qh9-mini"].card.origin.files.values())


def test_frames_of_md17_mini(sets):
    data = sets["md17-mini"]
    kinds = [identifier.split("-")[0] for identifier in data.ids]
    assert (kinds.count("water"), kinds.count("ethanol")) == (200, 40)
    for split, water, ethanol in (("train", 160, 32), ("val", 20, 4), ("test", 20, 4)):
        found = [identifier.split("-")[0] for identifier in data.split(split)]
        assert (found.count("water"), found.count("ethanol")) == (water, ethanol)
    samples = list(data.iterate())
    assert len({sample.info.group for sample in samples}) == 30
    water = [sample for sample in samples if len(sample.atoms) == 3]
    lengths = np.array([sample.atoms.get_distance(0, 1) for sample in water])
    assert 0.01 < lengths.std() < 0.1
    assert lengths.mean() == pytest.approx(0.97, abs=0.03)


def test_water_in_a_basis_of_f_and_g(sets):
    data = sets["water-qz-mini"]
    assert data.card.basis == {"H": "4s3p2d1f", "O": "7s4p3d2f1g"}
    assert data.basis.lmax == 4
    assert {tuple(sorted(sample.atoms.numbers)) for sample in data.iterate()} == {(1, 1, 8)}


@pytest.mark.parametrize("name", THEORIES)
def test_every_pair_of_atoms_is_scored(sets, name):
    for sample in sets[name].iterate():
        atoms = len(sample.atoms)
        assert len(sets[name].pairs(sample)[0]) == atoms**2
        assert all(operator.n_pairs == atoms * (atoms + 1) // 2 for operator in sample.operators.values())


@pytest.mark.parametrize("name", THEORIES)
def test_electrons_density_and_directions(sets, name):
    for sample in list(sets[name].iterate())[::7]:
        assert sample.info.electrons == sample.atoms.numbers.sum()
        assert molecule_electrons_error(sample) < 2e-5
        assert molecule_density_error(sample) < 2e-5
        assert direction_error(sample) < 1e-6


@pytest.mark.parametrize("name", THEORIES)
def test_gap_and_core_levels_of_closed_shells(sets, name):
    """Occupied levels lie well below the others; each atom but hydrogen has one level near its own 1s, in Hartree."""
    for sample in list(sets[name].iterate())[::11]:
        hamiltonian, overlap = (sample.operators[key].dense() for key in ("hamiltonian", "overlap"))
        levels = scipy.linalg.eigvalsh(hamiltonian, overlap)
        occupied = round(sample.info.electrons / 2)
        assert levels[occupied] - levels[occupied - 1] > 0.05
        core = np.sort([CORE[z] for z in sample.atoms.numbers.tolist() if z != 1])
        assert levels[: len(core)] == pytest.approx(core, abs=0.7)
        assert levels[len(core)] > -2


@pytest.mark.parametrize("name", THEORIES)
def test_fock_matrix_rebuilt_from_the_stored_density(sets, name):
    pytest.importorskip("pyscf", reason="PySCF is not installed")
    from slembench.data.pyscf import Theory, canonical, mean_field, pyscf_molecule

    data, (functional, basis) = sets[name], THEORIES[name]
    sample = min(data.iterate(), key=lambda sample: (len(sample.atoms), -sample.atoms.numbers.max()))
    molecule = pyscf_molecule(sample.atoms, basis)
    order = np.round(canonical(np.diag(np.arange(molecule.nao, dtype=float)), molecule).diagonal()).astype(int)
    density = np.empty((molecule.nao, molecule.nao))
    density[np.ix_(order, order)] = sample.operators["density"].dense()
    solver = mean_field(molecule, Theory(functional, basis))
    fock = canonical(solver.get_fock(dm=density), molecule)
    stored = sample.operators["hamiltonian"].dense()
    assert np.abs(fock - stored).max() < HARTREE_TOLERANCE[name]
    assert np.abs(canonical(solver.get_ovlp(), molecule) - sample.operators["overlap"].dense()).max() < 1e-9
    assert solver.energy_tot(dm=density) == pytest.approx(sample.info.energy, abs=HARTREE_TOLERANCE[name])
