"""Groups of tables beyond the first: blocks, other splits, physics, cost, retired entries, other revisions."""

import pandas as pd
import pytest

import slembench
from slembench.leaderboard.boards import BoardKey
from slembench.results.index import add_entries, retire
from slembench.results.record import Cost, Hardware, PhysicsCheck, TrainingSummary, write_table

CHECK = PhysicsCheck(value=1e-6, limit=1e-4, passed=True, structure="s00")


def sections(add_run, **options):
    board = slembench.board(runs=[add_run.root], committed=False)
    found = board.sections(full=True, **options)
    return {section.group: section for section in found if section.kind != "published" and ", test, " in section.title}


def test_blocks_are_summed_by_angular_momenta(add_run):
    folder = add_run("a", [0.1, 0.1])
    rows = [
        ("hamiltonian", "all", "Mo", "s1", "S", "s1", 0, 0, 2.0, 10),
        ("hamiltonian", "all", "Mo", "s1", "S", "p1", 0, 1, 3.0, 10),
        ("hamiltonian", "all", "S", "p1", "Mo", "s1", 1, 0, 9.0, 30),
        ("hamiltonian", "onsite", "Mo", "s1", "Mo", "s1", 0, 0, 99.0, 1),
        ("overlap", "all", "Mo", "d1", "S", "d1", 2, 2, 99.0, 1),
    ]
    names = ["operator", "part", "element_i", "shell_i", "element_j", "shell_j", "l_i", "l_j", "abs_sum", "count"]
    write_table(pd.DataFrame(rows, columns=names), folder / "blocks.parquet")
    add_run("b", [0.2, 0.2], model="other")
    found = sections(add_run)["blocks"]
    assert [column.key for column in found.columns[2:]] == ["s-s", "s-p", "worst", "worst_mae"]
    first, second = found.rows
    assert first["s-s"].value == pytest.approx(200.0)
    assert first["s-p"].value == pytest.approx(300.0)
    assert (first["worst"], first["worst_mae"].value) == ("Mo s1 - S p1", pytest.approx(300.0))
    assert second["s-s"].reason == "no per-block table beside the record"


def test_other_splits_of_the_same_model_stand_beside(add_run):
    add_run("a", [0.1, 0.1])
    add_run("a-large", [0.3], split="test_3x3")
    add_run("b", [0.2, 0.2], model="other")
    first, second = sections(add_run)["transfer"].rows
    assert first["test_3x3"].value == pytest.approx(300.0)
    assert first["test_3x3/"].value == pytest.approx(3.0)
    assert second["test_3x3"].reason == "not predicted on test_3x3"
    assert "test_3x3/" not in second


def test_physics_checks_have_value_verdict_or_reason(add_run):
    broken = CHECK.model_copy(update={"value": 0.3, "passed": False})
    none = PhysicsCheck(limit=1e-12, note="not strictly local", structure="s00")
    add_run("a", [0.1], physics={"rotation": CHECK, "locality": CHECK})
    add_run("b", [0.2], model="other", physics={"rotation": broken, "locality": none})
    add_run("c", [0.3], model="third")
    found = sections(add_run)["physics"]
    assert [column.key for column in found.columns] == ["name", "model", "rotation", "locality"]
    good, bad, without = found.rows
    assert (good["rotation"].value, good["rotation"].mark) == (1e-6, "")
    assert (bad["rotation"].value, bad["rotation"].mark) == (0.3, "above its limit")
    assert bad["locality"].reason == "not strictly local"
    assert without["rotation"].reason == "the record has no such check"


def test_costs_have_unit_and_hardware(add_run):
    cost = Cost(parameters=7, train_wall_s=120.0, train_cpu_s=240.0, peak_memory_bytes=3_000_000)
    add_run("a", [0.1], cost=cost, hardware=Hardware(cpu="one", threads=2, dtype="float64"))
    section = sections(add_run)["cost"]
    (row,) = section.rows
    assert (row["train_minutes"].value, row["train_cpu"].value, row["memory"].value) == (2.0, 4.0, 3.0)
    assert (row["hardware"], row["budget"]) == ("one, 2 threads, float64", "9 steps")
    assert "inference" not in [column.key for column in section.columns]
    assert any("prediction" in note and "not measured" in note for note in section.notes)


def test_different_budgets_are_told_beside_the_model(add_run):
    add_run("a", [0.1])
    assert not any("different budgets" in note for note in sections(add_run)["main"].notes)
    training = TrainingSummary(
        seed=0, partition=100, n_train=60, steps=99, structures_seen=99, wall_s=900.0, budget="99 steps"
    )
    add_run("b", [0.2], model="other", training=training)
    main = sections(add_run)["main"]
    assert [row["budget"] for row in main.rows] == ["9 steps", "99 steps"]
    assert [column.heading for column in main.columns[2:4]] == ["model", "trained for"]
    assert any("different budgets" in note for note in main.notes)


def test_what_a_model_is_given_is_flagged(add_run):
    add_run("a", [0.1], config={"inputs": ["S", "H0"]})
    assert sections(add_run)["main"].rows[0]["inputs"] == "structure + S + H0"


def test_retired_entries_are_shown_and_not_ranked(tmp_path, write_run):
    for name, size in (("best", 0.01), ("old", 0.02), ("new", 0.03)):
        write_run(tmp_path / "runs" / name, name, [size] * 3, model=name)
    add_entries(tmp_path)
    retire(tmp_path, "runs/best", "trained on test structures")
    retire(tmp_path, "runs/old", "a fault was mended", "runs/new")
    board = slembench.board(runs=(), results=tmp_path)
    measured, retired, *_ = board.sections()
    assert [(row["rank"], row["name"]) for row in measured.rows] == [("1", "new")]
    assert {(row["name"], row["state"], row["reason"]) for row in retired.rows} == {
        ("best", "withdrawn", "trained on test structures"), ("old", "superseded", "a fault was mended"),
    }  # fmt: skip
    frame = board.frame()
    assert set(frame.loc[frame["run"] == "best", "state"]) == {"withdrawn"}
    assert frame.loc[frame["run"] == "best", "rank"].isna().all()


def test_another_revision_of_the_data_has_boards_of_its_own(add_run):
    add_run("now", [0.2])
    add_run("before", [0.1], model="other", dataset_revision=0, dataset_fingerprint="0" * 64)
    boards = slembench.board(runs=[add_run.root], committed=False).boards
    official = [board for board in boards if board.is_official]
    assert [(b.is_current, b.models[0].rank, b.models[0].entry.record.name) for b in official] == [
        (True, 1, "now"), (False, 1, "before"),
    ]  # fmt: skip
    assert official[1].task == "mos2-mini r0 (not the present data), test, hamiltonian"
    assert official[0].official.flag == "GPAW, PBE"


def test_models_of_other_targets_are_no_seeds_of_each_other(add_run):
    add_run("h", [0.1], seed=1)
    add_run("h-and-s", [0.2], seed=2, targets=("hamiltonian", "overlap"))
    (main,) = [s for s in slembench.board(runs=[add_run.root], committed=False).sections() if s.group == "main"]
    assert [row["seeds"] for row in main.rows] == ["1", "1"]


def test_a_score_name_follows_the_form_of_its_metric():
    key = BoardKey("d", "test", "hamiltonian", "full", "pooled", 1, "f", "s")
    assert key.score("mae_all") == "hamiltonian.mae_all.full.pooled"
    assert key.score("gap_mae") == "hamiltonian.gap_mae"
