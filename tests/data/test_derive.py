"""Data sets that are made of another one's structures."""

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.derive import derive
from slembench.data.pairs import scored_pairs


def test_other_splits_of_the_same_files(crystals, tmp_path):
    splits = {"train": ["s00", "s08"], "val": ["s06"], "test": ["s09", "s11"]}
    found = derive(crystals, tmp_path / "sub" / "again", splits, rule="by hand")
    assert (found.name, found.splits, found.split("test")) == ("again", ["train", "val", "test"], ["s09", "s11"])
    assert found.fingerprint == crystals.fingerprint
    assert found.card.splits.rule == "by hand"
    assert all(file.is_symlink() for file in found.root.rglob("*.parquet"))
    for structure in ("s00", "s09"):
        ours, theirs = (d.sample(structure).operators["hamiltonian"] for d in (found, crystals))
        assert np.array_equal(ours.values, theirs.values)
    assert derive(crystals, tmp_path / "sub" / "again", splits, rule="by hand").ids == crystals.ids


def test_shorter_cutoffs_leave_out_longer_blocks(crystals, tmp_path):
    found = derive(crystals, tmp_path / "short", cutoff_factor=0.7, rule="shorter")
    assert found.cutoffs == {z: 0.7 * radius for z, radius in crystals.cutoffs.items()}
    assert found.fingerprint != crystals.fingerprint
    assert found.card.bands is None
    fewer = 0
    for structure in found.ids:
        ours, theirs = (d.sample(structure).operators["hamiltonian"].complete() for d in (found, crystals))
        sample = crystals.sample(structure)
        index, shift = scored_pairs(sample.atoms, found.cutoffs)
        assert len(index) == ours.n_pairs
        aligned, missing, _ = theirs.align(index, shift)
        assert not len(missing)
        assert np.array_equal(ours.align(index, shift)[0].values, aligned.values)
        fewer += theirs.n_pairs - ours.n_pairs
    assert fewer > 0


def test_what_does_not_exist_is_refused(crystals, tmp_path):
    with pytest.raises(DataError, match="not in the data set: 'nobody'"):
        derive(crystals, tmp_path / "a", {"train": ["nobody"]}, rule="x")
    with pytest.raises(DataError, match="also in split 'train': 's00'"):
        derive(crystals, tmp_path / "a", {"train": ["s00"], "test": ["s00"]}, rule="x")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes").write_text("mine")
    with pytest.raises(DataError, match="holds something else"):
        derive(crystals, tmp_path / "b", {"train": ["s00"]}, rule="x")
