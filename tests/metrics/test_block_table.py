"""The per-block table against loops over blocks and shells."""

import numpy as np
import pandas as pd
import pytest

from slembench.metrics.block_table import COLUMNS, block_table, shell_labels
from slembench.metrics.matrix import error_blocks, first_atoms, orbital_sums, structure_sums
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis

BASIS = Basis.parse({"S": "2s1p", "Mo": "1s1p1d"})
SLICES = {16: {"s1": (0, 1), "s2": (1, 2), "p1": (2, 5)}, 42: {"s1": (0, 1), "p1": (1, 4), "d1": (4, 9)}}
UNITED = ["s1", "s2", "p1", "d1"]


@pytest.fixture(scope="module")
def delta():
    numbers = np.array([42, 16, 16])
    pairs = np.array([(i, j, r, 0, 0) for r in (-1, 0, 1) for i in range(3) for j in range(3)])
    zeros = BlockMatrix.zeros(BASIS, numbers, pairs[:, :2], pairs[:, 2:])
    return zeros.with_values(np.random.default_rng(1).normal(size=len(zeros.values)))


@pytest.fixture(scope="module")
def sums(delta):
    return orbital_sums(error_blocks(delta, delta * 0.0))


def test_labels_count_the_shells_of_each_l():
    assert shell_labels(BASIS, 16) == ["s1", "s2", "p1"]
    assert shell_labels(Basis.parse({"Mo": "4s2p2d1f"}), 42)[2:] == ["s3", "s4", "p1", "p2", "d1", "d2", "f1"]


def test_every_entry_equals_a_loop(delta, sums):
    table = block_table(sums, BASIS).set_index(["part", "element_i", "shell_i", "element_j", "shell_j"])
    assert len(table) == (4 + 4 + 2) * 9  # element pairs of all, offsite, onsite
    numbers = {"Mo": 42, "S": 16}
    for (part, e_i, s_i, e_j, s_j), row in table.iterrows():
        values = []
        for p, (i, j) in enumerate(delta.pair_index):
            onsite = i == j and not delta.pair_shift[p].any()
            if (delta.numbers[i], delta.numbers[j]) != (numbers[e_i], numbers[e_j]):
                continue
            if part != "all" and onsite != (part == "onsite"):
                continue
            block = delta.gather(np.array([p]))[0]
            values.append(np.abs(block[slice(*SLICES[numbers[e_i]][s_i]), slice(*SLICES[numbers[e_j]][s_j])]))
        values = np.array(values)
        assert row["count"] == values.size
        assert row["mae"] == pytest.approx(values.mean(), rel=1e-13)
        assert row["rmse"] == pytest.approx(np.sqrt((values**2).mean()), rel=1e-13)
        assert row["max_abs"] == values.max()
        assert row["reduced"] == (UNITED.index(s_i) <= UNITED.index(s_j))
        assert (row["l_i"], row["l_j"]) == ("spd".index(s_i[0]), "spd".index(s_j[0]))


@pytest.mark.parametrize("part", ["onsite", "offsite"])
def test_table_adds_up_to_the_totals(delta, sums, part):
    table, totals = block_table(sums, BASIS), structure_sums(error_blocks(delta, delta * 0.0), first_atoms([3]), BASIS)
    rows = table[table["part"] == part]
    for counting, chosen in (("full", rows), ("reduced", rows[rows["reduced"]])):
        assert chosen["abs_sum"].sum() == pytest.approx(totals[part, counting].absolute.item(), rel=1e-13)
        assert chosen["count"].sum() == totals[part, counting].count


def test_no_blocks_give_an_empty_table():
    table = block_table({}, BASIS)
    assert list(table.columns) == COLUMNS
    assert isinstance(table, pd.DataFrame)
    assert table.empty
