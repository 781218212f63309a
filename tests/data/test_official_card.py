import pytest
import yaml

from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.data import list_datasets, load_dataset
from slembench.data.formats import FORMATS
from slembench.data.official_card import FIRST_LINE, is_official, list_official, load_official, parse_official

QH9 = [f"qh9-dynamic-{size}-{split}" for size in ("100k", "300k") for split in ("geo", "mol")]
NAMES = [
    *(f"deeph-{name}" for name in ("bi2se3", "bi2te3", "bilayer-bismuthene", "bilayer-graphene", "graphene", "mos2")),
    *("gan", "hfo2"),
    *(f"md17-{name}" for name in ("ethanol", "malonaldehyde", "uracil", "water")),
    *(*QH9, "qh9-stable-id", "qh9-stable-ood", "si-300k"),
]


@pytest.fixture
def content():
    """Mapping of a valid card, to be spoilt."""
    return yaml.safe_load(asset_path("datasets", "qh9-stable-id", "card.yaml").read_text())


def test_names():
    assert list_official() == NAMES
    assert not set(NAMES) & set(list_datasets())


@pytest.mark.parametrize("name", NAMES)
def test_card(name):
    card = load_official(name)
    assert card.publication.format in FORMATS
    assert set(card.operators) | set(card.optional_operators) <= set(FORMATS[card.publication.format].operators) | {
        "overlap"
    }
    assert is_official(asset_path("datasets", name))
    file = card.publication.file
    assert (file.address is None) == (file.access == "unknown")
    if file.checksum is None:
        assert any("checksum" in text.lower() or "address" in text for text in card.unconfirmed)
    if not card.splits.published:
        assert any(word in card.splits.statement for word in ("not recorded", "could be confirmed"))


def test_first_line_is_what_tells_the_kind(tmp_path):
    (tmp_path / "card.yaml").write_text(f"{FIRST_LINE}\nname: x\n")
    assert is_official(tmp_path)
    (tmp_path / "card.yaml").write_text(f"name: x\n{FIRST_LINE}\n")
    assert not is_official(tmp_path)
    assert not is_official(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("colour",), "red", "key 'colour'"),
        (("publication", "file", "access"), "perhaps", "publication.file.access"),
        (("publication", "file", "checksum"), "md5:abc", "publication.file.checksum"),
        (("publication", "file", "name"), "../x", "publication.file.name"),
        (("splits", "rule"), "guess", "key 'splits'"),
        (("basis", "Si"), "1s", "basis is given for"),
        (("convention",), "mine", "convention 'mine' is none of"),
        (("redistribution",), True, "key 'redistribution'"),
    ],
)
def test_spoilt_cards_are_refused(content, path, value, message):
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(DataError, match=message):
        parse_official(content, "card.yaml")


def test_opening_one_says_how_to_get_it():
    for place in ("md17-water", asset_path("datasets", "md17-water")):
        with pytest.raises(DataError, match="run `slembench data get md17-water` "):
            load_dataset(place)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(DataError, match="no official data set 'qh10'; there are: deeph-bi2se3, .*si-300k"):
        load_official("qh10")
