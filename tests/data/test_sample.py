from dataclasses import replace

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.sample import check_sample
from slembench.operators.orbitals import Basis


@pytest.fixture
def sample(crystals):
    return crystals.sample("s03")


def test_good_sample_comes_back(sample):
    assert check_sample(sample, "f") is sample


def test_unknown_energy_unit(sample):
    wrong = replace(sample, info=replace(sample.info, energy_unit="Ry"))
    with pytest.raises(DataError, match=r"f: structure 's03': key 'energy_unit': 'Ry' is not one of eV, Hartree"):
        check_sample(wrong, "f")


def test_element_without_shells(sample):
    wrong = replace(sample, basis=Basis.parse({"B": "2s1p"}))
    with pytest.raises(DataError, match=r"f: structure 's03': key 'numbers': element N has no shells \(basis has B\)"):
        check_sample(wrong, "f")


@pytest.mark.parametrize("key", ["positions", "cell"])
def test_geometry_that_is_not_finite(sample, key):
    atoms = sample.atoms.copy()
    (atoms.positions if key == "positions" else atoms.cell.array)[1, 1] = np.nan
    with pytest.raises(DataError, match=f"structure 's03': key '{key}': holds a value that is not finite"):
        check_sample(replace(sample, atoms=atoms), "f")


def test_first_bad_block_is_named(sample):
    operator = sample.operators["overlap"]
    values = operator.values.copy()
    pair = operator.n_pairs - 2
    values[operator.offsets[pair] : operator.offsets[pair] + 2] = np.inf
    wrong = replace(sample, operators=sample.operators | {"overlap": operator.with_values(values)})
    with pytest.raises(DataError) as caught:
        check_sample(wrong, "f")
    i, j = operator.pair_index[pair].tolist()
    shift = tuple(operator.pair_shift[pair].tolist())
    assert f"key 'overlap': 2 of {len(values)} values are NaN or infinite" in str(caught.value)
    assert str(caught.value).endswith(f"the first in block i={i} j={j} R={shift}")


def test_blocks_of_other_atoms(sample, molecules):
    other = molecules.sample("s00").operators["overlap"]
    with pytest.raises(DataError, match="key 'overlap': blocks of other atoms"):
        check_sample(replace(sample, operators={"overlap": other}), "f")
