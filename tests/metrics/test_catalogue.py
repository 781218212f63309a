"""The catalogue: every entry points to real code, every score has an entry, unknown keys are refused."""

from importlib import import_module

import pytest

from slembench.core.errors import ConfigError
from slembench.metrics.catalogue import CATALOGUE, catalogue, groups, heading, metrics_of, read_catalogue
from slembench.metrics.scores import score_names


@pytest.mark.parametrize("name", catalogue())
def test_entries_point_to_documented_functions(name):
    module, function = catalogue()[name].function.rsplit(".", 1)
    assert getattr(import_module(module), function).__doc__


def test_units_follow_the_operator():
    assert catalogue()["mae_all"].unit_of("hamiltonian", "eV") == "eV"
    assert catalogue()["mae_all"].unit_of("overlap", "eV") == "1"
    assert catalogue()["band_mae_occ"].unit_of("hamiltonian", "Hartree") == "Hartree"
    assert catalogue()["s_min_eig"].unit_of("overlap", "Hartree") == "1"


def test_every_score_has_a_heading_and_one_group_and_nothing_else_has_one():
    shown = [metric for group in groups() for metric in metrics_of(group)]
    assert len(shown) == len(set(shown))
    assert set(shown) == {name for name, metric in catalogue().items() if score_names(metric, metric.operators[0])}
    assert all(catalogue()[name].heading == heading(name) for name in shown)
    assert len({heading(name) for name in shown}) == len(shown)


def test_kind_and_parts_follow_the_name():
    for name, metric in catalogue().items():
        if metric.form == "elements":
            assert metric.kind == name.split("_")[0]
            expected = {"diag": ("onsite",), "off": ("offsite",)}.get(name.split("_")[1], ("onsite", "offsite"))
            assert metric.parts == expected
            assert (metric.gauge, metric.challenging) == (name == "mae_gauge", name == "mae_challenging_samples")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("  direction: lower", "  direction: down", "metrics.mae_all.direction"),
        ("  direction: lower", "  direction: lower\n    colour: red", "metrics.mae_all.colour"),
        ("  form: elements", "  form: elements\n    over: mean", "metrics.mae_all"),
        ("  needs: []", "  needs: [T]", "metrics.mae_all.needs.0"),
        ("    kind: mae\n", "", "metrics.mae_all"),
        ("    group: main\n", "", "metrics.mae_all"),
        ("    group: main\n", "    group: other\n", None),
        ("  main:\n", "  first:\n", None),
    ],
)
def test_wrong_entries_are_named(tmp_path, old, new, key):
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE.read_text().replace(old, new, 1))
    with pytest.raises(
        ConfigError,
        match=f"catalogue.yaml: key '{key}'" if key else "catalogue.yaml: metric .* not listed under 'groups'",
    ):
        read_catalogue(path)


def test_not_yaml(tmp_path):
    path = tmp_path / "catalogue.yaml"
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        read_catalogue(path)
