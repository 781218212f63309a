"""Making a submission folder from a run, or from a predictions file that any program wrote."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from slembench.core.errors import SubmissionError
from slembench.core.files import atomic_folder, sha256
from slembench.data import Dataset, load_dataset
from slembench.evaluation import evaluate
from slembench.predictions import read_predictions
from slembench.predictions.format import PREDICTIONS_FILE
from slembench.results.record import PER_STRUCTURE_FILE, RunRecord, read_record, score_values, write_table
from slembench.submission.submission import SubmittedFile, Training, submission_of, write_submission

Statement = dict[str, Any]
"""Fields of `Submission` that only its author knows: code_licence, weights_licence, references, inputs, ..."""


def submit_run(
    run: str | Path, out: str | Path, statement: Statement, *, split: str = "test", address: str = ""
) -> Path:
    """Make a submission from a run of this program.

    Args:
        run: folder of the run, or of one of its splits.
        out: folder to write; must not exist.
        statement: what the author states.
        split: of the run.
        address: https address where the predictions will lie; by default they are copied into the folder.

    Raises:
        SubmissionError: the run has no record or table of the split, or ``out`` exists.
        ConfigError, DataError: a broken record.
    """
    # Either the run, whose splits are folders, or the folder of one split.
    source = Path(run) if (Path(run) / PER_STRUCTURE_FILE).is_file() else Path(run) / split
    table, file = source / PER_STRUCTURE_FILE, source / PREDICTIONS_FILE
    if not table.is_file():
        raise SubmissionError(f"{source}: no {PER_STRUCTURE_FILE}; give the folder of a finished run")
    record = read_record(source)
    fields = _from_record(record) | statement
    return _write(Path(out), table, file if file.is_file() else None, address, fields)


def submit_predictions(
    file: str | Path,
    out: str | Path,
    statement: Statement,
    *,
    dataset: str | Path | None = None,
    address: str = "",
    bands: bool = True,
) -> Path:
    """Score a predictions file and make a submission of it.

    Args:
        file: predictions, see `slembench.predictions`; names its data set, split and model.
        out: folder to write; must not exist.
        statement: what the author states; ``training`` among it.
        dataset: folder of the data set; by default found by its name.
        address: https address where the predictions will lie; by default they are copied into the folder.
        bands: compute energy levels, too.

    Raises:
        PredictionError: see `slembench.predictions.read_predictions` and `slembench.evaluation.evaluate`.
        SubmissionError: a field is missing, or ``out`` exists.
    """
    out = Path(out)
    # Scored in a hidden folder beside the result, so that an error or a kill leaves no half submission.
    with read_predictions(file) as predictions, atomic_folder(out.with_name(f".{out.name}.scores"), True) as scratch:
        attrs = predictions.attrs
        data = load_dataset(dataset or attrs.dataset)
        evaluation = evaluate(data, predictions, attrs.split, bands=bands)
        table = write_table(evaluation.per_structure, scratch / PER_STRUCTURE_FILE)
        fields: Statement = {"name": attrs.model, "model": attrs.model} | _about(data, attrs.split)
        fields["targets"] = tuple(op for op in data.card.operators if op in predictions.operators)
        fields |= {"scores": score_values(evaluation), "unavailable": evaluation.unavailable}
        fields |= {"missing": tuple(evaluation.missing)}
        return _write(out, table, Path(file), address, fields | statement)


def _about(data: Dataset, split: str) -> Statement:
    return {
        "dataset": data.name,
        "dataset_revision": data.card.revision,
        "dataset_fingerprint": data.fingerprint,
        "split": split,
        "split_hash": data.split_hash(split),
    }


def _from_record(record: RunRecord) -> Statement:
    names = (
        "name", "model", "dataset", "dataset_revision", "dataset_fingerprint", "split", "split_hash", "targets",
        "scores", "unavailable", "missing", "cost", "hardware",
    )  # fmt: skip
    fields = {name: getattr(record, name) for name in names}
    training = record.training
    if training is not None:
        data = f"{training.partition} per cent of the train split of {record.dataset}"
        fields["training"] = Training(data=data, budget=training.budget, n_train=training.n_train)
        fields["seeds"] = (training.seed,)
    return fields


def _write(out: Path, table: Path, file: Path | None, address: str, fields: Statement) -> Path:
    """The folder, whole or not at all."""
    if out.exists():
        raise SubmissionError(f"{out}: exists already; remove it, or choose another --out")
    with atomic_folder(out) as folder:
        shutil.copyfile(table, folder / PER_STRUCTURE_FILE)
        fields["per_structure"] = SubmittedFile(path=PER_STRUCTURE_FILE, sha256=sha256(folder / PER_STRUCTURE_FILE))
        if file is not None:
            if not address:
                shutil.copyfile(file, folder / PREDICTIONS_FILE)
            # The sha256 stands there in both cases: what is fetched later must be what was scored here.
            place = {"address": address} if address else {"path": PREDICTIONS_FILE}
            fields["predictions"] = SubmittedFile(**place, sha256=sha256(file))
        write_submission(submission_of(fields, str(out)), folder)
    return out
