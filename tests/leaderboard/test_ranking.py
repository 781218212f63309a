"""Order, intervals and verdicts: a difference is resolved only with seeds and groups enough."""

import numpy as np
import pytest

from slembench.leaderboard.ranking import rank
from slembench.leaderboard.runs import collect_runs, join_seeds

MAE = "hamiltonian.mae_all.full.pooled"
NOISE = np.random.default_rng(5).uniform(0.9, 1.1, 24)


@pytest.fixture
def ranked(add_run):
    return lambda **options: rank(join_seeds(collect_runs([add_run.root])), MAE, **options)


def seeds(add_run, model, scale, errors=NOISE, **changes):
    for seed in (1, 2, 3):
        add_run(f"{model}-{seed}", scale * errors * (1 + 0.01 * seed), seed=seed, model=model, **changes)


def test_order_and_interval(add_run, ranked):
    add_run("a", 0.2 * NOISE, model="a")
    add_run("b", 0.1 * NOISE, model="b")
    rows = ranked()
    assert [row.entry.record.name for row in rows] == ["b", "a"]
    assert [row.rank for row in rows] == [1, 2]
    for row, scale in zip(rows, (0.1, 0.2)):
        assert row.number.value == pytest.approx(scale * NOISE.mean(), rel=1e-12)
        assert row.number.low < row.number.value < row.number.high
        # 95 % of a normal mean of 24 structures; the bootstrap is within a fifth of it
        half = 1.96 * scale * NOISE.std() / np.sqrt(24)
        assert (row.number.high - row.number.low) / 2 == pytest.approx(half, rel=0.2)
    assert [row.entry.record.name for row in ranked(higher_is_better=True)] == ["a", "b"]


def test_one_seed_resolves_nothing(add_run, ranked):
    add_run("a", 0.2 * NOISE, model="a")
    add_run("b", 0.1 * NOISE, model="b")
    assert [row.verdict for row in ranked()] == ["", "not resolved (1 seed)"]


def test_several_seeds_resolve_a_clear_difference(add_run, ranked):
    seeds(add_run, "a", 0.2)
    seeds(add_run, "b", 0.1)
    assert [(row.rank, row.verdict) for row in ranked()] == [(1, ""), (2, "resolved")]


def test_tied_rows_share_a_rank(add_run, ranked):
    seeds(add_run, "a", 0.1)
    seeds(add_run, "b", 0.1, errors=NOISE[::-1])
    seeds(add_run, "c", 0.5)
    assert [(row.rank, row.verdict) for row in ranked()] == [(1, ""), (1, "tied"), (3, "resolved")]


def test_few_groups_resolve_nothing(add_run, ranked):
    groups = [f"g{k % 5}" for k in range(24)]
    seeds(add_run, "a", 0.2, groups=groups)
    seeds(add_run, "b", 0.1, groups=groups)
    assert ranked()[1].verdict == "not resolved (5 groups)"


def test_no_table_or_other_structures(add_run, ranked):
    add_run("a", [0.1] * 3, model="a", with_table=False)
    add_run("b", [0.2] * 3, model="b")
    add_run("c", [0.3] * 4, model="c")
    assert [row.verdict for row in ranked()] == [
        "", "not resolved (no values per structure)", "not resolved (other structures)",
    ]  # fmt: skip
    assert np.isnan(ranked()[0].number.low)


def test_without_a_value_a_row_comes_last_and_has_no_rank(add_run, ranked):
    add_run("a", [0.1], model="a", scores={}, unavailable={"hamiltonian.mae_all": "not finite"})
    add_run("b", [0.2], model="b")
    rows = ranked()
    assert [(row.entry.record.name, row.rank) for row in rows] == [("b", 1), ("a", None)]
    assert rows[1].number.reason == "not finite"
