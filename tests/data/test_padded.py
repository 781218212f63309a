"""Padded blocks of molecules against loops over atoms, from samples and straight from the Parquet file."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.padded import MoleculeBlocks, PaddedLayout, padded_blocks
from slembench.data.store import Header, SampleStore, write_samples

SLOTS = {5: [0, 1, 2, 3, 4], 7: [0, 2, 3, 4, 5, 6, 7, 8, 9]}
"""Of B 2s1p and N 1s1p1d in the united shells 2s1p1d."""


@pytest.fixture
def samples(molecules):
    return [molecules.sample(name) for name in molecules.ids[:4]]


def padded_of(samples, operator, layout):
    """Padded blocks of samples in memory, whatever directions of the pairs they hold."""
    halves = [sample.operators[operator].triangle() for sample in samples]
    parts = [
        MoleculeBlocks(half.numbers, sample.atoms.positions, half.pair_index, half.values)
        for half, sample in zip(halves, samples)
    ]
    return padded_blocks(parts, layout)


def by_loops(samples, name):
    """Onsite blocks, off-site blocks column by column, masks and atom numbers, one atom after the other."""
    onsite, pair, index, masks, start = [], [], [], [], 0
    for sample in samples:
        dense, numbers = sample.operators[name].dense(), sample.atoms.numbers.tolist()
        first = sample.basis.orbital_offsets(sample.atoms.numbers)
        for i, zi in enumerate(numbers):
            for j, zj in enumerate(numbers):
                block, mask, place = np.zeros((10, 10)), np.zeros((10, 10), bool), np.ix_(SLOTS[zj], SLOTS[zi])
                block[place], mask[place] = dense[first[j] : first[j + 1], first[i] : first[i + 1]], True
                if i == j:
                    onsite.append(block)
                else:
                    pair.append(block)
                    masks.append(mask)
                    index.append((start + j, start + i))
        start += len(numbers)
    return np.array(onsite), np.array(pair), np.array(index), np.array(masks)


@pytest.mark.parametrize("operator", ["hamiltonian", "density"])
def test_blocks_equal_those_of_loops(molecules, samples, operator, tmp_path):
    onsite, pair, index, masks = by_loops(samples, operator)
    header = Header(molecules.basis.to_dict(), "Hartree", "vacuum", ("hamiltonian", "overlap", "density"))
    write_samples(tmp_path / "m.parquet", samples, header)
    stored = SampleStore([tmp_path / "m.parquet"]).padded([sample.id for sample in samples], operator)
    for batch in (padded_of(samples, operator, PaddedLayout(molecules.basis)), stored):
        np.testing.assert_array_equal(batch.onsite, onsite)
        np.testing.assert_array_equal(batch.pair, pair)
        np.testing.assert_array_equal(batch.pair_index, index)
        np.testing.assert_array_equal(batch.masks()[1], masks)
        np.testing.assert_array_equal(batch.masks()[0], onsite_masks(samples))
        np.testing.assert_array_equal(batch.numbers, np.concatenate([sample.atoms.numbers for sample in samples]))
        np.testing.assert_array_equal(batch.positions, np.concatenate([sample.atoms.positions for sample in samples]))
        np.testing.assert_array_equal(batch.molecule, np.repeat(range(4), 3))


def onsite_masks(samples):
    masks = np.zeros((sum(len(sample.atoms) for sample in samples), 10, 10), bool)
    for mask, z in zip(masks, np.concatenate([sample.atoms.numbers for sample in samples]), strict=True):
        mask[np.ix_(SLOTS[int(z)], SLOTS[int(z)])] = True
    return masks


def test_both_directions_and_missing_blocks(molecules, samples):
    """A stored triangle, all pairs, and a list without one pair."""
    layout, sample = PaddedLayout(molecules.basis), samples[0]
    wanted = padded_of([sample], "hamiltonian", layout)
    full = sample.operators["hamiltonian"].complete()
    assert (full.pair_index[:, 0] > full.pair_index[:, 1]).any()
    again = padded_of([_with(sample, full)], "hamiltonian", layout)
    np.testing.assert_array_equal(again.pair, wanted.pair)
    fewer = full.take(np.flatnonzero(full.pair_index.sum(axis=1) != 3))
    less = padded_of([_with(sample, fewer)], "hamiltonian", layout)
    gone = wanted.pair_index.sum(axis=1) == 3
    assert not less.pair[gone].any()
    np.testing.assert_array_equal(less.pair[~gone], wanted.pair[~gone])


def _with(sample, operator):
    from dataclasses import replace

    return replace(sample, operators={"hamiltonian": operator})


def test_empty_batch(molecules):
    batch = padded_of([], "hamiltonian", PaddedLayout(molecules.basis))
    assert (batch.onsite.shape, batch.pair_index.shape, batch.masks()[1].shape) == ((0, 10, 10), (0, 2), (0, 10, 10))


def test_what_is_refused(crystals, tmp_path):
    header = Header(crystals.basis.to_dict(), "eV", "vacuum", ("hamiltonian",))
    write_samples(tmp_path / "c.parquet", [crystals.sample("s00")], header)
    store = SampleStore([tmp_path / "c.parquet"])
    with pytest.raises(DataError, match=r"c.parquet: structure 's00': key 'pair_shift': padded blocks are for molec"):
        store.padded(["s00"])
    with pytest.raises(DataError, match=r"c.parquet: structure 's00': key 'density': no such operator"):
        store.padded(["s00"], "density")
    with pytest.raises(DataError, match="no structure 'x'"):
        store.padded(["x"])
