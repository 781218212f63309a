"""Joined structures against one structure at a time."""

import numpy as np
import pytest

from slembench.metrics.matrix import (
    completed_on,
    dense_matrices,
    difference,
    difference_on,
    element_sums,
    first_atoms,
    gauge_shift,
    gauge_shifts,
    join,
    orbital_sums,
    structure_sums,
    without_gauge,
    without_gauges,
)

NAMES = ["s00", "s03", "s07"]


@pytest.fixture(params=["crystals", "molecules"])
def case(request):
    """Data set, predictions with noise and one pair less or more, differences one by one, and the joined one."""
    dataset, rng = request.getfixturevalue(request.param), np.random.default_rng(1)
    singles, references, predictions, overlaps = [], [], [], []
    for number, name in enumerate(NAMES):
        sample = dataset.sample(name)
        h = sample.operators["hamiltonian"].complete()
        prediction = h.with_values(h.values + rng.normal(size=len(h.values)))
        if number == 1:
            prediction = prediction.take(np.arange(2, prediction.n_pairs))
        index, shift = h.pair_index, h.pair_shift
        if number == 2:
            index, shift = index[:-1], shift[:-1]
        singles.append(difference(prediction, h, index, shift))
        references.append(completed_on(h, index, shift)[0])
        predictions.append(prediction)
        overlaps.append(sample.operators["overlap"])
    starts = first_atoms([len(p.numbers) for p in predictions])
    joined = difference_on(join(predictions, dataset.basis), join(references, dataset.basis))
    return dataset, singles, overlaps, starts, joined


def test_sums_of_every_structure(case):
    dataset, singles, _, starts, joined = case
    assert joined.extra[0].shape[0] > 0
    found = structure_sums(joined, starts, dataset.basis)
    for k, single in enumerate(singles):
        expected = element_sums(orbital_sums(single), dataset.basis)
        for key, sums in found.items():
            ours = (sums.absolute[k], sums.square[k], sums.count[k], sums.largest[k])
            theirs = (expected[key].absolute, expected[key].square, expected[key].count, expected[key].largest)
            assert ours == pytest.approx(theirs, rel=1e-13)


def test_gauge_of_every_structure(case):
    dataset, singles, overlaps, starts, joined = case
    mu, s = gauge_shifts(joined, join(overlaps, dataset.basis), starts)
    left = structure_sums(without_gauges(joined, s, mu, starts), starts, dataset.basis)
    for k, (single, overlap) in enumerate(zip(singles, overlaps)):
        assert mu[k] == pytest.approx(gauge_shift(single, overlap), rel=1e-12)
        expected = element_sums(orbital_sums(without_gauge(single, overlap, mu[k])), dataset.basis)
        assert left["offsite", "full"].absolute[k] == pytest.approx(expected["offsite", "full"].absolute, rel=1e-12)


def test_dense_matrices(crystals, molecules):
    for dataset in (crystals, molecules):
        operators = [dataset.sample(name).operators["hamiltonian"].complete() for name in NAMES]
        starts = first_atoms([len(operator.numbers) for operator in operators])
        for found, operator in zip(dense_matrices(join(operators, dataset.basis), starts), operators):
            np.testing.assert_allclose(found, operator.dense(), atol=1e-14)
