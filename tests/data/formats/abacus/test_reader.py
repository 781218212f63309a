"""ABACUS output: a real MoS2 run against its own eigenvalues and its DeepH form; both headers; where shells stand."""

import re

import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples
from slembench.data.formats.abacus.csr import read_csr
from slembench.data.formats.deeph.current import read_structure
from slembench.data.formats.orbital_order import from_canonical
from slembench.operators.units import ABACUS_RYDBERG_EV, BOHR_ANGSTROM

MATRICES = {"hamiltonian": "data-HR-sparse_SPIN0.csr", "overlap": "data-SR-sparse_SPIN0.csr"}


@pytest.fixture(scope="module")
def mos2(real_files):
    return next(read_samples(real_files / "abacus/MoS2_raw"))


@pytest.fixture
def run(real_files, copy_of):
    """Copy of the run's folder, to be spoilt."""
    return copy_of(real_files / "abacus/MoS2_raw")


def istate(file):
    """(k, energies in eV) of every k point of istate.info."""
    for part in file.read_text().split("BAND")[1:]:
        head, *lines = part.splitlines()
        k = [float(x) for x in re.search(r"Kpoint = \d+ +\((.*)\)", head)[1].split()]
        yield np.array(k), np.array([float(line.split()[1]) for line in lines if line.strip()])


@pytest.mark.real_files
def test_eigenvalues_equal_those_of_abacus(real_files, mos2):
    count = 0
    for k, energies in istate(real_files / "abacus/MoS2_raw/OUT.ABACUS/istate.info"):
        h, s = (mos2.operators[name].at_k(k)[0] for name in ("hamiltonian", "overlap"))
        found = scipy.linalg.eigh(h, s, eigvals_only=True)[: len(energies)]
        assert np.abs(found - energies).max() < 4e-7
        count += len(energies)
    assert count == 69


@pytest.mark.real_files
def test_equal_to_the_deeph_form_of_the_same_run(real_files, mos2):
    deeph = read_structure(real_files / "abacus/MoS2_deeph")
    assert mos2.basis.to_dict() == deeph.basis.to_dict() == {"S": "2s2p1d", "Mo": "4s2p2d1f"}
    for name, wanted in deeph.operators.items():
        found, missing, extra = mos2.operators[name].align(wanted.pair_index, wanted.pair_shift)
        assert len(missing) == 0
        np.testing.assert_array_equal(found.values, wanted.values)
        rest = mos2.operators[name].take(extra).values  # that form keeps only the pairs of S
        assert np.abs(rest).max(initial=0) < 1e-4
    np.testing.assert_allclose(mos2.atoms.positions, deeph.atoms.positions, atol=3e-5)  # it has 6 digits
    assert mos2.info.fermi_level == deeph.info.fermi_level == -2.3123356452
    assert mos2.info.electrons == 26
    assert mos2.info.energy == -2423.217181100656
    assert mos2.info.group == mos2.id == "MoS2_raw"


@pytest.mark.real_files
def test_s_p_overlaps_point_along_the_pair(mos2, s_p_cosines):
    for shell in range(2):
        cosines = s_p_cosines(mos2, shell)
        assert len(cosines) > 50
        assert np.abs(cosines).min() > 1 - 1e-4


@pytest.mark.real_files
def test_detected_at_every_level(real_files, copy_of, run):
    chosen, evidence = detect_format(run)
    assert chosen.name == "abacus"
    assert evidence == [f"OUT.ABACUS/{file}" for file in MATRICES.values()]
    for path in (run.parent, run / "OUT.ABACUS"):
        assert detect_format(path)[0].name == "abacus"
        assert [sample.id for sample in read_samples(path)] == ["MoS2_raw"]


