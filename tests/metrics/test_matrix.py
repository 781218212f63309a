"""Matrix metrics against sums over single elements in plain Python loops, on made-up operators with several shells."""

import numpy as np
import pytest

from slembench.metrics.matrix import (
    ErrorBlocks,
    add_sums,
    align_hermitian,
    average,
    distance_sums,
    error_blocks,
    first_atoms,
    gauge_shifts,
    orbital_sums,
    reduced_mask,
    structure_sums,
    subtract_gauge,
    union_shells,
)
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

from .plain import errors_of, sums_of

BASIS = Basis.parse({"H": "2s1p", "O": "1s2p1d"})
# by hand, united list s s p p d: of every orbital the number of its shell in that list
UNITED = {1: [0, 1, 2, 2, 2], 8: [0, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4]}
NUMBERS = np.array([8, 1, 1])


def pair_list(shifts=((0, 0, 0), (0, 0, 1), (0, 0, -1))):
    triples = [(i, j, *r) for r in shifts for i in range(3) for j in range(3)]
    array = np.array(triples)
    return array[:, :2], array[:, 2:]


def random_operator(seed, pairs=None, scale=1.0):
    index, shift = pairs or pair_list()
    matrix = BlockMatrix.zeros(BASIS, NUMBERS, index, shift)
    return matrix.with_values(scale * np.random.default_rng(seed).normal(size=len(matrix.values)))


def errors_on(prediction, reference, index, shift):
    """Delta on a list of scored pairs, on which the reference is completed first, as an evaluation does it."""
    return error_blocks(prediction, align_hermitian(reference, index, shift)[0])


def element_sums(errors):
    """(part, counting) -> sums over the elements of the one structure."""
    return structure_sums(errors, first_atoms([3]), BASIS)


def gauge_shift(errors, overlap):
    """mu, and the errors without it."""
    starts = first_atoms([3])
    mu, s = gauge_shifts(errors, overlap, starts)
    return mu[0], subtract_gauge(errors, s, mu, starts)


def loop_sums(delta):
    """Element by element: (part, counting) -> list of |Delta|."""
    found = {(part, counting): [] for part in ("onsite", "offsite") for counting in ("full", "reduced")}
    for p, (i, j) in enumerate(delta.pair_index.tolist()):
        part = "onsite" if i == j and not delta.pair_shift[p].any() else "offsite"
        block = delta.gather(np.array([p]))[0]
        for a in range(block.shape[0]):
            for b in range(block.shape[1]):
                found[part, "full"].append(abs(block[a, b]))
                if UNITED[NUMBERS[i]][a] <= UNITED[NUMBERS[j]][b]:
                    found[part, "reduced"].append(abs(block[a, b]))
    return found


def test_sums_equal_loops_over_elements():
    prediction, reference = random_operator(1), random_operator(2)
    result = errors_on(prediction, reference, *pair_list())
    sums = element_sums(result)
    expected = loop_sums(prediction.with_values(prediction.values - reference.values))
    for key, values in expected.items():
        assert sums[key].count == len(values)
        assert sums[key].absolute == pytest.approx(np.sum(values), rel=1e-13)
        assert sums[key].square == pytest.approx(np.sum(np.square(values)), rel=1e-13)
        assert sums[key].largest == max(values)
    assert sums["offsite", "reduced"].count < sums["offsite", "full"].count
    plain = sums_of(*errors_of(prediction, reference, *pair_list()), NUMBERS, BASIS)
    assert {key: values[2] for key, values in plain.items()} == {key: len(values) for key, values in expected.items()}


def test_united_shells():
    assert BASIS.union == (0, 0, 1, 1, 2)
    for z, expected in UNITED.items():
        assert union_shells(BASIS, z).tolist() == expected
    assert reduced_mask(BASIS, 1, 8)[1].tolist() == [False] + [True] * 11


def test_all_is_the_weighted_mean_of_diag_and_off():
    sums = element_sums(errors_on(random_operator(1), random_operator(2), *pair_list()))
    for counting in ("full", "reduced"):
        on, off = sums["onsite", counting], sums["offsite", counting]
        f = on.count / (on.count + off.count)
        expected = f * on.absolute / on.count + (1 - f) * off.absolute / off.count
        together = average(on.absolute + off.absolute, on.count + off.count, "pooled")
        assert together == pytest.approx(expected.item(), rel=1e-14)


