"""Scaling studies: what is measured, that it goes on, and what is made of it."""

import numpy as np
import pandas as pd
import pytest

from slembench.core.errors import ConfigError, DataError
from slembench.studies.designs import ModelSpec, Options, locality
from slembench.studies.extrapolation import QH9_ATOMS, fits, qh9_trainings
from slembench.studies.scaling import cases, lmax_changes, measure, measure_all, read_measurements
from slembench.studies.scaling_page import write_machine, write_scaling


@pytest.fixture
def known():
    """Costs that follow power laws: linear in atoms, cubic in the cutoff, (lmax + 1)^3."""
    rows = []
    for axis, atoms, cutoff, lmax in (
        ("atoms", 8, 6.0, 4), ("atoms", 16, 6.0, 4), ("atoms", 32, 6.0, 4), ("cutoff", 8, 3.0, 4),
        ("lmax", 8, 3.0, 2), ("lmax", 8, 3.0, 4),
    ):  # fmt: skip
        seconds = 1e-5 * atoms * cutoff**3 * (lmax + 1) ** 3
        row = {"dataset": "x", "model": "slem@quickstart", "axis": axis, "atoms": atoms, "cutoff": cutoff, "lmax": lmax}
        costs = {"predict_cpu_s": seconds, "train_cpu_s": 3 * seconds, "predict_bytes": 1e6 * atoms, "train_bytes": 0.0}
        rows.append({**row, "threads": 1, "pairs": 10 * atoms, "parameters": 5000, **costs})
    return pd.DataFrame(rows)


def test_exponents_and_extrapolation(known):
    for axis, exponent in (("atoms", 1.0), ("cutoff", 3.0), ("lmax", 3.0)):
        (fit,) = fits(known, axis, "predict_cpu_s")
        assert fit.law.exponent == pytest.approx(exponent)
    (fit,) = fits(known, "atoms", "predict_cpu_s")
    largest = known[known["atoms"] == 32]["predict_cpu_s"].iloc[0]
    assert fit.at(1e6)[0] == pytest.approx(largest * 1e6 / 32)
    assert fits(known, "atoms", "train_bytes") == []


def test_whole_training_on_qh9(known):
    training = qh9_trainings(known.assign(model="lem@qh9"))[0]
    assert training.structures == 300_000 * 32
    expected = 3e-5 * QH9_ATOMS * 6.0**3 * 5**3
    assert training.seconds == pytest.approx(expected)
    assert training.hours == pytest.approx(training.structures * expected / 3600)


def test_the_page_holds_every_number_and_its_basis(known, tmp_path):
    known.to_csv(tmp_path / "measurements.csv", index=False)
    write_machine(tmp_path, 1)
    page, picture = write_scaling(tmp_path, tmp_path / "scaling.md")
    text = page.read_text()
    assert picture.is_file()
    assert f"({picture.relative_to(tmp_path)})" in text
    assert "| slem@quickstart | atoms | 1 \\[1, 1\\]" in text
    hours = known["predict_cpu_s"].iloc[2] * 1e6 / 32 / 3600
    assert f"| slem@quickstart | 32 | {known['predict_cpu_s'].iloc[2]:.3g} | {hours:.4g} |" in text
    assert "| slem@quickstart | cutoff | 3 | 3 |" in text  # two points have no interval
    known.to_csv(tmp_path / "measurements.csv", columns=["model"], index=False)
    with pytest.raises(DataError, match="column 'dataset' is missing"):
        read_measurements(tmp_path / "measurements.csv")


def test_one_size_says_nothing_about_others(known, tmp_path):
    known[:1].to_csv(tmp_path / "measurements.csv", index=False)
    write_machine(tmp_path, 1)
    (page,) = write_scaling(tmp_path, tmp_path / "scaling.md")
    text = page.read_text()
    assert "A million atoms" not in text
    assert "exponents b" not in text
    assert "nothing follows about other sizes" in text


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"copies": (1, 0)}, "copies 0: give positive integers"),
        ({"copies": (-1,)}, "copies -1: give positive integers"),
        ({"factors": (1, 0)}, r"factor 0 on the cutoffs: give factors in \(0, 1\]"),
        ({"factors": (1.5,)}, "factor 1.5 on the cutoffs"),
        ({"factors": (float("nan"),)}, "factor nan on the cutoffs"),
    ],
)
def test_sizes_that_mean_nothing_are_refused(crystals, sizes, message):
    with pytest.raises(ConfigError, match=message):
        cases(crystals, [ModelSpec("slem")], **sizes)
    if "factors" in sizes:
        with pytest.raises(ConfigError, match=message):
            locality(crystals, Options((ModelSpec("slem"),)), sizes["factors"])


def test_cases_cover_the_series(crystals):
    found = cases(crystals, [ModelSpec("slem"), ModelSpec("unknown")], copies=(1, 4), factors=(1, 0.5), lmaxs=(2,))
    sizes = [(c.size.model, c.size.axis, c.size.atoms, c.size.cutoff, c.size.lmax) for c in found]
    assert sizes == [
        ("slem", "atoms", 2, 4.0, 4), ("slem", "atoms", 8, 4.0, 4), ("slem", "cutoff", 2, 2.0, 4),
        ("slem", "lmax", 2, 2.0, 2), ("unknown", "atoms", 2, 4.0, 4), ("unknown", "atoms", 8, 4.0, 4),
        ("unknown", "cutoff", 2, 2.0, 4),
    ]  # fmt: skip
    assert np.allclose(found[1].structure.cell[2], found[0].structure.cell[2])  # not along the vacuum
    assert lmax_changes("unknown", 2) is None
    with pytest.raises(ConfigError, match="lmax 3: choose among 2, 4, 6"):
        cases(crystals, [ModelSpec("slem")], lmaxs=(3,))


def test_molecules_of_one_size_are_measured_once(molecules):
    (one,) = {c.size.atoms for c in cases(molecules, [ModelSpec("slem")], lmaxs=())}
    assert one == 3


def test_a_series_goes_on_where_it_was(crystals, toy_model, tmp_path, logged):
    """Measured in processes of their own; more work costs more time."""
    spec = ModelSpec(toy_model)

    def lines():
        return sum("training step" in message for message in logged.messages)

    table = measure_all(crystals, [spec], tmp_path, copies=(1,), factors=(1,), lmaxs=())
    assert (len(table), lines()) == (1, 1)
    table = measure_all(crystals, [spec], tmp_path, copies=(1, 36), factors=(1,), lmaxs=())
    assert (len(table), lines()) == (2, 2)
    assert list(table["atoms"]) == [2, 72]
    assert (table["predict_cpu_s"] > 0).all()
    assert table["predict_cpu_s"][1] > table["predict_cpu_s"][0]
    assert read_measurements(tmp_path / "measurements.csv")["model"].tolist() == [toy_model, toy_model]


@pytest.mark.parametrize("model", ["slem@quickstart", "deeph-e3@quickstart"])
def test_lmax_is_that_of_the_blocks(crystals, model):
    case = cases(crystals, [ModelSpec.parse(model)], copies=(1,), factors=(0.5,), lmaxs=(2,))[-1]
    assert case.size.lmax == 2
    found = measure(case)
    assert found["parameters"] > 0
    assert found["train_cpu_s"] > 0
    assert found["pairs"] > 2
