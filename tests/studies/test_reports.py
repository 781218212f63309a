"""Small studies of every kind from plan to report: derived data, fine-tuning, tables and pictures."""

from types import SimpleNamespace

import pandas as pd
import pytest

from slembench.results.record import read_record
from slembench.studies import PlannedRun, StudyPlan, local_backend, run_study, write_plan
from slembench.studies.designs import ModelSpec, Options, locality, seeds
from slembench.studies.report import training_words, write_report
from slembench.studies.results import Results
from slembench.studies.transfer import transfer


def finished(plan, folder):
    """Run and report; returns text of the page and the table of scores."""
    write_plan(plan, folder)
    result = run_study(plan, folder, local_backend())
    assert (len(result.finished), result.failed) == (len(plan.runs), {})
    write_report(plan, folder)
    return (folder / "report.md").read_text(), pd.read_csv(folder / "scores.csv")


def rows_of(text, title):
    """Rows of the first table of the page whose title holds some words, as lists of cells."""
    lines = text[text.index(title) :].splitlines()[4:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[: next(k for k, row in enumerate(cells) if row == [""])]


def test_transfer(make_dataset, crystals, toy_model, tmp_path):
    ids = crystals.ids
    splits = {"train": ids[:4], "val": ids[4:5], "test": ids[5:7], "test_hot": ids[7:]}
    samples = [crystals.sample(structure) for structure in ids]
    data = make_dataset(tmp_path / "hot", samples, {"B": 3.0, "N": 4.0}, splits=splits)
    plan = transfer(data, Options((ModelSpec(toy_model),), steps=20), shots=(0, 1), tune_steps=10)
    text, scores = finished(plan, tmp_path / "study")
    assert "3 runs in the plan, each trained for 20 steps (shots 0) or 10 steps (shots 1), seed 0. Intervals" in text
    score = "hamiltonian.mae_all.full.pooled (eV)"
    base = scores[(scores["shots"] == 0)].set_index("split")[score]
    (matrix,) = rows_of(text, "mae\\_all.full.pooled, without fine-tuning")
    assert matrix[0] == "main"
    assert [cell.split()[0] for cell in matrix[1:]] == [f"{1e3 * base[s]:.4g}" for s in ("test_main", "test_hot")]
    tuned = rows_of(text, "mae\\_all.full.pooled, after fine-tuning")
    assert [row[:3] for row in tuned] == [["main", "hot", "0"], ["main", "hot", "1"], ["random weights", "hot", "1"]]
    (key,) = (key for key, run in plan.keyed.items() if run.init_from)
    assert "init_from" in read_record(tmp_path / "study" / "runs" / key / "test_hot").config
    assert len(list((tmp_path / "study" / "pictures").glob("*.svg"))) == 1


def test_seeds(crystals, toy_model, tmp_path):
    plan = seeds([crystals], Options((ModelSpec(toy_model),), seeds=(0, 1), steps=20))
    text, scores = finished(plan, tmp_path / "study")
    assert "2 runs in the plan, each trained for 20 steps, seeds 0 and 1. Intervals" in text
    values = 1e3 * scores["hamiltonian.mae_all.full.pooled (eV)"]
    (row,) = rows_of(text, "mae\\_all.full.pooled")
    assert row[:2] == ["toy", "2"]
    assert row[2].split()[0] == f"{values.mean():.4g}"
    assert row[3] == f"{values.std(ddof=1):.4g}"
    assert row[4] == f"{values.min():.4g} to {values.max():.4g}"


@pytest.mark.parametrize("factors", [(1.0, 0.7)])
def test_locality(crystals, tmp_path, factors):
    small = {
        "model.irreps_hidden": "4x0e+4x0o+2x1e+2x1o+2x2e+2x2o+1x3e+1x3o+1x4e+1x4o", "model.init_multiplicity": 2,
        "model.latent_dim": 4, "model.latent_channels": [4], "model.radial_channels": 4, "targets": ["hamiltonian"],
        "training.validate_every": 2,
    }  # fmt: skip
    plan = locality(crystals, Options((ModelSpec("slem"),), changes=small, steps=2), factors, (1,))
    text, scores = finished(plan, tmp_path / "study")
    rows = rows_of(text, "error against cutoff and layers")
    assert [row[:5] for row in rows] == [["slem", "4", "1", "4", "4"], ["slem", "2.8", "1", "2.8", "2.8"]]
    assert scores["cutoff"].tolist() == [4.0, 2.8]
    tables = [tmp_path / "study" / "runs" / key / "test" / "per_structure.parquet" for key in plan.keyed]
    whole, short = (pd.read_parquet(table) for table in tables)
    name = "hamiltonian.{}.full.count"
    assert (whole[name.format("onsite")] == short[name.format("onsite")]).all()
    assert (whole[name.format("offsite")] > short[name.format("offsite")]).all()


def test_budgets_in_words():
    def plan_of(*rows):
        runs = [
            PlannedRun(
                dataset="d", fingerprint="f", model=model, settings=str(n), seed=seed, splits=("test",), labels=labels
            )
            for n, (model, seed, labels) in enumerate(rows)
        ]
        return StudyPlan(study="seeds", runs=tuple(runs))

    def done(plan, budgets, missing=()):
        runs = zip(plan.runs, budgets)
        points = [
            SimpleNamespace(
                runs=(run,),
                entry=SimpleNamespace(
                    runs=[SimpleNamespace(record=SimpleNamespace(training=SimpleNamespace(budget=b)))]
                ),
            )
            for run, b in runs
        ]
        return Results(tuple(points), missing)

    a, b, c = ("a", 0, {"data": "d", "model": "a"}), ("b", 2, {"data": "d", "model": "b"}), ("b", 1, {"model": "b"})
    plan = plan_of(a, b, c)
    words = training_words(plan, done(plan, ["9 steps", "7 CPU s", "7 CPU s"]))
    assert words == "each trained for 9 steps (model a) or 7 CPU s (model b), seeds 0, 1 and 2"
    words = training_words(plan, done(plan, ["9 steps", "9 steps", "7 CPU s"]))
    assert words == "each trained for 9 steps (2 runs) or 7 CPU s (1 run), seeds 0, 1 and 2"
    assert (
        training_words(plan, done(plan, ["9 s"], ("x",))) == "those that are finished trained for 9 s, seeds 0, 1 and 2"
    )
    assert training_words(plan_of(a), Results((), ("x",))) == "seed 0"
