"""Official splits against a computation of their own: plain Python, row by row, as the releases' code describes it."""

import hashlib
import random

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.official_card import list_official, load_official
from slembench.data.official_rules import SizesRule, index_hash, official_indices, restrict

NAMES = ("train", "val", "test")
DYNAMIC = {"100k": 999, "300k": 2998}


def cut(order, sizes):
    """Lists of the given sizes, one after the other."""
    parts, first = [], 0
    for size in sizes:
        parts.append([int(row) for row in order[first : first + size]])
        first += size
    return parts


def check(name, expected):
    """Every split equals the expected rows, in order."""
    found = official_indices(load_official(name).splits)
    assert tuple(found) == NAMES
    for split, rows in zip(NAMES, expected):
        assert found[split].dtype == np.int64
        assert found[split].tolist() == rows
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(sum(map(len, expected))))


def test_qh9_stable_random():
    n = 130831
    sizes = [int(0.8 * n), int(0.1 * n)]
    assert sizes == [104664, 13083]
    check("qh9-stable-id", cut(np.random.RandomState(seed=43).permutation(n), [*sizes, n - sum(sizes)]))


@pytest.mark.parametrize("version", DYNAMIC)
def test_qh9_dynamic_by_geometry(version):
    expected = [[], [], []]
    for last in range(99, 100 * DYNAMIC[version], 100):
        order = np.random.RandomState(seed=last).permutation(100)
        for part, rows in zip(expected, cut(order, [80, 10, 10])):
            part.extend(last - 99 + row for row in rows)
    check(f"qh9-dynamic-{version}-geo", expected)
    assert [len(part) for part in expected] == {"100k": [79920, 9990, 9990], "300k": [239840, 29980, 29980]}[version]


@pytest.mark.parametrize("version", DYNAMIC)
def test_qh9_dynamic_by_molecule(version):
    n = DYNAMIC[version]
    order = list(range(n))
    random.seed(43)
    random.shuffle(order)
    sizes = [int(n * 0.8), int(n * 0.1)]
    owner = {m: k for k, part in enumerate(cut(order, [*sizes, n - sum(sizes)])) for m in part}
    expected = [[row for row in range(100 * n) if owner[row // 100] == k] for k in range(3)]
    check(f"qh9-dynamic-{version}-mol", expected)
    assert [len(part) for part in expected] == {"100k": [79900, 9900, 10100], "300k": [239800, 29900, 30100]}[version]


@pytest.mark.parametrize(
    ("molecule", "sizes"),
    [
        ("water", (500, 500, 3999)),
        ("ethanol", (25000, 500, 4500)),
        ("malonaldehyde", (25000, 500, 1478)),
        ("uracil", (25000, 500, 4500)),
    ],
)
def test_md17(molecule, sizes):
    check(f"md17-{molecule}", cut(np.random.RandomState(seed=42).permutation(sum(sizes)), sizes))


def test_bilayer_graphene_has_the_test_rows_that_others_recorded():
    """The first and last of 60 test rows kept by an independent run of the original code."""
    rows = official_indices(load_official("deeph-bilayer-graphene").splits)["test"].tolist()
    assert rows[:12] == [273, 201, 161, 43, 217, 145, 190, 220, 251, 3, 105, 53]
    assert rows[-6:] == [20, 188, 71, 106, 270, 102]


def test_hashes_on_the_cards_are_of_the_bytes_that_a_release_holds():
    rule = load_official("md17-water").splits
    for split, rows in zip(NAMES, cut(np.random.RandomState(42).permutation(4999), rule.counts.values())):
        text = b"".join(row.to_bytes(8, "little", signed=True) for row in rows)
        assert rule.sha256[split] == hashlib.sha256(text).hexdigest() == index_hash(np.array(rows))


def test_sizes_of_a_small_set():
    rule = SizesRule(rule="sizes", statement="", sizes={"train": (1, 20), "val": (21, 22), "test": (23, 29)})
    found = official_indices(rule, atoms=np.array([23, 20, 21, 3, 22, 29, 20]))
    assert {name: rows.tolist() for name, rows in found.items()} == {"train": [1, 3, 6], "val": [2, 4], "test": [0, 5]}


def test_wrong_counts_are_refused():
    rule = load_official("qh9-stable-ood").splits
    with pytest.raises(DataError, match="split 'train': 5 structures, the official one has 104001"):
        official_indices(rule, atoms=np.full(5, 9))
    wrong = load_official("md17-water").splits.model_copy(update={"seed": 43})
    with pytest.raises(DataError, match="split 'train': sha256 of the row numbers differs"):
        official_indices(wrong)


def test_rules_that_need_the_data_say_so():
    with pytest.raises(DataError, match="divided by number of atoms, so the data are needed"):
        official_indices(load_official("qh9-stable-ood").splits)
    with pytest.raises(DataError, match="number of structures is not published"):
        official_indices(load_official("si-300k").splits)


def test_restriction_keeps_the_official_order():
    whole = official_indices(load_official("md17-water").splits)
    rows = np.arange(0, 4999, 7)
    part = restrict(whole, rows)
    for split in NAMES:
        assert part[split].tolist() == [row for row in whole[split].tolist() if row % 7 == 0]


def test_shares_round_down():
    found = official_indices(load_official("gan").splits, count=9)
    assert [len(found[split]) for split in NAMES] == [5, 1, 1]
    order = np.random.RandomState(42).permutation(9)
    assert found["train"].tolist() == order[:5].tolist()


def test_every_card_is_read():
    names = list_official()
    assert len(names) == 19
    for name in names:
        card = load_official(name)
        assert card.name == name
        assert card.splits.statement
