"""Submissions: sound ones, and broken or hostile ones, each refused for its own reason."""

import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from slembench.core.files import sha256
from slembench.evaluation.floors import floor_predictions
from slembench.metrics.scores import scores_from_table
from slembench.predictions import PredictionWriter
from slembench.results.record import PER_STRUCTURE_FILE, RunRecord
from slembench.submission.submission import SUBMISSION_FILE, read_submission
from slembench.submission.submit import PREDICTIONS_FILE, submit_predictions
from slembench.submission.verify import verify

STATEMENT = {
    "code_licence": "MIT",
    "weights_licence": "none",
    "training": {"data": "train split", "budget": "one pass"},
}
VALUES, SCORE = "operators/hamiltonian/values", "hamiltonian.mae_all.full.pooled"


def write_predictions(data, path, left_out=0):
    """Nine tenths of the reference."""
    floor = floor_predictions(data, "zero")
    names = ("dataset", "dataset_fingerprint", "split", "basis", "energy_unit")
    with PredictionWriter(path, model="mine", **{key: getattr(floor.attrs, key) for key in names}) as writer:
        for structure in floor.ids[left_out:]:
            sample = data.sample(structure)
            writer.add(structure, sample.atoms.numbers, {op: m * 0.9 for op, m in sample.operators.items()})
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
    return path


@pytest.fixture(scope="module")
def sound(crystals, tmp_path_factory):
    """A submission in which one structure of four is missing, without levels."""
    folder = tmp_path_factory.mktemp("sound")
    file = write_predictions(crystals, folder / "p.h5", left_out=1)
    return submit_predictions(file, folder / "entry", STATEMENT, dataset=crystals.root, bands=False)


@pytest.fixture
def entry(sound, tmp_path):
    """A copy to be spoilt."""
    return shutil.copytree(sound, tmp_path / "entry")


def failed(result):
    return {check.name: check.detail for check in result.checks if check.status == "fail"}


def restate(folder, **changes):
    """Change keys of submission.yaml."""
    path = folder / SUBMISSION_FILE
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def signed(folder):
    """Give all files the sha256 they now have."""
    for key, name in (("per_structure", PER_STRUCTURE_FILE), ("predictions", PREDICTIONS_FILE)):
        restate(folder, **{key: {"path": name, "sha256": sha256(folder / name)}})


def test_sound_submission(entry, crystals):
    result = verify(entry, dataset=crystals.root)
    assert not failed(result)
    assert result.passed
    assert result.evidence == "re-scored"
    assert [c.name for c in result.checks if c.status == "not possible"] == ["retrained"]


def test_three_missing_structures_are_penalised(crystals, tmp_path):
    values = []
    for count in (0, 3):
        file = write_predictions(crystals, tmp_path / f"{count}.h5", left_out=count)
        out = submit_predictions(file, tmp_path / f"entry{count}", STATEMENT, dataset=crystals.root, bands=False)
        result = verify(out, dataset=crystals.root)
        assert result.passed, failed(result)
        values.append(result.scores[SCORE].value)
    detail = next(check.detail for check in result.checks if check.name == "missing")
    assert detail == "3 of 4 structures missing, each counted as zero: s08, s09, s10"
    assert len(result.table) == 4
    assert values[1] > 2 * values[0]


def test_levels_of_evidence(entry, crystals):
    scores = read_submission(entry).scores
    about = yaml.safe_load((entry / SUBMISSION_FILE).read_text())
    keys = ("dataset", "dataset_revision", "dataset_fingerprint", "split", "split_hash", "targets")
    ours = RunRecord(name="ours", model="mine", model_kind="model", scores=scores, **{key: about[key] for key in keys})
    assert verify(entry, dataset=crystals.root, retrained=ours).evidence == "retrained"
    worse = {name: score.model_copy(update={"value": 2 * score.value}) for name, score in scores.items()}
    other = verify(entry, dataset=crystals.root, retrained=ours.model_copy(update={"scores": worse}))
    assert "our run has" in failed(other)["retrained"]
    assert other.evidence == "self-reported"
    digest = about["predictions"]["sha256"]
    restate(entry, predictions={"address": "https://example.org/p.h5", "sha256": digest})
    (entry / PREDICTIONS_FILE).rename(entry.parent / "fetched.h5")
    assert verify(entry, dataset=crystals.root).evidence == "recomputed"
    assert verify(entry, dataset=crystals.root, predictions=entry.parent / "fetched.h5").evidence == "re-scored"