def as_newer_version(text):
    """The text of an old file in the form of version 3.11: other header, comments, at most 8 numbers a line."""
    _, dimension, count, *lines = text.splitlines()
    box = "#" + "-" * 70 + "#"
    head = f""" --- Ionic Step 1 ---
 # print matrix in real space
 1 # number of spin directions
 1 # spin index
 {dimension.split()[-1]} # number of localized basis
 {count.split()[-1]} # number of Bravais lattice vector R

 user_defined_lattice
 3.16
 1 0 0
 -0.5 0.866 0
 0 0 12
 Mo S
 1 2
 Direct
 0 0 0

 {box}
 #    CSR Format    #
 {box}
"""
    parts, place = [head], 0
    while place < len(lines):
        parts.append(" " + lines[place])
        if int(lines[place].split()[3]):
            for name, line in zip(
                ("values", "column indices", "row pointers"), lines[place + 1 : place + 4], strict=True
            ):
                words = line.split()
                parts.append(f" # CSR {name}")
                parts += [" ".join(words[n : n + 8]) for n in range(0, len(words), 8)]
            place += 3
        place += 1
    return "\n".join(parts)


@pytest.mark.real_files
@pytest.mark.parametrize(
    "names", [("hrs1_nao.csr", "srs1_nao.csr", "dmrs1_nao.csr"), ("hrs1g1_nao.csr", "sr_nao.csr", "dmrs1g1_nao.csr")]
)
def test_files_of_newer_versions(run, mos2, names):
    folder = run / "OUT.ABACUS"
    for old, new in zip(MATRICES.values(), names, strict=False):
        (folder / new).write_text(as_newer_version((folder / old).read_text()))
        (folder / old).unlink()
    (folder / names[2]).write_bytes((folder / names[1]).read_bytes())
    sample = next(read_samples(run))
    assert sorted(sample.operators) == ["density", "hamiltonian", "overlap"]
    for name in MATRICES:
        np.testing.assert_array_equal(sample.operators[name].pair_index, mos2.operators[name].pair_index)
        np.testing.assert_array_equal(sample.operators[name].values, mos2.operators[name].values)
    np.testing.assert_array_equal(sample.operators["density"].values, mos2.operators["overlap"].values)


ORBITAL = """---------------------------------------------------------------------------
Element                     {element}
Lmax                        3
Number of Sorbital-->       {s}
Number of Porbital-->       2
Number of Dorbital-->       {d}
{more}
"""


@pytest.mark.real_files
def test_shells_from_orbital_files_the_log_or_names(run, mos2):
    stru = (run / "STRU").read_text()
    (run / "STRU").write_text(re.sub(r"\S+/(\w+)_gga\S+\.orb", r"some/\1.orb", stru))
    by_log = next(read_samples(run))
    (run / "OUT.ABACUS/running_scf.log").unlink()
    with pytest.raises(DataError, match=r"shells of species 'Mo' are not known: its orbital file \(some/Mo.orb\)"):
        next(read_samples(run))
    (run / "STRU").write_text(stru)
    by_name = next(read_samples(run))
    (run / "Mo_gga_8au_100Ry_4s2p2d1f.orb").write_text(
        ORBITAL.format(element="Mo", s=4, d=2, more="Number of Forbital-->       1")
    )
    (run / "S_DZP").mkdir()
    (run / "S_DZP/S_gga_8au_100Ry_2s2p1d.orb").write_text(ORBITAL.format(element="S", s=2, d=1, more=""))
    by_file = next(read_samples(run))
    for sample in (by_log, by_name, by_file):
        assert sample.basis.to_dict() == {"S": "2s2p1d", "Mo": "4s2p2d1f"}
        np.testing.assert_array_equal(sample.operators["hamiltonian"].values, mos2.operators["hamiltonian"].values)
    assert by_name.info.electrons is by_name.info.fermi_level is None
    (run / "S_DZP/S_gga_8au_100Ry_2s2p1d.orb").write_text(ORBITAL.format(element="S", s=3, d=1, more=""))
    with pytest.raises(
        DataError, match=r"HR.*matrices of 53 orbitals, the atoms of STRU have 55 \(S 3s2p1d, Mo 4s2p2d1f\)"
    ):
        next(read_samples(run))


