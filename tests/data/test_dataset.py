import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from slembench.core.errors import DataError
from slembench.core.files import sha256
from slembench.data import load_dataset
from slembench.data.pairs import scored_pairs
from slembench.data.store import SampleStore, write_samples
from slembench.operators.blocks import concatenate, pair_keys


@pytest.fixture
def folder(crystals, tmp_path):
    """Copy of the data set, to be spoilt."""
    return shutil.copytree(crystals.root, tmp_path / "copy")


def change_card(folder, **values):
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | values))


def change_sample(folder, identifier, change):
    """Rewrite the data file with one sample changed by a function; the card's checksum follows."""
    store = SampleStore([folder / "data.parquet"])
    samples = [change(s) if s.id == identifier else s for s in map(store.sample, store.ids)]
    write_samples(folder / "data.parquet", samples, store.header)
    change_card(folder, origin={"recipe": "r", "files": {"data.parquet": sha256(folder / "data.parquet")}})


def test_what_a_data_set_says_of_itself(crystals):
    assert crystals.name == "made-up-crystals"
    assert crystals.splits == ["train", "val", "test"]
    assert len(crystals) == len(crystals.ids) == 12
    assert crystals.split("val") == ["s06", "s07"]
    assert crystals.cutoffs == {5: 3.0, 7: 4.0}
    assert repr(crystals) == "Dataset('made-up-crystals', revision 1, 12 structures)"
    with pytest.raises(DataError, match="no split 'dev'; it has train, val, test"):
        crystals.split("dev")


def test_partition_is_part_of_the_training_split(crystals):
    assert set(crystals.partition(100)) == set(crystals.split("train"))
    assert set(crystals.partition(20)) < set(crystals.partition(60)) < set(crystals.split("train"))


def test_iterate_in_the_order_asked_for(crystals):
    assert [sample.id for sample in crystals.iterate(["s05", "s01"])] == ["s05", "s01"]
    assert [sample.id for sample in crystals.iterate()] == crystals.ids


