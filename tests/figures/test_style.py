"""Pictures are the same bytes every time, hold nothing that changes with the day, and leave other settings alone."""

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from slembench.figures.style import COLOURS, LINE_STYLES, MARKERS, axis_label, new_figure, save, styled, svg_text


@styled
def picture():
    figure = new_figure(2.0)
    ax = figure.subplots()
    for k, colour in enumerate(COLOURS):
        ax.plot([0, 1, 2], [k, k + 0.5, k], color=colour, marker=MARKERS[k], ls=LINE_STYLES[k], label=f"series {k}")
    ax.legend()
    return figure


def test_the_same_picture_is_the_same_bytes(tmp_path):
    first = save(picture(), tmp_path / "a", source="data 1")
    second = save(picture(), tmp_path / "b", source="data 1")
    assert [path.suffix for path in first] == [".svg", ".png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_users_settings_change_nothing_and_stay_as_they_are(tmp_path):
    plain = svg_text(picture())
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "svg.fonttype": "none"}):
        assert svg_text(picture()) == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_svg_stands_alone_and_has_no_date(tmp_path):
    text = svg_text(picture(), source="mos2-mini 123")
    assert text.startswith("<svg")
    assert "mos2-mini 123" in text
    assert not re.search(r"\d{4}-\d\d-\d\d", text)
    assert "Matplotlib" not in text
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert links
    assert all(link.startswith("#") for link in links)


def test_png_keeps_its_source_and_the_colours_of_the_series(tmp_path):
    (path,) = save(picture(), tmp_path / "a", ("png",), source="mos2-mini 123")
    with Image.open(path) as image:
        assert image.text["Source"] == "mos2-mini 123"
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in COLOURS:
        wanted = 255 * np.array(to_rgb(colour))
        assert np.abs(pixels - wanted).max(axis=1).min() < 12


def test_series_differ_without_colour():
    assert len(set(MARKERS)) == len(set(map(str, LINE_STYLES))) == len(set(COLOURS))


@pytest.mark.parametrize(("unit", "label"), [("eV", "MAE (eV)"), ("1", "MAE"), ("Hartree", "MAE (Hartree)")])
def test_labels_have_units(unit, label):
    assert axis_label("MAE", unit) == label
