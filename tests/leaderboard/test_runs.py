"""Runs are found once each, seeds are joined, and missing scores say why."""

import shutil

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.leaderboard.runs import collect_runs, join_seeds

MAE = "hamiltonian.mae_all.full.pooled"


def test_a_run_found_twice_counts_once(add_run, tmp_path):
    folder = add_run("a", [0.1, 0.2])
    shutil.copytree(folder, tmp_path / "copy")
    assert len(collect_runs([add_run.root, folder, tmp_path / "copy"])) == 1


def test_seeds_are_joined_and_the_mean_is_shown(add_run):
    add_run("a-1", [0.1, 0.2], seed=1)
    add_run("a-2", [0.3, 0.4], seed=2)
    add_run("b", [0.1, 0.1], seed=1, model="other")
    add_run("c", [0.1, 0.1], seed=1, config={"layers": 3, "training": {"seed": 1}})
    entries = join_seeds(collect_runs([add_run.root]))
    assert sorted(len(entry.runs) for entry in entries) == [1, 1, 2]
    joined = next(entry for entry in entries if len(entry.runs) == 2)
    assert joined.number(MAE).value == pytest.approx(0.25, abs=1e-14)
    assert joined.range(MAE) == pytest.approx((0.15, 0.35), abs=1e-14)
    assert entries[1].range(MAE) is None


def test_the_newest_run_of_a_seed_counts_not_the_best(add_run):
    add_run("old", [0.1], seed=1)
    add_run("new", [0.2], seed=1, created="2026-02-01T00:00:00+00:00")
    (entry,) = join_seeds(collect_runs([add_run.root]))
    assert entry.record.name == "new"


def test_floors_of_different_name_stay_apart(add_run):
    add_run("zero", [1.0], kind="floor", model="floor-zero")
    add_run("mean", [0.5], kind="floor", model="floor-irreps-mean")
    assert len(join_seeds(collect_runs([add_run.root]))) == 2


def test_sums_are_sorted_by_structure_and_give_the_score(add_run):
    errors = np.linspace(0.1, 0.3, 7)
    add_run("a", errors, seed=3)
    (entry,) = join_seeds(collect_runs([add_run.root]))
    numerators, weights, groups, ids = entry.sums(MAE)
    assert ids == sorted(ids)
    assert groups == ids
    np.testing.assert_allclose(numerators[0] / weights, errors, rtol=1e-14)
    assert entry.sums("hamiltonian.rmse_all.full.pooled") is None


def test_without_a_table_there_are_no_sums(add_run):
    add_run("a", [0.1], with_table=False)
    (entry,) = join_seeds(collect_runs([add_run.root]))
    assert entry.sums(MAE) is None
    assert entry.number(MAE).value == pytest.approx(0.1)


def test_missing_scores_say_why(add_run):
    add_run("a", [0.1], unavailable={"levels": "no electrons", "hamiltonian.mae_gauge": "no overlap"})
    (entry,) = join_seeds(collect_runs([add_run.root]))
    assert entry.number("hamiltonian.band_mae_occ").reason == "no electrons"
    assert entry.number("hamiltonian.mae_gauge.full.pooled").reason == "no overlap"
    assert entry.number("overlap.mae_all.full.pooled").reason == "overlap is not predicted"
    assert entry.number("hamiltonian.s_min_eig") is None


def test_a_score_that_only_some_seeds_have_is_not_averaged(add_run):
    folder = add_run("a-1", [0.1], seed=1)
    add_run("a-2", [0.2], seed=2)
    add_run("a-3", [0.3], seed=3)
    text = (folder / "record.yaml").read_text()
    (folder / "record.yaml").write_text(
        text.replace("hamiltonian.max_abs.full.pooled", "hamiltonian.max_abs.other.pooled")
    )
    (entry,) = join_seeds(collect_runs([add_run.root]))
    assert entry.number("hamiltonian.max_abs.full.pooled").reason == "not scored for every seed"
    assert entry.range("hamiltonian.max_abs.full.pooled") is None


def test_errors_name_the_place(add_run, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder of runs"):
        collect_runs([tmp_path / "nowhere"])
    folder = add_run("a", [0.1])
    (folder / "per_structure.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(DataError, match=r"per_structure\.parquet: not readable"):
        collect_runs([add_run.root])[0].per_structure  # noqa: B018
    (folder / "record.yaml").write_text("name: a\ncolour: red\n")
    with pytest.raises(DataError, match=r"a/record\.yaml: key"):
        collect_runs([add_run.root])


def test_seeds_that_list_different_structures_are_refused(add_run):
    add_run("a-1", [0.1, 0.2], seed=1)
    add_run("a-2", [0.1], seed=2)
    (entry,) = join_seeds(collect_runs([add_run.root]))
    with pytest.raises(DataError, match="different structures"):
        entry.sums(MAE)
