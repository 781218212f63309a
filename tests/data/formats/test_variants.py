"""What files of the same formats look like elsewhere: read alike, or refused by an error that says why."""

import json
import re

import ase.io
import h5py
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples, write_samples
from slembench.operators.units import BOHR_ANGSTROM


def assert_same(found, wanted, tolerance=0.0):
    """The same operators on the pairs of the wanted ones."""
    for name, operator in wanted.operators.items():
        full = operator.complete()
        aligned, missing, _ = found.operators[name].align(full.pair_index, full.pair_shift)
        assert not len(missing)
        np.testing.assert_allclose(aligned.values, full.values, rtol=0, atol=tolerance)


@pytest.fixture
def layer(crystals, tmp_path):
    """Function that writes a crystal in a DeepH layout, without the note; returns the sample and its folder."""

    def write(name):
        sample = crystals.sample("s00")
        write_samples([sample], tmp_path, name)
        (tmp_path / "s00/slembench.json").unlink()
        return sample, tmp_path / "s00"

    return write


def edit_json(file, **changes):
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


# -- the new DeepH layout -----------------------------------------------------------------------------------


def test_keys_of_deeph_that_may_be_absent(layer):
    sample, folder = layer("deeph-new")
    absent = dict.fromkeys(("atoms_quantity", "orbits_quantity", "orthogonal_basis", "occupation"), "absent")
    for level in (None, "absent"):
        edit_json(folder / "info.json", **absent, fermi_energy_eV=level)
        (back,) = read_samples(folder)
        assert back.info.fermi_level is back.info.electrons is None
        assert_same(back, sample)
    edit_json(folder / "info.json", spinful="absent")
    with pytest.raises(DataError, match="key 'spinful': missing"):
        next(read_samples(folder))


@pytest.mark.parametrize(("direct", "selective", "scale"), [(True, False, 1.0), (True, True, 1.7), (False, True, 0.5)])
def test_ways_to_write_a_poscar(layer, direct, selective, scale):
    sample, folder = layer("deeph-new")
    symbols, counts = list(dict.fromkeys(sample.atoms.symbols)), [1, 1]
    rows = sample.atoms.get_scaled_positions(wrap=False) if direct else sample.atoms.positions / scale
    flags = " T F T" if selective else ""
    lines = [
        "a comment",
        repr(scale),
        *(" ".join(map(repr, row)) for row in (sample.atoms.cell.array / scale).tolist()),
    ]
    lines += [" ".join(symbols), " ".join(map(str, counts)), *(["Selective dynamics"] if selective else [])]
    lines += ["Direct" if direct else "cartesian", *(" ".join(map(repr, row)) + flags for row in rows.tolist())]
    (folder / "POSCAR").write_text("\n".join(lines) + "\n")
    (back,) = read_samples(folder)
    np.testing.assert_allclose(back.atoms.positions, sample.atoms.positions, atol=1e-13)
    np.testing.assert_allclose(back.atoms.cell.array, sample.atoms.cell.array, atol=1e-13)
    assert_same(back, sample)


@pytest.mark.parametrize(
    ("name", "file", "predicted"),
    [
        ("deeph-new", "hamiltonian.h5", "hamiltonian_pred.h5"),
        ("deeph-legacy", "hamiltonians.h5", "hamiltonians_pred.h5"),
    ],
)
def test_predictions_in_single_precision_that_are_not_hermitian(layer, name, file, predicted):
    sample, folder = layer(name)
    (folder / file).rename(folder / predicted)
    key = "entries" if name == "deeph-new" else "[0, 0, 0, 1, 2]"
    with h5py.File(folder / predicted, "r+") as target:
        values = target[key][()].astype(np.float32)
        values[1] += 0.25
        del target[key]
        target[key] = values
    assert detect_format(folder)[0].name == name
    (back,) = read_samples(folder)
    assert back.operators["hamiltonian"].hermiticity_error() == pytest.approx(0.25, abs=1e-6)
    difference = back.operators["hamiltonian"] - sample.operators["hamiltonian"].complete()
    assert np.abs(difference.values).max() == pytest.approx(0.25, abs=1e-5)
    (folder / predicted).rename(folder / file)
    with pytest.raises(DataError, match="not Hermitian"):
        next(read_samples(folder))


