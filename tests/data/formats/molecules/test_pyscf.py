"""PySCF checkpoints against the program's own matrices."""

import json
import shutil

import h5py
import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples
from slembench.data.formats.molecules.pyscf import read_checkpoint

gto = pytest.importorskip("pyscf.gto", reason="PySCF is not installed")
scf = pytest.importorskip("pyscf.scf")

WATER = "O 0 0 0.1; H 0.1 0.757 -0.47; H 0 -0.757 -0.47"


def run(file, method=scf.RHF, **molecule):
    calculation = method(gto.M(atom=WATER, verbose=0, **({"basis": "def2-tzvp"} | molecule)))
    calculation.chkfile, calculation.conv_tol = str(file), 1e-12
    calculation.kernel()
    return calculation


@pytest.fixture(scope="module")
def water(tmp_path_factory):
    file = tmp_path_factory.mktemp("chk") / "water.chk"
    return file, run(file)


@pytest.fixture
def copy(water, tmp_path):
    """Copy of the checkpoint, to be spoilt."""
    return shutil.copyfile(water[0], tmp_path / "water.chk")


def test_matrices_are_those_of_the_calculation(water, s_p_cosines):
    file, calculation = water
    assert detect_format(file)[0].name == "pyscf-chk"
    assert detect_format(file.parent)[1] == ["water.chk: keys mol and scf"]
    (sample,) = read_samples(file.parent)
    assert sample.basis.to_dict() == {"H": "3s1p", "O": "5s3p2d1f"}
    # PySCF's order: all shells ascending in l, p as x, y, z
    sizes = {"O": [1] * 5 + [3] * 3 + [5] * 2 + [7], "H": [1] * 3 + [3]}
    index, start = [], 0
    for size in sizes["O"] + sizes["H"] * 2:
        index += [start + k for k in ([1, 2, 0] if size == 3 else range(size))]
        start += size
    wanted = {
        "hamiltonian": calculation.get_fock(),
        "overlap": calculation.get_ovlp(),
        "density": calculation.make_rdm1(),
    }
    for name, matrix in wanted.items():
        found = sample.operators[name].dense()
        assert np.abs(found - matrix[np.ix_(index, index)]).max() < (2e-7 if name == "hamiltonian" else 1e-12)
    assert sample.info.energy == calculation.e_tot
    assert sample.info.electrons == 10
    np.testing.assert_allclose(
        sample.atoms.positions, [[0, 0, 0.1], [0.1, 0.757, -0.47], [0, -0.757, -0.47]], atol=1e-9
    )
    assert s_p_cosines(sample).max() < -1 + 1e-10


def test_pseudopotentials_keep_the_elements(tmp_path):
    run(tmp_path / "a.chk", basis="lanl2dz", ecp={"O": "lanl2dz"})
    run(tmp_path / "b.chkfile", basis="sto-3g")
    first, second = read_samples(tmp_path)
    assert first.atoms.get_chemical_symbols() == second.atoms.get_chemical_symbols() == ["O", "H", "H"]
    assert [first.id, second.id] == ["a", "b"]


def test_calculations_of_other_kinds_are_refused(tmp_path):
    file = tmp_path / "a.chk"
    run(file, scf.UHF, basis="sto-3g")
    with pytest.raises(DataError, match="'scf/mo_coeff': an unrestricted calculation; only restricted"):
        read_checkpoint(file)
    run(file, scf.ROHF, basis="sto-3g", charge=1, spin=1)
    with pytest.raises(DataError, match="'scf/mo_occ': singly occupied orbitals"):
        read_checkpoint(file)
    run(file, basis="6-31g*", cart=True)
    with pytest.raises(DataError, match="Cartesian Gaussians"):
        read_checkpoint(file)


def in_molecule(**values):
    def change(source):
        molecule = json.loads(source["mol"][()]) | values
        del source["mol"]
        source["mol"] = json.dumps({key: value for key, value in molecule.items() if value is not None})

    return change


def in_orbitals(key, change):
    def apply(source):
        value = change(source[f"scf/{key}"][()])
        del source[f"scf/{key}"]
        if value is not None:
            source[f"scf/{key}"] = value

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (in_molecule(a=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]), "a periodic calculation"),
        (in_molecule(_bas=None), "tables _atom, _atm, _bas, _env missing"),
        (in_molecule(_bas=[[0, 0, 1, 1, 0, 99999, 20, 0]]), "point beyond _env"),
        (in_molecule(_bas=[[0, 9, 1, 1, 0, 20, 20, 0]]), "atoms or shells that there cannot be"),
        (in_molecule(_atm=[[8, 20, 1, 23, 0, 0]]), r"have the shapes \(1, 6\)"),
        (in_molecule(_atom=[["O", [0, 0, 0]], ["H", [0, 0, 0]], ["?", [0, 0, 0]]]), "begins with no chemical symbol"),
        (in_orbitals("mo_coeff", lambda c: c[:, :-1]), r"\(43, 42\), not \(43, 43\)"),
        (in_orbitals("mo_coeff", lambda c: c * 1.01), "C\\^T S C differs from 1 by 2.0e-02"),
        (in_orbitals("mo_coeff", lambda c: c * np.nan), "C\\^T S C differs from 1 by nan"),
        (in_orbitals("mo_coeff", lambda c: c.astype(complex)), "must be real numbers"),
        (in_orbitals("e_tot", lambda e: [e, e]), r"key 'scf/e_tot': is an array of \(2,\)"),
        (in_orbitals("mo_energy", lambda e: None), "not readable as a checkpoint"),
        (in_orbitals("mo_energy", lambda e: e * np.inf), "hamiltonian': holds values that are not finite"),
    ],
)
def test_wrong_checkpoints_are_named(copy, change, message):
    with h5py.File(copy, "r+") as source:
        change(source)
    with pytest.raises(DataError, match=message):
        read_checkpoint(copy)


def test_text_of_the_file_is_never_run(copy, tmp_path):
    trap = f"__import__('pathlib').Path({str(tmp_path / 'trap')!r}).touch()"
    with h5py.File(copy, "r+") as source:
        in_molecule(atom=trap, basis=trap, ecp=trap, pseudo=trap)(source)
    assert read_checkpoint(copy).info.electrons == 10
    assert not (tmp_path / "trap").exists()


def test_folder_without_checkpoints(tmp_path):
    with pytest.raises(DataError, match=r"no file \*.chk"):
        read_samples(tmp_path, "pyscf-chk")
