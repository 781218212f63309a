import pytest
import yaml

from slembench.core.errors import DataError
from slembench.data.card import parse_card, read_card, write_card


@pytest.fixture
def content(crystals):
    """Mapping of a valid card, to be spoilt."""
    return yaml.safe_load((crystals.root / "card.yaml").read_text())


def test_written_card_reads_back_the_same(crystals, tmp_path):
    write_card(crystals.card, tmp_path)
    assert read_card(tmp_path) == crystals.card


def test_properties_in_the_types_of_the_package(crystals):
    assert crystals.card.orbital_basis.shells == {5: (0, 0, 1), 7: (0, 1, 2)}
    assert crystals.card.cutoff_radii == {5: 3.0, 7: 4.0}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("colour",), "red", "key 'colour': unknown key"),
        (("level_of_theory", "functionall"), "PBE", "key 'level_of_theory.functionall': unknown key"),
        (("units", "energy"), "electronvolt", "key 'units.energy': Input should be 'eV' or 'Hartree'"),
        (("units", "length"), "Bohr", "key 'units.length'"),
        (("licence",), None, "key 'licence'"),
        (("cutoffs", "B"), -1.0, "key 'cutoffs.B'"),
        (("cutoffs",), {"B": 3.0}, "cutoffs is given for B, elements are B, N"),
        (("basis",), {"B": "2s", "Xx": "1s"}, "unknown element 'Xx'"),
        (("basis", "B"), "2q", "must look like"),
        (("operators",), ["hamiltonian", "kinetic"], "key 'operators.1'"),
        (("operators",), ["overlap", "overlap"], "without repetition"),
        (("official", "average"), "mean", "key 'official.average'"),
        (("bands", "kmesh"), [3, 3], "key 'bands.kmesh"),
        (("name",), "With Spaces", "key 'name'"),
        (("rounding",), {"hamiltonian": 0.0}, "key 'rounding.hamiltonian'"),
    ],
)
def test_wrong_key_is_named_with_its_file(content, path, value, message):
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(DataError, match="^some/card.yaml: ") as caught:
        parse_card(content, "some/card.yaml")
    assert message in str(caught.value)


def test_missing_key_is_named(content):
    del content["units"], content["splits"]["seed"]
    with pytest.raises(DataError) as caught:
        parse_card(content, "c")
    assert "c: key 'units': missing" in str(caught.value)
    assert "key 'splits.seed': missing" in str(caught.value)


def test_file_that_is_no_card(tmp_path):
    with pytest.raises(DataError, match=r"card.yaml: no such file"):
        read_card(tmp_path)
    (tmp_path / "card.yaml").write_text("- a\n- list\n")
    with pytest.raises(DataError, match=r"card.yaml: a card must be a mapping"):
        read_card(tmp_path)
    (tmp_path / "card.yaml").write_text("name: [unclosed")
    with pytest.raises(DataError, match=r"card.yaml: not readable as YAML"):
        read_card(tmp_path)


def test_cards_written_before_the_renaming_of_a_key(content):
    assert "noise_floor" not in content
    old = {key: value for key, value in content.items() if key != "numerical_noise"}
    noise = {"measured": "again, shifted", "hamiltonian_rms_eV": 1e-4}
    for key in ("noise_floor", "numerical_noise"):
        assert parse_card(old | {key: noise}, "card.yaml").numerical_noise == noise
    with pytest.raises(DataError, match="card.yaml: key 'numerical_noise': unknown key|key 'noise_floor': unknown key"):
        parse_card(old | {"noise_floor": noise, "numerical_noise": noise}, "card.yaml")