def test_spin_in_the_new_layout(layer):
    _, folder = layer("deeph-new")
    edit_json(folder / "info.json", spinful=True)
    with pytest.raises(DataError, match="key 'spinful': true; matrices with spin are not supported"):
        next(read_samples(folder))


# -- the legacy layout --------------------------------------------------------------------------------------


def test_early_sets_have_no_info_and_a_list_of_translations(layer):
    sample, folder = layer("deeph-legacy")
    (folder / "info.json").unlink()
    (folder / "rlat.dat").unlink()
    (folder / "R_list.dat").write_text("0 0 0\n1 0 0\n")
    (back,) = read_samples(folder)
    assert_same(back, sample)
    with h5py.File(folder / "hamiltonians.h5", "r+") as target:
        block = target["[0, 0, 0, 1, 2]"][()]
        del target["[0, 0, 0, 1, 2]"]
        target["[0, 0, 0, 1, 2]"] = np.kron(np.eye(2), block).astype(complex)
    with pytest.raises(DataError, match="twice the size is that of spin, which is not supported"):
        next(read_samples(folder))


# -- ABACUS -------------------------------------------------------------------------------------------------

HEADS = {
    "STEP": "STEP: 0\nMatrix Dimension of {letter}(R): {size}\nMatrix number of {letter}(R): {cells}\n",
    "no STEP": "Matrix Dimension of {letter}(R): {size}\nMatrix number of {letter}(R): {cells}\n",
    "new": " --- Ionic Step 1 ---\n # print {letter} matrix in real space {letter}(R)\n 1 # number of spin directions\n"
    " 1 # spin index\n {size} # number of localized basis\n {cells} # number of Bravais lattice vector R\n\n cell\n"
    " 1.0\n 9 0 0\n 0 9 0\n 0 0 9\n H\n 2\n Direct\n 0 0 0\n 0 0 0.1\n\n"
    " #" + "-" * 70 + "#\n # CSR Format #\n #" + "-" * 70 + "#\n",
}
FILES = {
    "STEP": ("data-HR-sparse_SPIN0.csr", "data-SR-sparse_SPIN0.csr", "data-DMR-sparse_SPIN0.csr"),
    "no STEP": ("data-HR-sparse_SPIN0.csr", "data-SR-sparse_SPIN0.csr", "data-DMR-sparse_SPIN0.csr"),
    "new": ("hrs1_nao.csr", "srs1_nao.csr", "dmrs1_nao.csr"),
}
STRU = f"""ATOMIC_SPECIES
H 1.008 H.upf upf201
NUMERICAL_ORBITAL
H_gga_6au_100Ry_1s.orb
LATTICE_CONSTANT
{1 / BOHR_ANGSTROM!r} # one Angstrom
LATTICE_VECTORS
9.0 0.0 0.0
0.0 9.0 0.0
0.0 0.0 9.0 #latvec3
ATOMIC_POSITIONS
Cartesian # Cartesian(Unit is LATTICE_CONSTANT)
H #label
1.0 #magnetism
2 #number of atoms
1.0 1.0 1.0 m 1 1 0 mag 1.0 velocity 0.0 0.0 0.1
1.0 1.0 1.7 0 0 1 v 0.1 0.0 0.0 mag 0.0 0.0 1.0 angle1 90
"""


def csr(head, letter, size=2, value="2.5e-01"):
    text = HEADS[head].format(letter=letter, size=size, cells=1)
    rows = f" {value} " + " ".join(["5.0e-01"] * (size - 1))
    return f"{text} 0 0 0 {size}\n{rows}\n {' '.join(map(str, range(size)))}\n {' '.join(map(str, range(size + 1)))}\n"


@pytest.fixture
def run(tmp_path):
    """Function that writes the run of a molecule with two s orbitals; returns its folder."""

    def write(head="STEP", text=STRU, inputs="INPUT_PARAMETERS\nnspin 1\n", **options):
        output = tmp_path / "H2/OUT.ABACUS"
        output.mkdir(parents=True, exist_ok=True)
        for file, letter in zip(FILES[head], ("H", "S", "DM"), strict=True):
            (output / file).write_text(csr(head, letter, **options))
        (tmp_path / "H2/STRU").write_text(text)
        (tmp_path / "H2/INPUT").write_text(inputs)
        return tmp_path / "H2"

    return write


