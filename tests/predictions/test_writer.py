"""The writer: what it refuses, and that it leaves a whole file or none."""

import numpy as np
import pytest

from slembench.core.errors import PredictionError
from slembench.operators.orbitals import Basis
from slembench.predictions import PredictionWriter, read_predictions


def test_nothing_remains_after_an_error(tmp_path, header, structures):
    numbers, operators = structures["a"]
    with pytest.raises(RuntimeError, match="cut short"), PredictionWriter(tmp_path / "p.h5", **header) as writer:
        writer.add("a", numbers, operators)
        raise RuntimeError("cut short")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_survives_an_error(file, header, structures):
    before = file.read_bytes()
    numbers, operators = structures["a"]
    with pytest.raises(PredictionError, match="'a': added twice"), PredictionWriter(file, **header) as writer:
        writer.add("a", numbers, operators)
        writer.add("a", numbers, operators)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_an_earlier_file_is_replaced(file, header, structures):
    with PredictionWriter(file, **header) as writer:
        writer.add("c", *structures["c"])
    with read_predictions(file) as predictions:
        assert predictions.ids == ["c"]


def test_no_structure_is_refused(tmp_path, header):
    with pytest.raises(PredictionError, match="no structure was added"), PredictionWriter(tmp_path / "p.h5", **header):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_unit": "ev"}, "'energy_unit' is 'ev'; use one of eV"),
        ({"length_unit": "nm"}, "'length_unit' is 'nm'; use one of Angstrom"),
    ],
)
def test_unit_words(tmp_path, header, change, message):
    with pytest.raises(PredictionError, match=message):
        PredictionWriter(tmp_path / "p.h5", **(header | change))
    assert list(tmp_path.iterdir()) == []


def test_folder_must_exist(tmp_path, header):
    with pytest.raises(PredictionError, match="does not exist; make it first"):
        PredictionWriter(tmp_path / "no" / "p.h5", **header)


def bad_value(numbers, operators):
    values = operators["hamiltonian"].values.copy()
    values[5] = np.nan
    return numbers, operators | {"hamiltonian": operators["hamiltonian"].with_values(values)}


def repeated_pair(numbers, operators):
    twice = operators["hamiltonian"].take(np.array([0, 1, 1]))
    return numbers, {"hamiltonian": twice, "overlap": twice}


BAD = {
    "operator hamiltonian holds values that are complex, NaN or infinite": bad_value,
    "operator hamiltonian holds a pair .* twice": repeated_pair,
    "operators \\['force'\\]": lambda numbers, operators: (numbers, {"force": operators["overlap"]}),
    "operators none": lambda numbers, operators: (numbers, {}),
    "earlier structures": lambda numbers, operators: (numbers, {"overlap": operators["overlap"]}),
    "belongs to other atoms": lambda numbers, operators: (numbers[::-1], operators),
    "element Cl has no shells": lambda numbers, operators: (np.array([17, 1, 1]), operators),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_structures_are_named(tmp_path, header, structures, message):
    with (
        pytest.raises(PredictionError, match=f"structure 'bad': .*{message}"),
        PredictionWriter(tmp_path / "p.h5", **header) as writer,
    ):
        writer.add("c", *structures["c"])
        writer.add("bad", *BAD[message](*structures["a"]))
    assert list(tmp_path.iterdir()) == []


def test_another_basis_is_refused(tmp_path, header, structures):
    other = header | {"basis": Basis.parse({"H": "2s1p", "O": "2s2p1d"})}
    with (
        pytest.raises(PredictionError, match="has another basis than the file"),
        PredictionWriter(tmp_path / "p.h5", **other) as writer,
    ):
        writer.add("a", *structures["a"])


def test_operators_on_different_pairs_share_the_united_list(tmp_path, header, structures):
    numbers, operators = structures["a"]
    fewer = operators["overlap"].take(np.array([0, 4, 8, 1]))
    more = operators["hamiltonian"].take(np.arange(1, 18))
    with PredictionWriter(tmp_path / "p.h5", **header) as writer:
        writer.add("a", numbers, {"hamiltonian": more, "overlap": fewer})
    with read_predictions(tmp_path / "p.h5") as predictions:
        found = predictions["a"]
    assert sorted(found["overlap"].pair_keys()) == sorted(operators["overlap"].pair_keys())
    kept, missing, extra = found["overlap"].align(fewer.pair_index, fewer.pair_shift)
    assert len(missing) == 0
    np.testing.assert_array_equal(kept.values, fewer.values)
    assert not found["overlap"].take(extra).values.any()
    assert not found["hamiltonian"].align(operators["overlap"].pair_index[:1], np.zeros((1, 3)))[0].values.any()
