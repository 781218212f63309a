"""Pictures made of records, tables and logs alone."""

import pytest

from slembench.core.errors import DataError
from slembench.figures.picture import Picture
from slembench.reports.run_folder import read_run
from slembench.reports.run_pictures import cost, learning, stored_pictures
from slembench.results.record import read_record, write_record


def test_pictures_of_the_tables(crystal_run):
    run = read_run(crystal_run)
    pictures = {p.name: p for p in stored_pictures(run, run.splits[0], "eV")}
    assert list(pictures) == [
        "blocks-hamiltonian", "structures-hamiltonian", "blocks-overlap", "structures-overlap", "distances",
    ]  # fmt: skip
    labels = [text.get_text() for text in pictures["distances"].draw().legends[0].get_texts()]
    assert labels == ["noisy", "floor zero"]
    assert pictures["structures-overlap"].draw().axes[0].get_ylabel() == "MAE of S"
    assert learning(run, "eV").draw().axes[0].lines[0].get_xydata().tolist() == [[1, 1.0]]


def test_cost_counts_each_run_on_the_same_data_once(crystal_run, molecule_run, tmp_path):
    record = read_record(crystal_run / "test")
    write_record(record.model_copy(update={"name": "other"}), tmp_path / "same-data")
    stranger = read_record(molecule_run / "test").model_copy(update={"name": "other-data"})
    write_record(stranger, tmp_path / "other-data")
    result = read_run(crystal_run).splits[0]
    picture = cost(result, [crystal_run, molecule_run, tmp_path], "eV")
    assert "of 2 runs" in picture.caption
    labels = [text.get_text() for text in picture.draw().legends[0].get_texts()]
    assert labels == ["noisy-run", "other"]
    with pytest.raises(DataError, match="no such folder"):
        cost(result, [tmp_path / "nowhere"], "eV")


def test_a_picture_is_drawn_or_says_what_is_missing():
    with pytest.raises(ValueError, match="either drawn or says"):
        Picture("a", "A", "", None, "")