def test_missing_block_counts_as_zero_and_is_listed():
    reference, prediction = random_operator(2).hermitise(), random_operator(1).hermitise()
    lost = prediction.take(np.setdiff1d(np.arange(27), [1, 3]))  # (0, 1) and (1, 0) at R = 0
    result = errors_on(lost, reference, *pair_list())
    assert {tuple(pair) for pair in result.delta.pair_index[result.missing].tolist()} == {(0, 1), (1, 0)}
    assert not result.delta.pair_shift[result.missing].any()
    expected = prediction.values - reference.values
    for p in (1, 3):
        block = slice(reference.offsets[p], reference.offsets[p + 1])
        expected[block] = -reference.values[block]
    np.testing.assert_array_equal(result.delta.values, expected)


def test_align_hermitian_equals_complete_and_align():
    whole = random_operator(2).hermitise()
    index, shift = pair_list(((0, 0, 1), (0, 0, 0), (0, 0, -1), (0, 1, 0)))
    for operator in (whole, whole.triangle(), whole.triangle().take(np.arange(9)), random_operator(3)):
        found, missing = align_hermitian(operator, index, shift)
        expected, absent, _ = operator.complete().align(index, shift)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(missing, absent)


def test_complex_blocks_are_conjugated():
    whole = random_operator(2)
    whole = whole.with_values(whole.values + 1j * random_operator(3).values).hermitise()
    found, _ = align_hermitian(whole.triangle(), whole.pair_index, whole.pair_shift)
    np.testing.assert_array_equal(found.values, whole.values)


def test_one_given_direction_is_completed():
    reference, prediction = random_operator(2).hermitise(), random_operator(1).hermitise()
    whole = errors_on(prediction, reference, *pair_list())
    half = errors_on(prediction.triangle(), reference, *pair_list())
    assert len(half.missing) == 0
    np.testing.assert_array_equal(half.delta.values, whole.delta.values)


def test_extra_block_adds_error_but_no_elements():
    reference = random_operator(2).hermitise()
    far = BlockMatrix.zeros(BASIS, NUMBERS, [[1, 2]], [[0, 2, 0]])
    far = far.with_values(np.full(25, 0.5))
    result = errors_on(reference + far, reference, *pair_list())
    assert [array.tolist() for array in result.extra] == [[[1, 2], [2, 1]], [[0, 2, 0], [0, -2, 0]]]
    sums = element_sums(result)
    assert sums["offsite", "full"].absolute == pytest.approx(2 * 25 * 0.5)
    assert sums["offsite", "full"].count == len(loop_sums(reference)["offsite", "full"])
    assert sums["offsite", "full"].largest == 0.5
    assert sums["onsite", "full"].absolute == 0


def test_missing_reference_block_is_zero():
    prediction = random_operator(1).hermitise()
    result = errors_on(prediction, prediction.take(np.flatnonzero(prediction.onsite)), *pair_list())
    sums = element_sums(result)
    assert sums["offsite", "full"].absolute == pytest.approx(sum(loop_sums(prediction)["offsite", "full"]))


def test_other_atoms_or_basis_are_refused():
    other = BlockMatrix.from_dense(BASIS, np.array([1, 1, 1]), np.eye(15))
    with pytest.raises(ValueError, match="different atoms"):
        errors_on(other, random_operator(1), *pair_list())
    smaller = Basis.parse({"H": "1s", "O": "1s"})
    with pytest.raises(ValueError, match="different bases"):
        errors_on(BlockMatrix.from_dense(smaller, NUMBERS, np.eye(3)), random_operator(1), *pair_list())