@pytest.mark.parametrize("head", HEADS)
def test_headers_and_names_of_all_versions(run, head):
    (sample,) = read_samples(run(head))
    assert sorted(sample.operators) == ["density", "hamiltonian", "overlap"]
    np.testing.assert_allclose(np.diag(sample.operators["overlap"].dense()), [0.25, 0.5])
    np.testing.assert_allclose(sample.atoms.positions, [[1, 1, 1], [1, 1, 1.7]], atol=1e-12)


@pytest.mark.parametrize("nspin", ["2", "4"])
def test_runs_with_spin_even_if_the_second_file_is_left_out(run, nspin):
    with pytest.raises(DataError, match=f"INPUT says nspin {nspin}; matrices with spin are not supported"):
        next(read_samples(run(inputs=f"INPUT_PARAMETERS\nnspin   {nspin}  # spin\n")))


def test_spinors_told_by_their_number_or_complex_values(run):
    folder = run(size=4)
    (folder / "INPUT").unlink()
    with pytest.raises(
        DataError, match="matrices of 4 orbitals, the atoms of STRU have 2 .*; twice as many are those of"
    ):
        next(read_samples(folder))
    with pytest.raises(DataError, match="a calculation with spin"):
        next(read_samples(run(value="(2.5e-01,0.0e+00)")))


def test_structure_file_of_another_name(run):
    folder = run(inputs="INPUT_PARAMETERS\nstru_file  H2.stru\n")
    with pytest.raises(DataError, match=r"no H2.stru there or in the folder above; put the run's structure file there"):
        next(read_samples(folder))
    (folder / "STRU").rename(folder / "H2.stru")
    assert next(read_samples(folder)).atoms.get_chemical_formula() == "H2"


@pytest.mark.parametrize("head", ["STEP", "new"])
def test_frames_of_a_trajectory_in_one_file(run, head):
    folder = run(head)
    file = folder / "OUT.ABACUS" / FILES[head][0]
    text = file.read_text()
    file.write_text(text + re.sub("STEP: 0|Ionic Step 1", lambda m: m[0][:-1] + "2", text))
    with pytest.raises(DataError, match="holds 2 ionic steps; .* give each with its structure"):
        next(read_samples(folder))


# -- DeePTB -------------------------------------------------------------------------------------------------


def test_deeptb_with_a_trajectory_of_several_frames_and_counting_from_one(crystals, tmp_path):
    sample = crystals.sample("s00")
    write_samples([sample], tmp_path, "deeptb")
    folder = tmp_path / "data.s00"
    for name in ("positions.dat", "cell.dat", "atomic_numbers.dat", "pbc.dat", "info.json"):
        (folder / name).unlink()
    ase.io.write(folder / "xdat.traj", [sample.atoms, sample.atoms])
    (tmp_path / "info.json").write_text(json.dumps({"nframes": 2, "pos_type": "ase", "pbc": [True, True, False]}))
    for file in ("hamiltonians.h5", "overlaps.h5"):
        with h5py.File(folder / file, "r+") as target:
            blocks = {name: item[()] for name, item in target["0"].items()}
            del target["0"]
            for frame in ("1", "2"):
                for name, block in blocks.items():
                    i, j, *shift = map(int, name.split("_"))
                    target[f"{frame}/{i + 1}_{j + 1}_{'_'.join(map(str, shift))}"] = block.astype(np.float32)
    samples = list(read_samples(tmp_path))
    assert [back.id for back in samples] == ["s00_0", "s00_1"]
    for back in samples:
        assert_same(back, sample, 1e-5)
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
    with h5py.File(folder / "hamiltonians.h5", "r+") as target:
        for frame in ("1", "2"):
            for name in list(target[frame]):
                block = target[frame][name][()]
                del target[frame][name]
                target[frame][name] = np.kron(np.eye(2), block).astype(complex)
    with pytest.raises(DataError, match=r"has spin \(spin-orbit coupling\), which is not supported"):
        list(read_samples(tmp_path))
