"""Finished runs on the made-up data sets: records, tables, log and predictions with a known error."""

import json

import numpy as np
import pytest

from slembench.core.files import sha256
from slembench.evaluation import evaluate
from slembench.evaluation.floors import floor_predictions
from slembench.predictions import PredictionWriter, read_predictions
from slembench.results.record import Cost, RunRecord, TrainingSummary, score_values, write_record, write_tables

NOISE = 0.01


@pytest.fixture(scope="session")
def crystal_run(crystals, tmp_path_factory):
    return make_run(crystals, tmp_path_factory.mktemp("run") / "crystals")


@pytest.fixture(scope="session")
def molecule_run(molecules, tmp_path_factory):
    return make_run(molecules, tmp_path_factory.mktemp("run") / "molecules")


@pytest.fixture(scope="session")
def noise():
    """Standard deviation of the errors of H and S, in the unit of the data set."""
    return NOISE


@pytest.fixture(scope="module")
def found(crystals, molecules):
    """The made-up data sets are found by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEMBENCH_DATA", f"{crystals.root.parent}:{molecules.root.parent}")
        yield


def make_run(dataset, folder):
    split = folder / "test"
    split.mkdir(parents=True)
    predictions = write_predictions(dataset, split / "predictions.h5")
    with read_predictions(predictions) as source:
        write(dataset, source, split, "model", {"predictions.h5": sha256(predictions)})
    write(dataset, floor_predictions(dataset, "zero"), folder / "floors" / "zero" / "test", "floor", {})
    rows = [
        {"event": "train", "step": 1, "loss": 1.0},
        {"event": "validation", "step": 1, "loss": 0.9, "mae": {"hamiltonian": 0.5, "overlap": 0.1}},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_predictions(dataset, path):
    """The reference operators plus noise of a known size, H in the other unit word than the data set's."""
    rng = np.random.default_rng(2)
    attrs = floor_predictions(dataset, "zero").attrs
    unit, factor = ("meV", 1000.0) if dataset.card.units.energy == "eV" else ("eV", 27.211386245981)
    header = {"dataset": attrs.dataset, "dataset_fingerprint": attrs.dataset_fingerprint, "split": "test"}
    with PredictionWriter(path, model="noisy", basis=attrs.basis, energy_unit=unit, **header) as writer:
        for sample in dataset.iterate(dataset.split("test")):
            noisy = {
                name: sample.operators[name].with_values(
                    sample.operators[name].values + NOISE * rng.normal(size=len(sample.operators[name].values))
                )
                for name in ("hamiltonian", "overlap")
            }
            noisy["hamiltonian"] = noisy["hamiltonian"] * factor
            writer.add(sample.id, sample.atoms.numbers, noisy)
    return path


def write(dataset, source, folder, kind, files):
    result = evaluate(dataset, source, "test", operators=("hamiltonian", "overlap"))
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(result, folder)
    training = TrainingSummary(
        seed=0, partition=100, n_train=6, steps=1, structures_seen=1, wall_s=2.0, budget="1 steps"
    )
    record = RunRecord(
        name="noisy-run", model="noisy", model_kind=kind, config={"training": {"lr": 0.01}}, dataset=dataset.name,
        dataset_revision=1, dataset_fingerprint=dataset.fingerprint, split="test",
        split_hash=dataset.split_hash("test"), targets=("hamiltonian", "overlap"),
        training=training if kind == "model" else None,
        scores=score_values(result), unavailable=result.unavailable, missing=tuple(result.missing),
        cost=Cost(parameters=7, train_wall_s=2.0, inference_ms_per_atom=0.5), versions={"numpy": "2"}, files=files,
    )  # fmt: skip
    write_record(record, folder)