def test_orbital_sums_over_structures():
    """Summed over orbitals and structures they are the sums over elements of both."""
    errors = [errors_on(random_operator(s), random_operator(9), *pair_list()) for s in (1, 2)]
    total, single = add_sums(map(orbital_sums, errors)), [element_sums(one) for one in errors]
    assert set(total) == {(a, b, "offsite") for a in (1, 8) for b in (1, 8)} | {(z, z, "onsite") for z in (1, 8)}
    for part in ("onsite", "offsite"):
        for counting in ("full", "reduced"):
            absolute, square, count, largest = 0.0, 0.0, 0, 0.0
            for (z_i, z_j, of), sums in total.items():
                if of == part:
                    mask = reduced_mask(BASIS, z_i, z_j) | (counting == "full")
                    absolute, square = absolute + sums.absolute[mask].sum(), square + sums.square[mask].sum()
                    count, largest = count + sums.count * mask.sum(), max(largest, sums.largest[mask].max())
            expected = [one[part, counting] for one in single]
            assert absolute == pytest.approx(sum(one.absolute[0] for one in expected), rel=1e-13)
            assert square == pytest.approx(sum(one.square[0] for one in expected), rel=1e-13)
            assert count == sum(one.count[0] for one in expected)
            assert largest == max(one.largest[0] for one in expected)


def test_averages_differ_and_leave_empty_structures_out():
    numerator, count = np.array([1.0, 6.0, 0.0]), np.array([1, 2, 0])
    assert average(numerator, count, "pooled") == pytest.approx(7 / 3)
    assert average(numerator, count, "per_structure") == 2.0
    assert np.isnan(average(np.zeros(1), np.zeros(1), "pooled"))
    with pytest.raises(ValueError, match="unknown average"):
        average(numerator, count, "mean")


def test_gauge_shift_is_removed():
    overlap = random_operator(5).hermitise()
    reference = random_operator(2).hermitise()
    result = errors_on(reference + overlap * 1.25, reference, *pair_list())
    mu, left = gauge_shift(result, overlap)
    assert mu == pytest.approx(1.25, rel=1e-14)
    assert np.abs(left.delta.values).max() < 1e-14


def test_gauge_shift_minimises_the_square_error():
    overlap = random_operator(5).hermitise()
    result = errors_on(random_operator(1).hermitise(), random_operator(2).hermitise(), *pair_list())
    mu, left = gauge_shift(result, overlap.triangle())
    s, delta = overlap.values, result.delta.values
    assert mu == pytest.approx(np.linalg.lstsq(s[:, None], delta, rcond=None)[0][0], rel=1e-12)
    np.testing.assert_allclose(left.delta.values, delta - mu * s, atol=1e-14)


def test_gauge_shift_without_overlap_has_no_value():
    mu, _ = gauge_shift(errors_on(random_operator(1), random_operator(2), *pair_list()), random_operator(2) * 0.0)
    assert np.isnan(mu)


def test_gauge_leaves_extra_blocks_alone():
    reference = random_operator(2).hermitise()
    wide = random_operator(3, pair_list(((0, 0, 0), (0, 0, 1), (0, 0, -1), (0, 3, 0), (0, -3, 0)))).hermitise()
    result = errors_on(wide, reference, *pair_list())
    mu, shifted = gauge_shift(result, wide)
    assert mu != 0
    tail = slice(result.delta.offsets[result.n_scored], None)
    np.testing.assert_array_equal(shifted.delta.values[tail], result.delta.values[tail])
    assert np.abs(shifted.delta.values - result.delta.values)[: tail.start].min() > 0


def test_distance_bins():
    delta = random_operator(1)
    result = ErrorBlocks(delta, 27, np.zeros(0, int))
    distances = np.where(delta.onsite, 0.0, 1.0 + delta.pair_index.sum(axis=1))
    absolute, elements, pairs = distance_sums(result, distances, np.array([0, 2, 9.0]))
    near = [p for p in range(27) if not delta.onsite[p] and distances[p] < 2]
    assert pairs.tolist() == [len(near), 24 - len(near)]
    assert elements[0] == sum(delta.gather(np.array([p])).size for p in near)
    assert absolute[0] == pytest.approx(sum(np.abs(delta.gather(np.array([p]))).sum() for p in near))
    assert absolute.sum() == pytest.approx(sum(loop_sums(delta)["offsite", "full"]))
