"""Division by size, on the made-up crystals: sizes, the reference to the source's data, refusals."""

import pytest
import yaml

import slembench.data.recipes.resplit as resplitting
from slembench.core.errors import DataError
from slembench.data.recipes.assemble import list_named
from slembench.data.recipes.resplit import RULES, by_size, read_resplit, resplit

SIZES = {"train": (1, 4), "val": (5, 5), "test": (6, 9)}


def test_division_by_size():
    atoms = {"d": 9, "a": 1, "b": 4, "c": 5, "e": 6}
    assert by_size(atoms, SIZES) == {"train": ["a", "b"], "val": ["c"], "test": ["d", "e"]}


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        ({"a": 1, "b": 5, "c": 6, "d": 10}, "structure 'd': 10 atoms belong to no split"),
        ({"a": 1, "b": 5}, "split 'test': no structure of 6 to 9 atoms"),
    ],
)
def test_sizes_that_do_not_fit(atoms, message):
    with pytest.raises(DataError, match=message):
        by_size(atoms, SIZES)


def test_overlapping_sizes():
    with pytest.raises(DataError, match="4 atoms belong to train and test"):
        by_size({"a": 4}, {"train": (1, 4), "test": (4, 8)})


@pytest.fixture
def rule(crystals, tmp_path, monkeypatch):
    """A rule for the made-up crystals."""
    sizes = sorted({len(sample.atoms) for sample in crystals.iterate()})
    content = {"source": crystals.name, "sizes": {"train": [1, sizes[-1]]}, "card": {"title": "again"}}
    monkeypatch.setattr(resplitting, "RULES", tmp_path / "rules")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/again.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "rules/again.yaml"


def test_new_set_reads_the_data_of_its_source(crystals, rule, tmp_path):
    again = resplit("again", crystals.root, tmp_path / "cache")
    assert again.root == crystals.root.resolve().parent / "again"
    assert sorted(again.split("train")) == sorted(crystals.ids)
    assert not list(again.root.rglob("*.parquet"))
    assert (again.name, again.card.title) == ("again", "again")
    assert len(again.fingerprint) == 64
    identifier = crystals.ids[0]
    ours, theirs = (data.sample(identifier).operators["hamiltonian"].values for data in (again, crystals))
    assert (ours == theirs).all()


def test_another_source_is_refused(crystals, rule, tmp_path):
    rule.write_text(rule.read_text().replace(crystals.name, "other"))
    with pytest.raises(DataError, match="key 'name'"):
        resplit("again", crystals.root, tmp_path / "cache")


def test_unknown_rules_and_keys(rule):
    with pytest.raises(DataError, match="no rule for data set 'x'; there are rules for: again"):
        read_resplit("x")
    rule.write_text(rule.read_text() + "colour: red\n")
    with pytest.raises(DataError, match=r"again.yaml: key 'colour'"):
        read_resplit("again")


def test_shipped_rule():
    assert list_named(RULES) == ["qh9-mini-ood"]
    sizes = read_resplit("qh9-mini-ood").sizes
    assert sizes["train"][1] < sizes["val"][0] <= sizes["val"][1] < sizes["test"][0]
