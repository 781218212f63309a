"""Samples of the shipped sets through every format that is written, and back: equal to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from slembench.cli import app
from slembench.data import load_dataset
from slembench.data.catalogue import list_datasets, load_card
from slembench.data.formats import read_samples, write_samples
from slembench.operators.units import HARTREE_EV

CHAIN = ("deeph-new", "deeph-legacy", "deeptb")
CRYSTALS = [name for name in list_datasets() if load_card(name).periodic]
MOLECULES = ["qh9-mini", "md17-mini"]


def first(name):
    data = load_dataset(name)
    return data.sample(data.ids[0])


def assert_equal(back, sample, factor=1.0, ulp=0):
    """The same structure in the same order of atoms, and the same blocks; H times a factor."""
    np.testing.assert_array_equal(back.atoms.numbers, sample.atoms.numbers)
    np.testing.assert_array_equal(back.atoms.positions, sample.atoms.positions)
    np.testing.assert_array_equal(back.atoms.cell.array, sample.atoms.cell.array)
    np.testing.assert_array_equal(back.atoms.pbc, sample.atoms.pbc)
    elements = sample.atoms.numbers
    assert back.basis.restrict(elements).shells == sample.basis.restrict(elements).shells
    for name, operator in sample.operators.items():
        wanted, found = operator.complete(), back.operators[name].complete()
        aligned, missing, extra = found.align(wanted.pair_index, wanted.pair_shift)
        assert len(missing) == len(extra) == 0
        scale = factor if name == "hamiltonian" else 1.0
        np.testing.assert_array_max_ulp(aligned.values, wanted.values * scale, ulp if name == "hamiltonian" else 0)


def through(sample, formats, folder):
    """What comes back from a chain of formats."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(formats):
        write_samples([sample], folder / f"{number}", name)
        (sample,) = read_samples(folder / f"{number}", name)
    return sample


def test_sets_with_and_without_density_and_f_shells_are_among_them():
    assert {"mos2-mini", "si-mini", "hfo2-mini", "gan-mini"} <= set(CRYSTALS)
    assert load_dataset("hfo2-mini").basis.lmax == 3
    assert "density" in load_card("hfo2-mini").operators
    assert load_dataset("mos2-mini").sample("mos2-2x2-0000").atoms.pbc.tolist() == [True, True, False]
    symbols = first("gan-mini").atoms.get_chemical_symbols()
    assert symbols[:4] == ["Ga", "N", "Ga", "N"]  # the new DeepH layout wants them grouped by element


@pytest.mark.parametrize("name", CRYSTALS)
def test_crystals_to_the_bit(name, tmp_path):
    sample = first(name)
    back = through(sample, CHAIN, tmp_path)
    assert set(back.operators) == set(load_card(name).operators)
    assert back.info.energy_unit == sample.info.energy_unit == "eV"
    assert_equal(back, sample)


@pytest.mark.parametrize("name", MOLECULES)
def test_molecules_in_ev_within_two_ulp(name, tmp_path):
    sample = first(name)
    back = through(sample, CHAIN, tmp_path)
    assert back.info.energy_unit == "eV"
    assert set(back.operators) == {"hamiltonian", "overlap", "density"}
    assert_equal(back, sample, HARTREE_EV, ulp=2)


@pytest.mark.parametrize("name", MOLECULES)
def test_molecules_through_qh9(name, tmp_path):
    whole = replace(first(name), id="7")
    sample = replace(whole, operators={"hamiltonian": whole.operators["hamiltonian"]})
    assert_equal(through(whole, ["qh9"], tmp_path / "at once"), sample)
    back = through(sample, [*CHAIN, "qh9"], tmp_path)
    assert back.info.energy_unit == "Hartree"
    assert_equal(back, sample, ulp=2)


def test_shells_beyond_f_through_the_formats_that_hold_them(tmp_path):
    sample = first("water-qz-mini")
    assert_equal(through(sample, ["deeph-new", "deeptb"], tmp_path), sample, HARTREE_EV, ulp=2)


def test_on_the_command_line(tmp_path):
    sample = first("mos2-mini")
    write_samples([sample], tmp_path / "0.parquet", "parquet")
    source = tmp_path / "0.parquet"
    for number, target in enumerate((*CHAIN, "parquet"), 1):
        out = tmp_path / f"{number}.{target}"
        result = CliRunner().invoke(app, ["data", "convert", str(source), "--to", target, "--out", str(out)])
        assert result.exit_code == 0, result.output
        assert "1 structures written" in result.output
        source = out
    (back,) = read_samples(source)
    assert back.id == sample.id
    assert_equal(back, sample)
