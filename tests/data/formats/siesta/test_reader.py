"""SIESTA's matrices: against its eigenvalues, electron numbers, and the DeepH form of the same run."""

import shutil
import struct

import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.formats import FORMATS, detect_format, read_samples
from slembench.data.formats.deeph.current import read_structure
from slembench.operators.units import BOHR_ANGSTROM, HARTREE_EV

pytest.importorskip("sisl", reason="sisl is not installed")

RUNS = {"H2O_dimer": "h2o_dipole", "SrTiO3": "SrTiO3", "Si_raw": "Si"}


@pytest.fixture(scope="module")
def samples(real_files):
    return {name: next(read_samples(real_files / "siesta" / name)) for name in RUNS}


@pytest.fixture
def run(copy_of, real_files):
    """Copy of the smallest run, to be spoilt."""
    return copy_of(real_files / "siesta/H2O_dimer")


def eigenvalues(folder, stem):
    """k points (1/Bohr) and energies (eV) from the texts KP and EIG; and the Fermi level."""
    kpoints = np.loadtxt(folder / f"{stem}.KP", skiprows=1, ndmin=2)[:, 1:4]
    numbers = np.array((folder / f"{stem}.EIG").read_text().split(), dtype=float)
    bands, spins, count = numbers[1:4].astype(int)
    assert spins == 1
    assert count == len(kpoints)
    return kpoints, numbers[4:].reshape(count, bands + 1)[:, 1:], numbers[0]


