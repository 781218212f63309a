"""The page of an official set names its files, how to get them, and what is not known."""

from slembench.data.official_card import list_official, load_official
from slembench.figures.picture import Picture
from slembench.reports.dataset_page import ACCESS, official_page


def test_every_fact_of_the_card_is_on_the_page():
    for name in list_official():
        card = load_official(name)
        page = official_page(card)
        file = card.publication.file
        assert file.name in page
        assert ACCESS[file.access] in page
        facts = [card.publication.page, card.licence, card.splits.statement, *card.unconfirmed, *card.notes]
        assert all(fact in page for fact in facts)


def test_pictures_of_what_was_imported():
    card = load_official("qh9-stable-id")
    picture = Picture("structure", "A structure", "caption", None, "not now")
    assert "draws the pictures" in official_page(card)
    assert "draws the pictures" not in official_page(card, [picture])
    assert "## A structure\n\nnot now" in official_page(card, [picture])
