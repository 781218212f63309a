"""Which structures and which noise the pictures of a data set show."""

from dataclasses import replace

import pytest

from slembench.core.errors import DataError
from slembench.reports.dataset_page import dataset_page
from slembench.reports.dataset_pictures import dataset_pictures, example_split, filled_spectrum


def test_crystals(crystals):
    pictures = {picture.name: picture for picture in dataset_pictures(crystals)}
    assert list(pictures) == ["structure", "sparsity", "decay", "spectrum"]
    assert "4 structures of the split test" in pictures["spectrum"].caption
    assert "3x3x1 k mesh" in pictures["spectrum"].caption
    assert len(pictures["decay"].draw().axes) == 2
    assert "per eV and atom" in pictures["spectrum"].draw().axes[0].get_ylabel()


def test_molecules(molecules):
    pictures = {picture.name: picture for picture in dataset_pictures(molecules)}
    assert pictures["spectrum"].title == "Orbital energies"
    labels = [tick.get_text() for tick in pictures["spectrum"].draw().axes[0].get_xticklabels()]
    assert labels == molecules.split("test")
    assert len(pictures["decay"].draw().axes) == 3


def test_a_set_without_overlap_says_so(molecules):
    pictures = dataset_pictures(molecules)
    card = molecules.card.model_copy(update={"operators": ("hamiltonian",)})
    page = dataset_page(card, pictures)
    assert "![A structure](made-up-molecules/structure.png)" in page
    assert 'load_dataset("made-up-molecules")' in page


@pytest.mark.parametrize(("splits", "chosen"), [(["train", "test"], "test"), (["train", "val"], "train")])
def test_split_of_the_examples(splits, chosen):
    assert example_split(splits) == chosen


def test_levels_without_a_number_of_electrons(crystals):
    sample = crystals.sample(crystals.ids[0])
    sample = replace(sample, info=replace(sample.info, electrons=None))
    with pytest.raises(DataError, match="no number of electrons"):
        filled_spectrum(crystals.card, sample, sample.operators["hamiltonian"])
