"""Pictures made of predictions show the noise that was put into them, in the unit of the data set."""

import shutil

import numpy as np
import pytest

from slembench.reports.prediction_pictures import prediction_pictures
from slembench.reports.run_folder import read_run
from slembench.reports.run_pictures import worst_structure

pytestmark = pytest.mark.usefixtures("found")


@pytest.fixture(scope="module")
def pictures(crystal_run, found):
    return {picture.name: picture for picture in prediction_pictures(read_run(crystal_run).splits[0])}


def test_what_there_is(pictures, molecule_run):
    matrices = [f"{kind}-{op}" for op in ("hamiltonian", "overlap") for kind in ("elements", "map")]
    assert list(pictures) == [*matrices, "levels", "dos", "bands"]
    molecules = prediction_pictures(read_run(molecule_run).splits[0])
    assert [picture.name for picture in molecules] == [*matrices, "levels"]
    assert not any(picture.missing for picture in [*pictures.values(), *molecules])


def test_the_median_error_is_that_of_the_noise(pictures, noise):
    median = pictures["elements-hamiltonian"].draw().axes[1].lines[0].get_ydata()
    assert np.median(median) == pytest.approx(0.6745 * noise, rel=0.5)


def test_the_map_is_of_the_worst_structure(pictures, crystal_run, noise):
    worst = worst_structure(read_run(crystal_run).splits[0], "hamiltonian")
    errors = read_run(crystal_run).splits[0].per_structure.set_index("id")
    sums = sum(errors[f"hamiltonian.{part}.full.abs_sum"] for part in ("onsite", "offsite"))
    counts = sum(errors[f"hamiltonian.{part}.full.count"] for part in ("onsite", "offsite"))
    assert worst == (sums / counts).idxmax()
    figure = pictures["map-hamiltonian"].draw()
    assert figure.axes[0].get_title("left").startswith(worst)
    assert 2 * noise < figure.axes[0].images[0].get_array().max() < 8 * noise


def test_levels_of_predictions_stand_over_reference_ones(pictures, molecule_run, noise):
    for picture in (pictures["levels"], prediction_pictures(read_run(molecule_run).splits[0])[-1]):
        left = picture.draw().axes[0]
        points = np.concatenate([line.get_xydata() for line in left.lines[:2]])
        error = np.abs(points[:, 1] - points[:, 0])
        assert 1e-5 < np.median(error) < 5 * noise


def test_bands_and_densities_of_states(pictures):
    bands = pictures["bands"].draw().axes[0]
    labels = [tick.get_text() for tick in bands.get_xticklabels()]
    assert labels[0] == labels[-1] == "Γ"
    dos = pictures["dos"].draw().axes[0]
    reference, predicted = (line.get_ydata() for line in dos.lines[:2])
    assert reference.max() > 0
    assert predicted.max() > 0


def test_without_predictions_every_picture_says_so(crystal_run, tmp_path):
    shutil.copytree(crystal_run, tmp_path / "run")
    (tmp_path / "run" / "test" / "predictions.h5").unlink()
    pictures = prediction_pictures(read_run(tmp_path / "run").splits[0])
    assert [picture.name for picture in pictures][-1] == "levels"
    assert all("no predictions.h5" in picture.missing for picture in pictures)


def test_without_the_data_set(crystal_run, monkeypatch):
    monkeypatch.setenv("SLEMBENCH_DATA", "")
    pictures = prediction_pictures(read_run(crystal_run).splits[0])
    assert pictures
    assert all("no data set" in picture.missing for picture in pictures)
