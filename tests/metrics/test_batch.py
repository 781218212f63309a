"""Joined structures against plain loops over the blocks and elements of one structure at a time."""

import numpy as np
import pytest

from slembench.metrics.matrix import (
    align_hermitian,
    dense_matrices,
    error_blocks,
    first_atoms,
    gauge_shifts,
    join,
    structure_sums,
    subtract_gauge,
)

from .plain import errors_of, gauge_of, sums_of

NAMES = ["s00", "s03", "s07"]


@pytest.fixture(params=["crystals", "molecules"])
def case(request):
    """Data set, predictions with noise and one pair less or more: errors of the joined ones, and of each in loops."""
    dataset, rng = request.getfixturevalue(request.param), np.random.default_rng(1)
    loops, references, predictions, overlaps = [], [], [], []
    for number, name in enumerate(NAMES):
        sample = dataset.sample(name)
        h = sample.operators["hamiltonian"].complete()
        prediction = h.with_values(h.values + rng.normal(size=len(h.values)))
        if number == 1:
            prediction = prediction.take(np.arange(2, prediction.n_pairs))
        index, shift = h.pair_index, h.pair_shift
        if number == 2:
            scored = np.setdiff1d(np.arange(h.n_pairs), [h.n_pairs - 1, h.reverse[-1]])
            index, shift = index[scored], shift[scored]
        loops.append((*errors_of(prediction, h, index, shift), h.numbers))
        references.append(align_hermitian(h, index, shift)[0])
        predictions.append(prediction)
        overlaps.append(sample.operators["overlap"])
    starts = first_atoms([len(p.numbers) for p in predictions])
    joined = error_blocks(join(predictions, dataset.basis), join(references, dataset.basis))
    return dataset, loops, overlaps, starts, joined


def test_sums_of_every_structure(case):
    dataset, loops, _, starts, joined = case
    assert joined.extra[0].shape[0] > 0
    found = structure_sums(joined, starts, dataset.basis)
    for k, (scored, extra, numbers) in enumerate(loops):
        expected = sums_of(scored, extra, numbers, dataset.basis)
        for key, sums in found.items():
            result = (sums.absolute[k], sums.square[k], sums.count[k], sums.largest[k])
            assert result == pytest.approx(expected[key], rel=1e-12)


def test_gauge_of_every_structure(case):
    dataset, loops, overlaps, starts, joined = case
    mu, s = gauge_shifts(joined, join(overlaps, dataset.basis), starts)
    left = structure_sums(subtract_gauge(joined, s, mu, starts), starts, dataset.basis)
    for k, ((scored, extra, numbers), overlap) in enumerate(zip(loops, overlaps)):
        expected_mu, scored_left = gauge_of(scored, extra, overlap)
        assert mu[k] == pytest.approx(expected_mu, rel=1e-12)
        for key, expected in sums_of(scored_left, extra, numbers, dataset.basis).items():
            assert left[key].absolute[k] == pytest.approx(expected[0], rel=1e-12)
            assert left[key].count[k] == expected[2]


def test_dense_matrices(crystals, molecules):
    for dataset in (crystals, molecules):
        operators = [dataset.sample(name).operators["hamiltonian"].complete() for name in NAMES]
        starts = first_atoms([len(operator.numbers) for operator in operators])
        for found, operator in zip(dense_matrices(join(operators, dataset.basis), starts), operators):
            np.testing.assert_allclose(found, operator.dense(), atol=1e-14)