def tiny_csr(blocks, dimension=2, name="H(R)"):
    """Text of a few cells, each {R: dense matrix}."""
    lines = ["STEP: 0", f"Matrix Dimension of {name}: {dimension}", f"Matrix number of {name}: {len(blocks)}"]
    for shift, matrix in blocks.items():
        sparse = scipy.sparse.csr_matrix(np.array(matrix))
        lines.append(" ".join(map(str, (*shift, sparse.nnz))))
        if sparse.nnz:
            lines += [" ".join(map(str, array.tolist())) for array in (sparse.data, sparse.indices, sparse.indptr)]
    return "\n".join(lines) + "\n"


INPUT = "INPUT_PARAMETERS\nbasis_type lcao\nout_mat_hs2 1\nlatname none\n"
LOG = " AUTOSET number of electrons:  = 8\n !FINAL_ETOT_IS -350.25 eV\n EFERMI = -3.5 eV\n"


def write_run(folder, sample):
    """A run's folder as ABACUS leaves it, of a crystal in eV; atoms of a species must follow each other."""
    output, symbols = folder / "OUT.ABACUS", list(dict.fromkeys(sample.atoms.symbols))
    output.mkdir(parents=True)
    shells = sample.basis.to_dict()
    lines = ["ATOMIC_SPECIES", *(f"{symbol} 1.0 {symbol}.upf" for symbol in symbols), "", "NUMERICAL_ORBITAL"]
    lines += [f"{symbol}_gga_8au_{shells[symbol]}.orb" for symbol in symbols]
    lines += ["", "LATTICE_CONSTANT", f"{1 / BOHR_ANGSTROM!r}", "", "LATTICE_VECTORS"]
    lines += [" ".join(map(repr, row)) for row in sample.atoms.cell.array.tolist()]
    lines += ["", "ATOMIC_POSITIONS", "Cartesian"]
    for symbol in symbols:
        rows = sample.atoms.positions[np.array(sample.atoms.symbols) == symbol].tolist()
        lines += [symbol, "0.0", str(len(rows)), *(" ".join(map(repr, row)) + " 1 1 1" for row in rows)]
    (folder / "STRU").write_text("\n".join(lines) + "\n")
    (folder / "INPUT").write_text(INPUT)
    (output / "running_scf.log").write_text(LOG)
    for name, letter in (("hamiltonian", "H"), ("overlap", "S"), ("density", "DM")):
        if name in sample.operators:
            matrix = from_canonical(sample.operators[name].complete(), "abacus")
            shifts, parts = (matrix * (1 / ABACUS_RYDBERG_EV if letter == "H" else 1.0)).sparse()
            cells = {tuple(shift): part.toarray() for shift, part in zip(shifts.tolist(), parts, strict=True)}
            text = tiny_csr(cells, matrix.n_orbitals, f"{letter}(R)")
            (output / f"data-{letter}R-sparse_SPIN0.csr").write_text(text)


def test_a_run_made_here_comes_back(crystals, tmp_path):
    sample = crystals.sample("s00")
    sample.atoms.positions[:] += 0.3  # every atom inside the cell
    write_run(tmp_path / "BN", sample)
    (back,) = read_samples(tmp_path)
    np.testing.assert_allclose(back.atoms.positions, sample.atoms.positions, rtol=1e-14)
    for name, wanted in sample.operators.items():
        full = wanted.complete()
        found, missing, extra = back.operators[name].align(full.pair_index, full.pair_shift)
        assert len(missing) == len(extra) == 0
        np.testing.assert_allclose(found.values, full.values, rtol=1e-15, atol=1e-300)
    assert (back.info.electrons, back.info.energy, back.info.fermi_level) == (8, -350.25, -3.5)


