"""The catalogue: every entry points to real code, every score has an entry, unknown keys are refused."""

from importlib import import_module

import pytest

from slembench.core.errors import ConfigError
from slembench.metrics.catalogue import CATALOGUE, catalogue, find_metric, read_catalogue


@pytest.mark.parametrize("name", catalogue())
def test_entries_point_to_documented_functions(name):
    module, function = catalogue()[name].function.split(":")
    assert getattr(import_module(module), function).__doc__


def test_units_follow_the_operator():
    assert catalogue()["mae_all"].unit_of("hamiltonian", "eV") == "eV"
    assert catalogue()["mae_all"].unit_of("overlap", "eV") == "1"
    assert catalogue()["band_mae_occ"].unit_of("hamiltonian", "Hartree") == "Hartree"
    assert catalogue()["s_min_eig"].unit_of("overlap", "Hartree") == "1"


def test_score_names():
    assert catalogue()["mae_off"].score_names("mae_off", "density") == [
        "density.mae_off.full.per_structure",
        "density.mae_off.full.pooled",
        "density.mae_off.reduced.per_structure",
        "density.mae_off.reduced.pooled",
    ]
    assert catalogue()["gap_mae"].score_names("gap_mae", "hamiltonian") == ["hamiltonian.gap_mae"]
    assert catalogue()["mae_block"].score_names("mae_block", "hamiltonian") == []


def test_find_metric():
    assert find_metric("overlap.mae_all.full.pooled") == ("overlap", catalogue()["mae_all"])
    for wrong in ("overlap.mae_all", "hamiltonian.mae.full.pooled", "mae_all", "hamiltonian.mae_all.full.median"):
        with pytest.raises(ConfigError, match="no score"):
            find_metric(wrong)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("  direction: lower", "  direction: down", "mae_all.direction"),
        ("  direction: lower", "  direction: lower\n  colour: red", "mae_all.colour"),
        ("  form: elements", "  form: elements\n  over: mean", "mae_all"),
        ("  needs: []", "  needs: [T]", "mae_all.needs.0"),
    ],
)
def test_wrong_entries_are_named(tmp_path, old, new, key):
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError, match=f"catalogue.yaml: key '{key}'"):
        read_catalogue(path)


def test_not_yaml(tmp_path):
    path = tmp_path / "catalogue.yaml"
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        read_catalogue(path)
