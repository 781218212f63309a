"""Records and per-structure tables of runs that were never made, with errors that are known."""

import numpy as np
import pandas as pd
import pytest

from slembench.data import load_card
from slembench.metrics.scores import scores_from_table
from slembench.results.record import Cost, RunRecord, ScoreValue, TrainingSummary, write_record, write_table

IDS = [f"s{k:02d}" for k in range(24)]


def table(errors, groups=None):
    """Per-structure table of H: ``errors`` (S,) | eV | MAE of each structure; 10 on-site, 30 off-site elements."""
    errors = np.asarray(errors, dtype=float)
    columns = {"id": IDS[: len(errors)], "group": groups or IDS[: len(errors)], "n_atoms": 3, "energy_unit": "eV"}
    for counting in ("full", "reduced"):
        for part, count, factor in (("onsite", 10, 2.0), ("offsite", 30, 2 / 3)):
            prefix = f"hamiltonian.{part}.{counting}"
            columns[f"{prefix}.abs_sum"] = factor * errors * count
            columns[f"{prefix}.sq_sum"] = (factor * errors) ** 2 * count
            columns[f"{prefix}.count"] = count
            columns[f"{prefix}.max"] = 2 * factor * errors
    return pd.DataFrame(columns)


@pytest.fixture
def add_run(tmp_path):
    """Write one run folder; returns its folder."""

    def add(name, errors, *, seed=1, model="slem", kind="model", with_table=True, groups=None, **changes):
        rows = table(errors, groups)
        scores, unavailable = scores_from_table(rows)
        training = TrainingSummary(
            seed=seed, partition=100, n_train=60, steps=9, structures_seen=18, wall_s=90.0, budget="9 steps"
        )
        content = {
            "name": name,
            "model": model,
            "model_kind": kind,
            "config": {"layers": 2, "training": {"seed": seed}},
            "dataset": "mos2-mini",
            "dataset_revision": 1,
            "dataset_fingerprint": load_card("mos2-mini").fingerprint,
            "split": "test",
            "split_hash": "a" * 64,
            "targets": ("hamiltonian",),
            "training": training if kind == "model" else None,
            "scores": {key: ScoreValue(value=score.value, unit=score.unit) for key, score in scores.items()},
            "unavailable": {**unavailable, "levels": "the data set has no overlap"},
            "cost": Cost(parameters=12345, train_wall_s=90.0) if kind == "model" else Cost(),
            "created": "2026-01-01T00:00:00+00:00",
        }
        folder = tmp_path / "runs" / name
        write_record(RunRecord(**(content | changes)), folder)
        if with_table:
            write_table(rows.sample(frac=1, random_state=seed), folder / "per_structure.parquet")
        return folder

    add.root = tmp_path / "runs"
    return add