def test_cells_without_elements_have_no_lines(tmp_path):
    text = tiny_csr({(0, 0, 0): [[1, 2], [2, 3]], (-1, 0, 0): [[0, 0], [0, 0]], (1, 0, 2): [[0, 5], [0, 0]]})
    (tmp_path / "h.csr").write_text(text)
    found = read_csr(tmp_path / "h.csr")
    assert found.size == 2
    assert found.values.tolist() == [1, 2, 2, 3, 5]
    assert found.rows.tolist() == [0, 0, 1, 1, 0]
    assert found.columns.tolist() == [0, 1, 0, 1, 1]
    assert found.shifts.tolist() == [[0, 0, 0]] * 4 + [[1, 0, 2]]
    (tmp_path / "h.csr").write_text(text.removeprefix("STEP: 0\n").replace("-1 0 0 0\n", "-1 0 0 0\n0 0 0\n"))
    assert read_csr(tmp_path / "h.csr").values.tolist() == [1, 2, 2, 3, 5]  # some write zero row pointers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "Si 2\n" + t[30:], "no header of an ABACUS matrix"),
        (lambda t: t + t, "holds 2 ionic steps"),
        (lambda t: t.replace("2.0", "(2.0,0.0)"), "a calculation with spin"),
        (lambda t: t.replace("2.0", "2.o"), "something other than numbers"),
        (lambda t: t.replace("2.0", "nan"), "NaN or infinite"),
        (lambda t: t.replace("0 1 0 1", "0 1 0 2"), "column numbers must lie in 0..1"),
        (lambda t: t.replace("0 1 0 1", "0 1 0 1.5"), "has a fraction"),
        (lambda t: t.replace("0 2 4", "0 5 4"), "row pointers must rise from 0 to 4"),
        (lambda t: t.replace("0 0 0 4", "0 0 0 5"), "number of elements in 0..4"),
        (lambda t: t.replace("H(R): 1", "H(R): 2"), "matrix 2 of 2: must begin with Rx Ry Rz"),
        (lambda t: t[:-4], "the file ends early|rise from 0"),
        (lambda t: t + "1 2 3\n", "3 numbers more than the 1 matrices"),
    ],
)
def test_wrong_texts_are_named(tmp_path, change, message):
    (tmp_path / "h.csr").write_text(change(tiny_csr({(0, 0, 0): [[1.0, 2.0], [2.0, 3.0]]})))
    with pytest.raises(DataError, match=message) as caught:
        read_csr(tmp_path / "h.csr")
    assert str(caught.value).startswith(str(tmp_path / "h.csr"))


def test_folded_and_spin_polarised_matrices_are_refused(tmp_path):
    text = as_newer_version(tiny_csr({(0, 0, 0): [[1.0, 0], [0, 3.0]]}))
    (tmp_path / "h.csr").write_text(text)
    assert read_csr(tmp_path / "h.csr").values.tolist() == [1, 3]
    (tmp_path / "h.csr").write_text(text.replace("1 # number of spin", "2 # number of spin"))
    with pytest.raises(DataError, match="a calculation with spin"):
        read_csr(tmp_path / "h.csr")
    (tmp_path / "h.csr").write_text(
        text.replace("1 # spin index", "1 # spin index\n# representation: gamma-only folded matrix")
    )
    with pytest.raises(DataError, match="all lattice translations are summed"):
        read_csr(tmp_path / "h.csr")


@pytest.mark.real_files
def test_files_that_do_not_go_together(run):
    folder = run / "OUT.ABACUS"
    (folder / "hrs1_nao.csr").write_bytes((folder / MATRICES["hamiltonian"]).read_bytes())
    with pytest.raises(DataError, match=r"data-HR-sparse_SPIN0.csr, hrs1_nao.csr: several files of one matrix"):
        next(read_samples(run))
    (folder / "hrs1_nao.csr").rename(folder / "hrs2_nao.csr")
    with pytest.raises(DataError, match="hrs2_nao.csr is the second of two spins"):
        next(read_samples(run))
    (folder / "hrs2_nao.csr").unlink()
    text = (folder / MATRICES["hamiltonian"]).read_text()
    (folder / MATRICES["hamiltonian"]).write_text(re.sub(r"\n0 0 0 (\d+)\n", r"\n0 0 40 \1\n", text))
    with pytest.raises(DataError, match="not Hermitian"):
        next(read_samples(run))
    (run / "STRU").unlink()
    with pytest.raises(DataError, match="no STRU there or in the folder above"):
        next(read_samples(run))
