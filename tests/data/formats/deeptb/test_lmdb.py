"""DeePTB LMDB files: real methane frames, shells told from overlaps that PySCF computes, refusals and damage."""

import pickle

import lmdb
import numpy as np
import pytest
import scipy.linalg

from slembench.core.errors import DataError
from slembench.data.formats import detect_format, read_samples
from slembench.data.formats.deeptb.lmdb import detect, notes, read


def record_of(sample, triangle=True):
    """What DeePTB stores of a frame: the upper triangle of the blocks."""
    record = {
        "atomic_numbers": sample.atoms.numbers,
        "pos": sample.atoms.positions,
        "cell": sample.atoms.cell.array.astype(np.float32),
        "pbc": sample.atoms.pbc,
        "idx": 0,
        "nf": 0,
    }
    for key, operator in sample.operators.items():
        matrix = operator.triangle() if triangle else operator.complete()
        names = np.concatenate([matrix.pair_index, matrix.pair_shift], axis=1).tolist()
        record["density_matrix" if key == "density" else key] = {
            "_".join(map(str, name)): matrix.values[a:b].reshape(shape)
            for name, shape, a, b in zip(names, matrix.shapes, matrix.offsets[:-1], matrix.offsets[1:], strict=True)
        }
    return record


def write(folder, records):
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for number, record in enumerate(records):
            transaction.put(number.to_bytes(4, "big"), pickle.dumps(record))
    return folder


# -- a real file ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def methane(real_files):
    return list(read_samples(real_files / "deeptb/CH4_lmdb"))


@pytest.mark.real_files
def test_methane(real_files, methane):
    """B3LYP/6-311+G(d,p): shells and unit are not in the file, and come out right."""
    assert [sample.id for sample in methane] == ["data.153_0", "data.153_1"]
    for sample in methane:
        assert sample.basis.to_dict() == {"H": "3s1p", "C": "5s4p1d"}
        assert sample.info.energy_unit == "Hartree"
        assert not sample.atoms.pbc.any()
        h, s = (sample.operators[name] for name in ("hamiltonian", "overlap"))
        assert h.n_pairs == s.n_pairs == 25
        levels = scipy.linalg.eigvalsh(h.dense(), s.dense())
        assert levels[[0, 1, 4]] == pytest.approx([-10.1526, -0.69699, -0.39559], abs=2e-5)
    assert detect_format(real_files / "deeptb/CH4_lmdb")[0].name == "deeptb-lmdb"
    lines = notes(real_files / "deeptb/CH4_lmdb")
    assert lines[:2] == ["2 frames in 1 file(s)", "shells from the symmetry of the overlap"]
    assert lines[2].startswith("energies in Hartree (not recorded): the 1s level of C lies 9.5")


@pytest.mark.real_files
def test_methane_overlaps_point_along_the_bonds(methane, s_p_cosines):
    for sample in methane:
        for shell in range(3):
            cosines = s_p_cosines(sample, shell)
            assert len(cosines) >= 16
            assert cosines.max() < -1 + 1e-6


@pytest.mark.real_files
def test_methane_with_given_shells(real_files, methane):
    given = {"C": "5s4p1d", "H": "3s1p", "O": "1s"}
    found = list(read_samples(real_files / "deeptb/CH4_lmdb", basis=given, unit="eV"))
    assert {sample.info.energy_unit for sample in found} == {"eV"}
    for sample, wanted in zip(found, methane, strict=True):
        for key, operator in wanted.operators.items():
            np.testing.assert_array_equal(sample.operators[key].values, operator.values)
    with pytest.raises(
        DataError, match="block 0_0_0_0_0: is \\(22, 22\\), the shells of its atoms make it \\(14, 14\\)"
    ):
        list(read(real_files / "deeptb/CH4_lmdb", basis={"C": "3s2p1d", "H": "3s1p"}))


