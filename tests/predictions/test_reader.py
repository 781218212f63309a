"""What is read is what was written, and every broken file is one clear error."""

import hashlib

import h5py
import numpy as np
import pytest

from slembench.core.errors import PredictionError
from slembench.predictions import PredictionWriter, checksum, read_predictions


def test_round_trip_in_any_order(file, header, structures):
    with read_predictions(file) as predictions:
        assert list(predictions) == predictions.ids == list(structures)
        assert len(predictions) == 4
        assert "c" in predictions
        assert "x" not in predictions
        assert predictions.operators == ("hamiltonian", "overlap")
        for key, value in header.items():
            assert getattr(predictions.attrs, key) == value
        assert predictions.attrs.length_unit == "Angstrom"
        for id in reversed(predictions.ids):
            numbers, operators = structures[id]
            found = predictions[id]
            assert set(found) == set(operators)
            for name, matrix in operators.items():
                np.testing.assert_array_equal(found[name].numbers, numbers)
                np.testing.assert_array_equal(found[name].pair_keys(), matrix.pair_keys())
                np.testing.assert_array_equal(found[name].values, matrix.values)
                assert found[name].values.dtype == np.float64


def test_float32_is_read_as_float64(tmp_path, header, structures):
    numbers, operators = structures["a"]
    with PredictionWriter(tmp_path / "p.h5", **header, dtype="float32") as writer:
        writer.add("a", numbers, operators)
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["operators/hamiltonian/values"].dtype == np.float32
    with read_predictions(tmp_path / "p.h5") as predictions:
        found = predictions["a"]["hamiltonian"].values
    np.testing.assert_array_equal(found, operators["hamiltonian"].values.astype(np.float32).astype(np.float64))


def test_unknown_structure(file):
    with read_predictions(file) as predictions, pytest.raises(PredictionError, match="no structure 'zz' in this file"):
        predictions["zz"]


def test_checksum_as_documented(file):
    digest = hashlib.sha256()
    names = ["atom_offsets", "ids", "numbers"]
    names += [f"operators/{op}/{part}" for op in ("hamiltonian", "overlap") for part in ("offsets", "values")]
    names += ["pair_index", "pair_offsets", "pair_shift"]
    with h5py.File(file) as stored:
        for name in names:
            array = stored[name][:]
            digest.update(f"{name} {'utf-8' if name == 'ids' else array.dtype.name} {array.shape};".encode())
            digest.update(b"".join(i + b"\0" for i in array) if name == "ids" else array.tobytes())
        assert digest.hexdigest() == stored.attrs["checksum"] == checksum(stored)


def edit(path, action):
    """Change a file and give it the checksum of its new content, as a careless program would."""
    with h5py.File(path, "r+") as file:
        action(file)
        file.attrs["checksum"] = checksum(file)


def replace(name, change):
    def action(file):
        array = change(file[name][:])
        del file[name]
        file[name] = array

    return action


def set_value(name, position, value):
    def action(file):
        file[name][position] = value

    return action


def set_attribute(name, value):
    def action(file):
        file.attrs[name] = value

    return action


def delete(name):
    def action(file):
        del file[name]

    return action


def duplicate_pair(file):
    file["pair_index"][1] = file["pair_index"][0]
    file["pair_shift"][1] = file["pair_shift"][0]