def test_pairs_are_the_completion_of_what_is_stored(crystals):
    sample = crystals.sample("s04")
    index, shift = crystals.pairs(sample)
    full = sample.operators["hamiltonian"].complete()
    assert np.array_equal(np.sort(pair_keys(index, shift)), np.sort(full.pair_keys()))
    length = np.linalg.norm(full.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
    radii = np.array([crystals.cutoffs[z] for z in sample.atoms.numbers])
    assert (length <= radii[full.pair_index].mean(axis=1)).all()


def test_pairs_of_completed_operators_are_accepted_too(crystals):
    sample = crystals.sample("s04")
    full = replace(sample, operators={name: m.complete() for name, m in sample.operators.items()})
    np.testing.assert_array_equal(crystals.pairs(full)[0], crystals.pairs(sample)[0])


def test_missing_block_is_named(folder):
    def without_longest(sample):
        operator = sample.operators["overlap"]
        length = np.linalg.norm(operator.vectors(sample.atoms.positions, sample.atoms.cell.array), axis=1)
        keep = np.delete(np.arange(operator.n_pairs), length.argmax())
        return replace(sample, operators={name: m.take(keep) for name, m in sample.operators.items()})

    change_sample(folder, "s09", without_longest)
    dataset = load_dataset(folder)
    dataset.sample("s08")
    with pytest.raises(
        DataError, match=r"data.parquet: structure 's09': key 'hamiltonian': 2 of \d+ scored pairs have no"
    ):
        dataset.sample("s09")


def test_block_outside_the_scored_pairs_is_named(folder):
    def with_far_block(sample):
        operators = {}
        for name, m in sample.operators.items():
            far = replace(m.take(np.array([0])), pair_shift=np.array([[9, 0, 0]]))
            operators[name] = concatenate([m, far])
        return replace(sample, operators=operators)

    change_sample(folder, "s09", with_far_block)
    with pytest.raises(DataError, match=r"structure 's09': key 'hamiltonian': 1 blocks lie outside the card's cutoffs"):
        load_dataset(folder).sample("s09")


def test_operator_on_fewer_pairs_than_another_is_found(crystals):
    sample = crystals.sample("s04")
    short = sample.operators["overlap"].take(np.arange(2))
    with pytest.raises(DataError, match="structure 's04': key 'overlap': .* scored pairs have no block"):
        crystals.pairs(replace(sample, operators=sample.operators | {"overlap": short}))


def test_fingerprint_is_that_of_the_files(crystals, folder):
    line = f"data.parquet {hashlib.sha256((crystals.root / 'data.parquet').read_bytes()).hexdigest()}\n"
    assert crystals.fingerprint == hashlib.sha256(line.encode()).hexdigest()
    assert load_dataset(folder).fingerprint == crystals.fingerprint


def test_changed_file_is_found_by_its_checksum(folder):
    dataset = load_dataset(folder)
    with (folder / "data.parquet").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(DataError, match=r"data.parquet: sha256 .* is not the card's .*key 'origin.files.data.parquet'"):
        _ = dataset.fingerprint


def test_split_hash_is_that_of_ids_and_pairs(crystals, folder):
    whole = hashlib.sha256()
    for identifier in sorted(crystals.split("test")):
        keys = np.sort(pair_keys(*scored_pairs(crystals.sample(identifier).atoms, crystals.cutoffs)))
        whole.update(f"{identifier} {hashlib.sha256(keys.tobytes()).hexdigest()}\n".encode())
    assert crystals.split_hash("test") == whole.hexdigest()
    assert len({crystals.split_hash(name) for name in crystals.splits}) == 3
    splits = json.loads((folder / "splits.json").read_text())
    (folder / "splits.json").write_text(json.dumps(splits | {"test": splits["test"][::-1]}))
    assert load_dataset(folder).split_hash("test") == crystals.split_hash("test")


def test_overlapping_splits(folder):
    splits = json.loads((folder / "splits.json").read_text())
    (folder / "splits.json").write_text(json.dumps(splits | {"val": ["s06", "s00"]}))
    with pytest.raises(DataError, match=r"splits.json: key 'val': also in split 'train': 's00'"):
        load_dataset(folder)


def test_split_without_training(folder):
    (folder / "splits.json").write_text(json.dumps({"test": ["s01"]}))
    change_card(folder, counts=yaml.safe_load((folder / "card.yaml").read_text())["counts"] | {"splits": {"test": 1}})
    with pytest.raises(DataError, match=r"splits.json: key 'train': every data set needs a training split"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "units",
            {"energy": "Hartree", "length": "Angstrom"},
            "key 'units.energy': says 'Hartree', the data files hold 'eV'",
        ),
        ("energy_zero", "Fermi level", "key 'energy_zero': says 'Fermi level', the data files hold 'vacuum'"),
        ("operators", ["overlap"], "key 'operators'"),
        ("rounding", {"overlap": 0.5}, "key 'rounding'"),
        ("basis", {"B": "2s1p", "N": "1s2p"}, "key 'basis'"),
        ("counts", {"structures": 13, "splits": {}, "atoms": 1, "pairs": 1, "values": 1}, "key 'counts.structures'"),
        ("colour", "red", "key 'colour': unknown key"),
        (
            "splits",
            {"rule": "r", "seed": 1, "file": "none.json"},
            "none.json: no such file; the card's key 'splits.file'",
        ),
        ("origin", {"recipe": "r", "files": {"none.parquet": ""}}, "none.parquet: not readable as Parquet"),
        ("origin", {"recipe": "r", "files": {}}, "key 'origin.files'"),
    ],
)
def test_card_that_contradicts_the_files(folder, key, value, message):
    change_card(folder, **{key: value})
    with pytest.raises(DataError) as caught:
        load_dataset(folder)
    assert message in str(caught.value)
