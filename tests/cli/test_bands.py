"""``slembench bands``: arrays and pictures of one structure."""

import ase.io
import numpy as np
import pytest
import scipy.linalg
from typer.testing import CliRunner

from slembench.cli import app
from slembench.evaluation.floors import floor_predictions
from slembench.predictions import PredictionWriter


def run(*args):
    return CliRunner().invoke(app, ["bands", *map(str, args)])


@pytest.fixture(scope="module")
def predictions(crystals, tmp_path_factory):
    """Predictions file: the reference itself with noise."""
    path, floor = tmp_path_factory.mktemp("p") / "p.h5", floor_predictions(crystals, "zero")
    rng = np.random.default_rng(0)
    keys = ("dataset", "dataset_fingerprint", "split", "model", "basis", "energy_unit")
    with PredictionWriter(path, **{key: getattr(floor.attrs, key) for key in keys}) as writer:
        for name in floor.ids:
            operators = {
                op: m.with_values(m.values + 0.01 * rng.normal(size=len(m.values))).hermitise()
                for op, m in crystals.sample(name).operators.items()
            }
            writer.add(name, crystals.sample(name).atoms.numbers, operators)
    return path


def test_bands_over_the_reference(crystals, predictions, tmp_path):
    out = tmp_path / "bands" / "one"
    result = run("s08", "--dataset", crystals.root, "--predictions", predictions, "--out", out, "--spacing", "0.3")
    assert result.exit_code == 0, result.output
    assert all(out.with_name(f"one.{end}").stat().st_size > 1000 for end in ("npz", "svg", "png"))
    with np.load(out.with_name("one.npz")) as found:
        arrays = dict(found)
    sample = crystals.sample("s08")
    h, s = (sample.operators[op].at_k(arrays["kpoints"]) for op in ("hamiltonian", "overlap"))
    eps = np.array([scipy.linalg.eigh(a, b, eigvals_only=True) for a, b in zip(h, s)])
    np.testing.assert_allclose(arrays["reference_bands"] + arrays["reference_zero"], eps, atol=1e-10)
    assert arrays["label_names"].tolist()[0] == "Γ"
    assert not arrays["kpoints"][:, 2].any()
    assert 0 < np.abs(arrays["predicted_bands"] - arrays["reference_bands"]).mean() < 1
    step = arrays["reference_energies"][1] - arrays["reference_energies"][0]
    assert arrays["reference_dos"].min() >= 0
    inside = ((arrays["reference_bands"] > -6) & (arrays["reference_bands"] < 5)).sum(axis=1).mean()
    assert arrays["reference_dos"].sum() * step == pytest.approx(2 * inside, rel=0.3)  # both spins
    assert "predicted: zero at" in result.output


def test_a_structure_file_needs_a_predicted_overlap(crystals, predictions, tmp_path):
    file = tmp_path / "s08.xyz"
    ase.io.write(file, crystals.sample("s08").atoms)
    options = ("--predictions", predictions, "--out", tmp_path / "b", "--kmesh", "3", "3", "1")
    result = run(file, *options)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "b.npz") as found:
        assert "reference_bands" not in found
        assert found["predicted_zero"] == 0
    result = run(file, *options, "--electrons", "8")
    with np.load(tmp_path / "b.npz") as found:
        assert found["predicted_zero"] != 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["s08", "--dataset", "{root}"], "give --checkpoint, or --predictions"),
        (["s77", "--dataset", "{root}", "--predictions", "{file}"], "no structure 's77'"),
        (["s08", "--dataset", "{root}", "--predictions", "{file}", "--spacing", "0"], "must be positive"),
        (["s08", "--dataset", "{root}", "--predictions", "{file}", "--electrons", "99"], "do not fit"),
        (["nowhere.cif", "--predictions", "{file}"], "nowhere.cif"),
    ],
)
def test_what_goes_wrong(crystals, predictions, tmp_path, args, message):
    result = run(*(a.format(root=crystals.root, file=predictions) for a in args), "--out", tmp_path / "x")
    assert result.exit_code == 1
    assert message in result.output


def test_molecules_have_no_path(molecules, tmp_path):
    floor = floor_predictions(molecules, "zero")
    keys = ("dataset", "dataset_fingerprint", "split", "model", "basis", "energy_unit")
    with PredictionWriter(tmp_path / "m.h5", **{key: getattr(floor.attrs, key) for key in keys}) as writer:
        writer.add("s08", molecules.sample("s08").atoms.numbers, floor["s08"])
    result = run("s08", "--dataset", molecules.root, "--predictions", tmp_path / "m.h5", "--out", tmp_path / "x")
    assert result.exit_code == 1
    assert "needs a periodic direction" in result.output