def text(change):
    """Spoil the text of submission.yaml."""

    def spoil(folder):
        path = folder / SUBMISSION_FILE
        path.write_text(change(path.read_text()))

    return spoil


def keys(**changes):
    return lambda folder: restate(folder, **changes)


def table(change):
    """Spoil the table and sign it again."""

    def spoil(folder):
        found = change(pd.read_parquet(folder / PER_STRUCTURE_FILE))
        found.to_parquet(folder / PER_STRUCTURE_FILE, index=False)
        signed(folder)

    return spoil


def column(name, value, row=1):
    def change(found):
        found.loc[row, name] = value
        return found

    return table(change)


def hdf5(change):
    """Spoil the predictions and sign them again."""

    def spoil(folder):
        with h5py.File(folder / PREDICTIONS_FILE, "r+") as file:
            change(file)
        signed(folder)

    return spoil


def replaced(name, **options):
    """Store a dataset in another way."""

    def change(file):
        content = file[name][:]
        del file[name]
        file.create_dataset(name, **({"data": content} | options))

    return change


def linked(name, link):
    def change(file):
        del file[name]
        file[name] = link

    return hdf5(change)


def virtual(file):
    layout = h5py.VirtualLayout(shape=(9,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(9,))
    del file[VALUES]
    file.create_virtual_dataset(VALUES, layout)


def outside(file):
    del file[VALUES]
    file.create_dataset(VALUES, shape=(9,), dtype="f8", external=[("/etc/passwd", 0, 72)])


def scaled(factor):
    def change(file):
        file[VALUES][:] = factor * file[VALUES][:]

    return change


def loop(file):
    file["operators/density"] = file["operators"]


def nan(file):
    file[VALUES][3] = np.nan


def as_link(folder):
    (folder / PER_STRUCTURE_FILE).rename(folder.parent / "t.parquet")
    (folder / PER_STRUCTURE_FILE).symlink_to(folder.parent / "t.parquet")


def nested(folder):
    rows = pa.table({"id": [[1]] * 4})
    pq.write_table(rows, folder / PER_STRUCTURE_FILE)
    signed(folder)


def forged(folder):
    """A better row, and the scores that follow from it."""
    column("hamiltonian.onsite.full.abs_sum", 0.0)(folder)
    scores, _ = scores_from_table(pd.read_parquet(folder / PER_STRUCTURE_FILE))
    restate(folder, scores={name: score._asdict() for name, score in scores.items()})


def elsewhere(path):
    return keys(per_structure={"path": path, "sha256": "0" * 64})


CASES = {
    "pickle": (lambda f: (f / "model.pkl").write_bytes(b"x"), "folder", "no such file belongs there"),
    "code": (lambda f: (f / "setup.py").write_text("1"), "folder", "no such file belongs there"),
    "symlink": (as_link, "folder", "a symbolic link"),
    "subfolder": (lambda f: (f / "a.h5").mkdir(), "folder", "not a plain file"),
    "many files": (lambda f: [(f / f"{k}.md").touch() for k in range(20)], "folder", "more than 16 files"),
    "no yaml": (lambda f: (f / SUBMISSION_FILE).unlink(), "schema", "no such file"),
    "yaml tag": (text(lambda t: t + "code: !!python/object/apply:os.system [ls]\n"), "schema", "tag '.*' is not"),
    "yaml alias": (text(lambda t: t + "a: &a [1]\nb: [*a, *a]\n"), "schema", "anchors and aliases"),
    "yaml depth": (text(lambda t: t + "a: " + "[" * 5000), "schema", "nested deeper than 16"),
    "yaml size": (text(lambda t: t + "#" * (1 << 20)), "schema", "more than the 1048576 allowed"),
    "yaml twice": (text(lambda t: t + "model: other\n"), "schema", "'model' is no word, or stands there twice"),
    "yaml number": (text(lambda t: t + "a: " + "9" * 9999 + "\n"), "schema", "not readable as YAML"),
    "yaml broken": (lambda f: (f / SUBMISSION_FILE).write_bytes(b"\xff\xfe\x00"), "schema", "not readable as YAML"),
    "unknown key": (keys(rank=1), "schema", "key 'rank': unknown key"),
    "nan score": (keys(scores={SCORE: {"value": float("nan"), "unit": "eV"}}), "schema", f"{SCORE}.value': .*finite"),
    "data set path": (keys(dataset="../../etc"), "schema", "key 'dataset': String should match"),
    "fingerprint": (keys(dataset_fingerprint="0" * 64), "data set", "key 'dataset_fingerprint'"),
    "revision": (keys(dataset_revision=99), "data set", "key 'dataset_revision': 99 is not"),
    "split": (keys(split="nothing"), "data set", "nothing"),
    "split hash": (keys(split_hash="0" * 64), "split", "key 'split_hash'"),
    "path up": (elsewhere("../t.parquet"), "table", "leads out of the folder"),
    "path root": (elsewhere("/etc/passwd"), "table", "leads out of the folder"),
    "sha256": (elsewhere(PER_STRUCTURE_FILE), "table", "sha256: .* is not '000"),
    "nested table": (nested, "table", "column 'id' has type list"),
    "text table": (table(lambda t: t.assign(n_atoms="x")), "table", "column 'n_atoms' has type"),
    "not a table": (lambda f: ((f / PER_STRUCTURE_FILE).write_bytes(b"PAR1"), signed(f)), "table", "as Parquet"),
    "dropped": (table(lambda t: t[1:]), "table", "3 rows, the split has 4 structures"),
    "twice": (column("id", "s08"), "table", "'s08' stands there more than once"),
    "stranger": (column("id", "x"), "table", "no row for 1 structures, the first is 's09'"),
    "infinite": (column("hamiltonian.onsite.full.abs_sum", np.inf), "table", "structure 's09' is inf"),
    "no column": (table(lambda t: t.drop(columns="overlap.onsite.full.count")), "table", "is missing"),
    "counts": (column("hamiltonian.onsite.full.count", 10**6), "reference columns", "the data set"),
    "hidden gap": (keys(missing=[]), "missing", "has no prediction for \\['s08'\\]"),
    "kind gap": (column("hamiltonian.onsite.full.abs_sum", 0.0, 0), "missing", "predicting zero give"),
    "score": (keys(scores={SCORE: {"value": 1e-9, "unit": "eV"}}), "scores", "says 1e-09 eV, the table gives"),
    "made-up score": (keys(scores={"hamiltonian.best": {"value": 1, "unit": "1"}}), "scores", "no such score"),
    "made-up row": (forged, "re-scored", "structure 's09' has 0.0, the predictions give"),
    "not hdf5": (lambda f: ((f / PREDICTIONS_FILE).write_bytes(b"x"), signed(f)), "predictions", "not an HDF5 file"),
    "huge": (hdf5(replaced(VALUES, data=None, shape=(1 << 50,), chunks=(8,), dtype="f8")), "predictions", "declares"),
    "soft link": (linked(VALUES, h5py.SoftLink("/ids")), "predictions", "soft or external link"),
    "external link": (linked("ids", h5py.ExternalLink("/etc/x.h5", "/")), "predictions", "soft or external link"),
    "external data": (hdf5(outside), "predictions", "stored in another file"),
    "virtual": (hdf5(virtual), "predictions", "stored in another file"),
    "compressed": (hdf5(replaced(VALUES, compression="gzip")), "predictions", "compressed or filtered"),
    "loop": (hdf5(loop), "predictions", "unknown key 'operators/density/density'"),
    "basis": (hdf5(lambda f: f.attrs.__setitem__("basis", '{"B": "99999999s"}')), "predictions", "attribute 'basis'"),
    "unknown array": (hdf5(lambda f: f.create_dataset("code", data=[1])), "predictions", "unknown key 'code'"),
    "not finite": (hdf5(nan), "predictions", "NaN or infinite"),
    "shape": (hdf5(replaced("pair_shift", data=np.zeros((3, 2), int))), "predictions", "key 'pair_shift' must hold"),
    "other split": (hdf5(lambda f: f.attrs.__setitem__("split", "val")), "predictions", "attribute 'split' is 'val'"),
    "unit": (hdf5(scaled(1 / 27.2)), "units", "is the unit eV right"),
}


@pytest.mark.parametrize("case", CASES)
def test_spoilt_submission_is_refused(case, entry, crystals):
    spoil, name, reason = CASES[case]
    spoil(entry)
    result = verify(entry, dataset=crystals.root)
    found = failed(result)
    assert next(iter(found), "") == name, found
    assert not result.passed
    assert result.evidence == "self-reported"
    assert re.search(reason, found[name]), found[name]


def test_time_limit(entry, crystals):
    assert "allow more time" in failed(verify(entry, dataset=crystals.root, max_seconds=-1.0))["table"]