@pytest.mark.real_files
@pytest.mark.parametrize(("name", "error"), [("H2O_dimer", 5e-8), ("SrTiO3", 1.2e-4), ("Si_raw", 1.2e-4)])
def test_eigenvalues_equal_those_of_siesta(real_files, samples, name, error):
    """To the digits of the k points; a shift by the Fermi level would be electronvolts."""
    sample = samples[name]
    kpoints, energies, fermi_level = eigenvalues(real_files / "siesta" / name, RUNS[name])
    chosen = slice(None, None, max(1, len(kpoints) // 15))
    fractional = kpoints[chosen] @ sample.atoms.cell.array.T / (2 * np.pi * BOHR_ANGSTROM)
    h, s = (sample.operators[key].at_k(fractional) for key in ("hamiltonian", "overlap"))
    found = np.array([scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(h, s, strict=True)])
    assert np.abs(found - energies[chosen]).max() < error
    assert sample.info.fermi_level == pytest.approx(fermi_level, abs=1e-6)


@pytest.mark.real_files
@pytest.mark.parametrize(("name", "electrons"), [("H2O_dimer", 16), ("SrTiO3", 40), ("Si_raw", 8)])
def test_density_counts_the_electrons(samples, name, electrons):
    density, overlap = samples[name].operators["density"], samples[name].operators["overlap"]
    total = density.align(overlap.pair_index, overlap.pair_shift)[0].values @ overlap.values
    assert total == pytest.approx(electrons, abs=1e-9)
    assert samples[name].info.electrons == pytest.approx(electrons, abs=1e-9)


@pytest.mark.real_files
def test_equal_to_the_deeph_form_of_the_same_run(real_files, samples):
    deeph, sample = read_structure(real_files / "siesta/Si_deeph"), samples["Si_raw"]
    assert sample.basis.to_dict() == deeph.basis.to_dict() == {"Si": "2s2p1d"}
    found = {
        name: sample.operators[name].align(wanted.pair_index, wanted.pair_shift)
        for name, wanted in deeph.operators.items()
    }
    assert all(len(missing) == len(extra) == 0 for _, missing, extra in found.values())
    difference = {name: found[name][0].values - matrix.values for name, matrix in deeph.operators.items()}
    assert np.abs(difference["overlap"]).max() < 4e-9  # that form is made exactly symmetric
    assert np.abs(difference["hamiltonian"]).max() < 1e-6  # no shift by the Fermi level in either
    older_rydberg = 13.6056923 / (HARTREE_EV / 2)  # CODATA 2002
    rest = found["hamiltonian"][0].values * older_rydberg - deeph.operators["hamiltonian"].values
    assert np.abs(rest).max() < 1e-7
    assert sample.info.fermi_level == pytest.approx(deeph.info.fermi_level, abs=1e-7)
    np.testing.assert_allclose(sample.atoms.positions, deeph.atoms.positions, atol=1e-6)


@pytest.mark.real_files
@pytest.mark.parametrize("name", ["SrTiO3", "Si_raw"])
def test_s_p_overlaps_point_along_the_pair(samples, name, s_p_cosines):
    cosines = s_p_cosines(samples[name])
    assert len(cosines) > 10
    assert np.abs(cosines).min() > 1 - 1e-4
    if name == "Si_raw":  # in the other, products of two radial functions are negative
        assert cosines.max() < 0


@pytest.mark.real_files
def test_axes_that_siesta_folds_are_not_periodic(real_files, samples):
    notes = FORMATS["siesta"].notes(real_files / "siesta/H2O_dimer")
    assert "of 1 x 1 x 1 here; they are read as not periodic" in notes[1]
    assert len(FORMATS["siesta"].notes(real_files / "siesta/SrTiO3")) == 1
    assert samples["SrTiO3"].atoms.pbc.all()
    assert not samples["H2O_dimer"].atoms.pbc.any()
    assert not samples["H2O_dimer"].operators["hamiltonian"].pair_shift.any()


@pytest.mark.real_files
def test_detected_as_file_folder_and_folder_of_folders(real_files, tmp_path):
    folder = real_files / "siesta/SrTiO3"
    for path, evidence in ((folder, "SrTiO3.HSX"), (folder / "SrTiO3.HSX", "SrTiO3.HSX")):
        chosen, found = detect_format(path)
        assert chosen.name == "siesta"
        assert found == [evidence]
        assert chosen.notes(path)[0] == "SrTiO3.HSX: HSX version 1, 72 orbitals, not shifted by the Fermi level"
    for name in RUNS:
        shutil.copytree(real_files / "siesta" / name, tmp_path / name, copy_function=shutil.copyfile).chmod(0o755)
    assert [sample.id for sample in read_samples(tmp_path)] == sorted(RUNS)
    shutil.copyfile(tmp_path / "Si_raw/Si.HSX", tmp_path / "SrTiO3/Si.HSX")
    assert [sample.id for sample in read_samples(tmp_path / "SrTiO3")] == ["Si", "SrTiO3"]


@pytest.mark.real_files
def test_elements_from_xv_or_labels(run, samples):
    (run / "h2o_dipole.DM").unlink()
    (run / "h2o_dipole.XV").unlink()
    sample = next(read_samples(run))
    assert sorted(sample.operators) == ["hamiltonian", "overlap"]
    assert sample.atoms.get_chemical_symbols() == ["O", "H", "H"] * 2
    wanted = samples["H2O_dimer"]
    np.testing.assert_array_equal(sample.operators["hamiltonian"].values, wanted.operators["hamiltonian"].values)
    hsx = run / "h2o_dipole.HSX"
    hsx.write_bytes(hsx.read_bytes().replace(b"O" + b" " * 19, b"7q" + b" " * 18))
    with pytest.raises(DataError, match="species '7q' begins with no chemical symbol"):
        next(read_samples(run))


# -- files of other versions, written here from a real one ---------------------------------------------------


def records(content):
    """Records of a Fortran file."""
    place, found = 0, []
    while place < len(content):
        (length,) = struct.unpack_from("<i", content, place)
        found.append(content[place + 4 : place + 4 + length])
        place += length + 8
    return found


def fortran(parts):
    return b"".join(struct.pack("<i", len(part)) + part + struct.pack("<i", len(part)) for part in parts)


def as_version_0(content):
    """An HSX file of version 1 with double precision in the layout of version 0: single precision, distances."""
    (_, _, sizes, head, atoms, species, *rest), single = records(content), "<f4"
    na, no, _, ns, *nsc = struct.unpack("<7i", sizes)
    cells = int(np.prod(nsc))
    shells, (numh, *rows) = rest[:ns], rest[ns:]
    cell, isc = np.frombuffer(head, "<f8", 9).reshape(3, 3), np.frombuffer(atoms, "<i4", 3 * cells).reshape(-1, 3)
    xa = np.frombuffer(atoms, "<f8", 3 * na, 12 * cells).reshape(-1, 3)
    isa, last = np.frombuffer(atoms, "<i4", 2 * na, 12 * cells + 24 * na).reshape(2, -1)
    atom = np.searchsorted(last, np.arange(1, no + 1))
    xij = []
    for row, columns in enumerate(np.frombuffer(part, "<i4") - 1 for part in rows[:no]):
        vectors = xa[atom[columns % no]] + isc[columns // no] @ cell - xa[atom[row]]
        xij.append(vectors.astype(single).tobytes())
    values = [np.frombuffer(part, "<f8").astype(single).tobytes() for part in rows[no : 3 * no]]
    total = int(np.frombuffer(numh, "<i4").sum())
    return fortran([
        struct.pack("<4i", no, no * cells, 1, total), struct.pack("<i", 0),
        np.tile(np.arange(1, no + 1, dtype="<i4"), cells).tobytes(), numh, *rows[:no], *values, head[80:], *xij,
        struct.pack("<i", ns), species, *(part[n : n + 12] for part in shells for n in range(0, len(part), 12)),
        struct.pack("<i", na), isa.astype("<i4").tobytes(),
    ])  # fmt: skip


@pytest.mark.real_files
def test_version_0_with_its_xv_file(copy_of, real_files, samples):
    run = copy_of(real_files / "siesta/SrTiO3")
    hsx = run / "SrTiO3.HSX"
    hsx.write_bytes(as_version_0(hsx.read_bytes()))
    sample, wanted = next(read_samples(run)), samples["SrTiO3"]
    assert sample.basis.shells == wanted.basis.shells
    assert sample.info.fermi_level is None
    assert sample.info.electrons == pytest.approx(40)
    for name, matrix in wanted.operators.items():
        found, missing, extra = sample.operators[name].align(matrix.pair_index, matrix.pair_shift)
        assert len(missing) == len(extra) == 0
        scale = np.abs(matrix.values).max()
        np.testing.assert_allclose(found.values, matrix.values, atol=2e-7 * scale if name != "density" else 1e-14)
    (run / "SrTiO3.XV").unlink()
    with pytest.raises(DataError, match=r"a file of SIESTA before 5 has no lattice; put SrTiO3.XV beside it"):
        next(read_samples(run))


@pytest.mark.real_files
def test_single_precision_and_the_flag_of_another_compiler(run, samples):
    hsx = run / "h2o_dipole.HSX"
    parts = records(hsx.read_bytes())
    hsx.write_bytes(fortran([parts[0], struct.pack("<i", -1), *parts[2:]]))
    wanted = samples["H2O_dimer"].operators["hamiltonian"].values
    np.testing.assert_array_equal(next(read_samples(run)).operators["hamiltonian"].values, wanted)
    first = 9 + 34
    rows = [np.frombuffer(part, "<f8").astype("<f4").tobytes() for part in parts[first:]]
    hsx.write_bytes(fortran([parts[0], struct.pack("<i", 0), *parts[2:first], *rows]))
    found = next(read_samples(run)).operators["hamiltonian"].values
    np.testing.assert_allclose(found, wanted, atol=1e-7 * np.abs(wanted).max())


# -- refusals ------------------------------------------------------------------------------------------------


def with_number(record, place, value):
    """Change one four-byte integer of a record."""

    def change(parts):
        part = bytearray(parts[record])
        part[4 * place : 4 * place + 4] = struct.pack("<i", value)
        parts[record] = bytes(part)
        return parts

    return change


@pytest.mark.real_files
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_number(0, 0, 3), "HSX version 3 is not known"),
        (with_number(2, 2, 2), r"two collinear spins \(H up, H down\); matrices with spin are not supported"),
        (with_number(2, 2, 4), "non-collinear spins"),
        (with_number(2, 2, 8), "spin-orbit coupling"),
        (with_number(2, 2, 7), "7 spin components, which is damage"),
        (with_number(2, 1, 35), "the atoms have 34 orbitals, the header says 35"),
        (with_number(2, 1, -1), "impossible sizes"),
        (with_number(2, 4, 2), "impossible number of cells"),
        (with_number(2, 0, 7), r"record 4, translations and atoms: has 204 bytes, must have 236"),
        (with_number(4, 1, 1), "the translations are not those of 1 x 1 x 1 cells"),
        (with_number(4, 40, 9), r"species of the atoms must lie in 1..2"),
        (with_number(5, 7, 8), r"record 6, shells: has 108 bytes, must have 96"),
        (with_number(6, 4, 4), "no whole shell"),
        (with_number(8, 3, 24), "column numbers: not of the lengths"),
        (with_number(9, 0, 99), r"record 9: column numbers must differ and lie in 1..34"),
        (with_number(44, 1, 1 << 30), "not Hermitian"),
        (lambda parts: parts[:-1], "overlap: not of the lengths that the header says"),
        (lambda parts: [*parts, b"1234"], "1 records more than its header says"),
        (lambda parts: parts[:2], "ends after 2 records, before sizes"),
        (lambda parts: [], "empty"),
    ],
)
def test_wrong_records_are_named(run, change, message):
    hsx = run / "h2o_dipole.HSX"
    hsx.write_bytes(fortran(change(records(hsx.read_bytes()))))
    with pytest.raises(DataError, match=message) as caught:
        next(read_samples(run))
    assert str(caught.value).startswith(str(hsx))


@pytest.mark.real_files
def test_companions_that_do_not_fit(run, real_files):
    xv, dm = run / "h2o_dipole.XV", run / "h2o_dipole.DM"
    text = xv.read_text()
    xv.write_text(text.replace("  1     8 ", "  1    -8 "))
    with pytest.raises(DataError, match=r"XV: atomic numbers must lie in 1..118"):
        next(read_samples(run))
    xv.write_text(text[:-300])
    with pytest.raises(DataError, match="XV: (has 6 atoms|malformed)"):
        next(read_samples(run))
    xv.write_text(text)
    shutil.copyfile(real_files / "siesta/Si_raw/Si.DM", dm)
    with pytest.raises(DataError, match=r"DM: 26 orbitals, the HSX file beside it has 34"):
        next(read_samples(run))
    with pytest.raises(DataError, match="no HSX file at or below it"):
        read_samples(run / "nothing", "siesta")
