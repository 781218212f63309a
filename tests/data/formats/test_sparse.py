"""Blocks from sparse elements, against a dense permutation."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats.sparse import OrbitalMap

NUMBERS = np.array([8, 1])
SHELLS = {8: [1, 0], 1: [0]}  # in the file: p as z, x, y, then s
CANONICAL = [3, 2, 0, 1, 4]  # s; y, z, x of the p; s of the other atom
SIGNS = np.array([1, -1, 1, -1, 1.0])  # a factor (-1)^m


def test_order_signs_and_pairs():
    source = np.arange(1.0, 26).reshape(5, 5)
    rows, columns = (index.ravel() for index in np.indices((5, 5)))
    shifts = np.tile([[0, 1, -2]], (25, 1))
    found = OrbitalMap(NUMBERS, SHELLS, "abacus").blocks(rows, columns, shifts, source.ravel())
    assert found.basis.to_dict() == {"H": "1s", "O": "1s1p"}
    assert found.pair_index.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert found.pair_shift.tolist() == [[0, 1, -2]] * 4
    wanted = SIGNS[:, None] * source[np.ix_(CANONICAL, CANONICAL)] * SIGNS
    blocks = {tuple(p): found.gather(np.array([k]))[0] for k, p in enumerate(found.pair_index.tolist())}
    np.testing.assert_array_equal(blocks[0, 0], wanted[:4, :4])
    np.testing.assert_array_equal(blocks[0, 1], wanted[:4, 4:])
    np.testing.assert_array_equal(blocks[1, 0], wanted[4:, :4])
    np.testing.assert_array_equal(blocks[1, 1], wanted[4:, 4:])


def test_missing_elements_of_a_block_are_zero():
    found = OrbitalMap(NUMBERS, SHELLS, "abacus").blocks(
        np.array([4]), np.array([1]), np.array([[0, 0, 0]]), np.array([7.0])
    )
    assert found.pair_index.tolist() == [[1, 0]]
    assert found.values.tolist() == [0, 0, 0, -7]  # p_x


@pytest.mark.parametrize(
    ("shifts", "values", "message"),
    [
        ([[0, 0, 0], [0, 0, 0]], [1.0, 2.0], "a matrix element occurs more than once"),
        ([[0, 0, 0], [0, 0, 600]], [1.0, 2.0], "a translation is beyond 511 cells"),
        ([[0, 0, 0], [0, 0, 1]], [1.0, np.nan], "a matrix element is NaN or infinite"),
    ],
)
def test_what_is_refused(shifts, values, message):
    orbitals = OrbitalMap(NUMBERS, SHELLS, "abacus")
    with pytest.raises(DataError, match=message):
        orbitals.blocks(np.array([1, 1]), np.array([2, 2]), np.array(shifts), np.array(values))
    with pytest.raises(DataError, match="does not define l = 4"):
        OrbitalMap(np.array([8]), {8: [4]}, "openmx").blocks(
            np.array([0]), np.array([0]), np.array([[0, 0, 0]]), np.array([1.0])
        )