# -- made-up files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("triangle", [True, False])
@pytest.mark.parametrize("kind", ["crystals", "molecules"])
def test_frames_equal_what_was_written(request, tmp_path, kind, triangle):
    data = request.getfixturevalue(kind)
    samples = [data.sample(name) for name in data.ids[:3]]
    write(tmp_path / "set.3.lmdb", [record_of(sample, triangle) for sample in samples])
    (tmp_path / "basis.dat").write_text("{'B': '2s1p', 'N': '1s1p1d'}")
    found = list(read_samples(tmp_path, unit="eV"))
    assert [sample.id for sample in found] == ["set.3_0", "set.3_1", "set.3_2"]
    assert notes(tmp_path)[1] == "shells from basis.dat"
    for back, sample in zip(found, samples, strict=True):
        np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
        np.testing.assert_array_equal(back.atoms.pbc, sample.atoms.pbc)
        for key, operator in sample.operators.items():
            full = operator.complete()
            aligned, missing, extra = back.operators[key].align(full.pair_index, full.pair_shift)
            np.testing.assert_array_equal(aligned.values, full.values)
            assert not len(missing)
            assert not len(extra)


def test_all_files_of_a_folder_are_read(tmp_path, molecules):
    for number in (2, 1):
        write(tmp_path / f"data.{number}.lmdb", [record_of(molecules.sample(f"s0{number}"))])
    found = list(read(tmp_path, unit="eV", basis={"B": "2s1p", "N": "1s1p1d"}))
    assert [sample.id for sample in found] == ["data.1_0", "data.2_0"]
    np.testing.assert_array_equal(found[0].atoms.positions, molecules.sample("s01").atoms.positions)


def without(key):
    return lambda record: {k: v for k, v in record.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("pos"), "not a record of DeePTB"),
        (
            without("overlap"),
            "shells are not recorded and there is no overlap to tell them from; give the option basis",
        ),
        (lambda r: {**r, "pos": np.zeros(8)}, "keys 'atomic_numbers', 'pos' and 'cell' do not fit each other"),
        (lambda r: {**r, "pos": r["pos"] * np.inf}, "key 'pos': must be an array of finite numbers"),
        (lambda r: {**r, "atomic_numbers": np.array([5, 7, 0])}, "key 'atomic_numbers': must be atomic numbers"),
        (lambda r: {**r, "pbc": np.array([True, False])}, "key 'pbc': must be true, false or three of them"),
        (lambda r: {**r, "hamiltonian": [1, 2]}, "key 'hamiltonian': must be a dict of blocks"),
        (lambda r: {**r, "hamiltonian": {"0_0_0_0_0": np.zeros(5)}}, "key 'hamiltonian': must be matrices under names"),
        (lambda r: {**r, "hamiltonian": {}}, "key 'hamiltonian': holds no blocks"),
        (lambda r: {**r, "overlap": {}}, "key 'overlap': holds no blocks"),
        (
            lambda r: {**r, "hamiltonian": {k: np.kron(np.eye(2), v) + 0j for k, v in r["hamiltonian"].items()}},
            "key 'hamiltonian': block 0_0_0_0_0: has spin",
        ),
        (lambda r: {**r, "extra": np.set_printoptions}, "the pickle names numpy.*: refused"),
        (lambda r: "text", "not a record of DeePTB"),
    ],
)
def test_bad_records_are_named(tmp_path, molecules, change, message):
    folder = write(tmp_path / "bad.1.lmdb", [change(record_of(molecules.sample("s00")))])
    with pytest.raises(DataError, match=f"data.mdb: frame 0: .*{message}"):
        list(read(folder, unit="eV"))


def test_other_files_are_not_taken(tmp_path, molecules):
    assert detect(tmp_path) == []
    write(tmp_path / "qh9.lmdb", [{"atoms": b"", "Ham": b""}])
    assert detect(tmp_path) == []
    with pytest.raises(DataError, match="no LMDB file"):
        list(read(tmp_path / "nothing"))