VALUES = "operators/overlap/values"
BROKEN = {
    "nan": (set_value(VALUES, -1, np.nan), f"key '{VALUES}': structure 'déjà' holds a value that is NaN"),
    "infinite": (set_value(VALUES, 0, np.inf), f"key '{VALUES}': structure 'a' holds a value that is NaN or inf"),
    "energy unit": (set_attribute("energy_unit", "ev"), "attribute 'energy_unit' is 'ev'; use one of eV, Hartree"),
    "length unit": (set_attribute("length_unit", "A"), "attribute 'length_unit' is 'A'; use one of Angstrom"),
    "format": (set_attribute("format", "x"), "attribute 'format' is 'x'"),
    "version": (set_attribute("version", 2), "attribute 'version' is .*2.*this program reads 1"),
    "convention": (set_attribute("convention", "pyscf"), "attribute 'convention' is 'pyscf'"),
    "no attribute": (lambda file: file.attrs.pop("model"), "attribute 'model' is missing"),
    "basis element": (set_attribute("basis", '{"Xx": "1s"}'), "attribute 'basis': .*unknown element 'Xx'"),
    "basis text": (set_attribute("basis", "3s2p"), "attribute 'basis'"),
    "unknown element": (set_value("numbers", 3, 17), "'numbers': structure 'b/1': element Cl has no shells"),
    "no element": (set_value("numbers", 0, 500), "'numbers': structure 'a': 500 is not an atomic number"),
    "duplicate id": (set_value("ids", 2, "a"), "key 'ids': structure 'a' stands there more than once"),
    "duplicate pair": (duplicate_pair, r"structure 'a' has pair \[0, 0\] with shift \[0, 0, 0\] twice"),
    "pair range": (set_value("pair_index", (0, 1), 3), r"'pair_index': structure 'a' has a pair \[0, 3\] beyond"),
    "shift range": (set_value("pair_shift", (0, 1), 600), "translations up to 511"),
    "missing key": (delete("pair_shift"), "key 'pair_shift' is missing"),
    "missing values": (delete(VALUES), f"key '{VALUES}' is missing"),
    "missing group": (delete("operators"), "no operator in the file"),
    "unknown operator": (
        lambda file: file.move("operators/overlap", "operators/force"),
        "unknown key 'operators/force'",
    ),
    "unknown key": (lambda file: file.create_dataset("extra", data=[1]), "unknown key 'extra'"),
    "float offsets": (replace("pair_offsets", lambda a: a * 1.0), "'pair_offsets' must hold integers"),
    "complex values": (replace(VALUES, lambda a: a * 1j), f"'{VALUES}' must hold float32 or float64"),
    "pair columns": (replace("pair_index", lambda a: a[:, :1]), "'pair_index' must hold integers .*2"),
    "integer ids": (replace("ids", lambda a: np.arange(4)), "'ids' must hold utf-8 strings"),
    "falling offsets": (set_value("atom_offsets", 1, 5), "'atom_offsets' must rise from 0 to 11"),
    "short offsets": (replace("pair_offsets", lambda a: a[:-1]), "'pair_offsets' must rise from 0"),
    "lengths": (replace("pair_shift", lambda a: a[:-1]), "'pair_index' and 'pair_shift' have different lengths"),
    "moved offset": (
        set_value("operators/overlap/offsets", 2, 1000),
        "structure 'b/1' has 32 values, its pairs and the basis need 50",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_content_is_one_clear_error(file, case):
    action, message = BROKEN[case]
    edit(file, action)
    with pytest.raises(PredictionError, match=message) as found:
        read_predictions(file)
    assert str(file) in str(found.value)
    assert "\n" not in str(found.value)


def test_changed_content_fails_the_checksum(file):
    with h5py.File(file, "r+") as stored:
        stored[VALUES][3] += 1e-9
    with pytest.raises(PredictionError, match="'checksum' does not match the content"):
        read_predictions(file)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_truncated_file(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PredictionError, match="truncated or not an HDF5 file"):
        read_predictions(file)


def test_no_file(tmp_path):
    with pytest.raises(PredictionError, match="no such file"):
        read_predictions(tmp_path / "p.h5")


def test_single_atoms_may_share_their_only_pair(tmp_path, header, structures):
    numbers, operators = structures["b/1"]
    atom = {"overlap": operators["overlap"].take(np.array([0]))}
    with PredictionWriter(tmp_path / "p.h5", **header) as writer:
        for id in ("one", "two"):
            writer.add(id, numbers, atom)
    with read_predictions(tmp_path / "p.h5") as predictions:
        assert predictions["two"]["overlap"].n_pairs == 1
