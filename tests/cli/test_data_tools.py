"""`slembench data inspect` and `slembench data convert` on files that the project writes itself."""

import ase.build
import numpy as np
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.data import Sample, SampleInfo
from slembench.data.formats import FORMATS, read_samples, write_samples
from slembench.data.formats.qh9.molecule import BASIS
from slembench.operators.blocks import BlockMatrix

runner = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture
def water(tmp_path):
    """QH9 file of one water with a diagonal Hamiltonian, 1s of oxygen at -19."""
    atoms = ase.build.molecule("H2O")
    levels = [-19.0, -1.0, 2.0, *[-0.4] * 3, *[1.5] * 3, *[3.0] * 5, *[-0.3, 0.5, 2.0, 2.0, 2.0] * 2]
    blocks = BlockMatrix.from_dense(BASIS, atoms.numbers, np.diag(levels))
    write_samples([Sample("7", atoms, BASIS, {"hamiltonian": blocks}, SampleInfo("Hartree"))], tmp_path / "w.db", "qh9")
    return tmp_path / "w.db"


def run(*words):
    return runner.invoke(app, ["data", *map(str, words)])


def test_inspect(water):
    done = run("inspect", water)
    assert done.exit_code == 0, done.output
    for text in ("qh9: QH9", "sqlite table 'data'", "1 molecules", "positions in Angstrom: the shortest bond, O-H",
                 "H 2s1p, O 3s2p1d", "Hartree: the 1s level of O lies 18", "7 H2O"):  # fmt: skip
        assert text in done.output


def test_convert(water, tmp_path):
    done = run("convert", water, "--to", "deeptb", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "w.db is qh9: w.db: sqlite table 'data'" in done.output
    assert "1 structures written to" in done.output
    back, sample = next(read_samples(tmp_path / "out")), next(read_samples(water))
    assert back.id == "7"
    np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
    done = run("convert", tmp_path / "out", "--to", "qh9", "--out", tmp_path / "back.db", "--format", "deeptb")
    assert done.exit_code == 0, done.output
    values = [next(read_samples(p)).operators["hamiltonian"].values for p in (water, tmp_path / "back.db")]
    np.testing.assert_array_max_ulp(*values, 2)


def test_overlap_is_computed_on_request(water, tmp_path):
    pytest.importorskip("pyscf")
    done = run("inspect", water, "--overlap")
    assert "overlap" in done.output
    done = run("convert", water, "--to", "qh9", "--overlap", "--renumber", "--out", tmp_path / "b.db")
    assert "not written, because qh9 does not hold them: overlap" in done.output
    assert next(read_samples(tmp_path / "b.db")).id == "0"


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("convert", "--to", "deeptb", "--out", "w.db"), "exists already", 1),
        (("convert", "--to", "xyz", "--out", "x"), "unknown target 'xyz'", 1),
        (("convert", "--to", "deeptb", "--out", "x", "--format", "deeptb"), "no folder with positions.dat", 1),
        (("convert", "--to", "deeptb", "--out", "x", "--unit", "eV"), "format qh9 has no option 'unit'", 1),
        (("convert", "--to", "deeptb", "--out", "x", "--unit", "Ry"), "unknown unit 'Ry'; use eV or Hartree", 1),
        (("convert", "--to", "deeptb", "--out", "x", "--basis", "C"), "--basis must look like C=3s2p1d,H=2s1p", 1),
        (("inspect", "--length-unit", "Bohr"), "the first", 0),
        (("inspect", "--format", "qh8"), "unknown format 'qh8'; known: deeph-new", 1),
        (("convert", "--to", "deeptb"), "Missing option '--out'", 2),
    ],
)
def test_errors_are_one_line(water, tmp_path, monkeypatch, words, message, code):
    monkeypatch.chdir(tmp_path)
    done = run(words[0], "w.db", *words[1:])
    if code:
        assert done.exit_code == code
        assert message in done.output
        assert "Traceback" not in done.output
    else:
        assert done.exit_code == 0, done.output
    assert not (tmp_path / "x").exists()


def test_basis_option_reaches_the_reader(tmp_path):
    done = run("inspect", tmp_path, "--format", "deeptb-lmdb", "--basis", "C=3s2p1d,H=2s1p")
    assert done.exit_code == 1
    assert "no LMDB file" in done.output


def test_help_names_every_format_that_is_written():
    written = [name for name, item in FORMATS.items() if item.write is not None]
    assert all(name in run("convert", "--help").output for name in written)
