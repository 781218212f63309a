"""The published table: every row kept, spreads apart, malformed files refused with file and line."""

import csv
import shutil

import numpy as np
import pytest

from slembench.core.assets import asset_path
from slembench.core.errors import DataError
from slembench.results.published import COLUMNS, load_published, related_sets

HEADER = ",".join(COLUMNS)
GOOD = "QHNet,,QH9,stable-id,SCF,optimal ratio,0.057,0.004,0.057+-0.004,ratio,primary,arXiv 2306.09549,Table 6,"


@pytest.fixture
def write(tmp_path):
    def write_file(*lines, header=HEADER):
        (tmp_path / "x.csv").write_text("\n".join([header, *lines]) + "\n")
        return tmp_path

    return write_file


def test_every_published_row_is_there():
    rows = load_published()
    assert len(rows) == 407
    assert rows["spread"].notna().sum() == 36
    assert (rows["raw"] != "").sum() == 37
    assert list(rows[rows["value"].isna()]["raw"]) == ["3.3-4"]
    assert set(rows["evidence"]) == {"primary", "secondary", "poster"}


def test_known_numbers():
    rows = load_published()
    qhnet = rows[
        (rows.system == "QHNet") & (rows.dataset == "QH9") & (rows.split == "stable-id") & (rows.target == "H")
    ]
    primary = qhnet[qhnet.source_locator == "Table 2"]
    assert dict(zip(primary.metric, primary.value)) == {"MAE diag": 111.21, "MAE offdiag": 73.68, "MAE all": 76.31}
    slem = rows[(rows.system == "SLEM") & (rows.dataset == "MoS2") & (rows.split == "as in paper")]
    assert (slem.value == 0.34).any()
    assert set(slem.unit) == {"meV"}


def test_values_equal_a_plain_csv_reading():
    rows = load_published()
    read = []
    for file in sorted(asset_path("results", "published").glob("*.csv")):
        with file.open(newline="") as stream:
            read += list(csv.DictReader(stream))
    expected = [float(row["value"]) if row["value"] else np.nan for row in read]
    np.testing.assert_array_equal(rows["value"].to_numpy(), expected)
    for row in read:
        if "+-" in row["raw"]:
            assert row["raw"] == f"{row['value']}+-{row['spread']}"


def test_related_sets():
    (related,) = related_sets("mos2-mini")
    assert related.set == "MoS2"
    assert not related.comparable
    assert related.set in set(load_published()["dataset"])
    assert related_sets("no-such-set") == []


def test_a_good_file(write):
    rows = load_published(write(GOOD))
    assert rows.loc[0, "value"] == 0.057
    assert rows.loc[0, "spread"] == 0.004


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("QHNet", ""), "x.csv:2: column 'system' is empty"),
        (GOOD.replace("primary", "hearsay"), "'hearsay' is not one of"),
        (GOOD.replace("0.057,0.004,0.057+-0.004", "0.057+-0.004,,"), "'0.057\\+-0.004' is no plain number"),
        (GOOD.replace("0.057,0.004,0.057+-0.004", "0.06,0.004,0.057+-0.004"), "contradicts value '0.06'"),
        (GOOD.replace("0.057+-0.004", ""), "'raw' must hold the text"),
        (GOOD.replace("0.057,0.004,0.057+-0.004", ",,"), "neither 'value' nor 'raw'"),
        ("QHNet,only two", "x.csv:2: 2 columns instead of 14"),
        (GOOD + ",one too many", "x.csv:2: 15 columns instead of 14"),
        (GOOD.replace("QHNet", '"QH"Net'), "not readable as CSV"),
    ],
)
def test_malformed_rows_are_refused(write, line, message):
    with pytest.raises(DataError, match=message):
        load_published(write(line))


def test_doubled_row_other_header_and_no_file(write, tmp_path):
    with pytest.raises(DataError, match="stands there twice"):
        load_published(write(GOOD, GOOD))
    with pytest.raises(DataError, match="columns must be"):
        load_published(write(GOOD, header="a,b,c"))
    (tmp_path / "x.csv").unlink()
    with pytest.raises(DataError, match="no CSV files"):
        load_published(tmp_path)


def test_malformed_related_file(tmp_path):
    shutil.copy(asset_path("results", "published", "related.yaml"), tmp_path)
    with (tmp_path / "related.yaml").open("a") as stream:
        stream.write("other:\n  - set: QH9\n    comparable: true\n    note: same\n    colour: red\n")
    with pytest.raises(DataError, match="other.0.colour"):
        related_sets("other", tmp_path)
    with pytest.raises(DataError, match="not readable"):
        related_sets("other", tmp_path / "nowhere")
