"""An overlap that is none is refused whatever the format, and so is a Parquet file that contradicts itself."""

from dataclasses import replace

import numpy as np
import pytest

from slembench.core.errors import DataError
from slembench.data.formats import read_samples, write_samples
from slembench.data.formats.deeptb.blocks import parse_basis
from slembench.data.formats.evidence import check_physical
from slembench.data.store import Header
from slembench.data.store import write_samples as write_store


def with_operator(sample, name, change):
    operator = sample.operators[name]
    values = operator.values.copy()
    change(operator, values)
    return replace(sample, operators={**sample.operators, name: operator.with_values(values)})


@pytest.mark.parametrize("name", ["deeph-new", "deeph-legacy", "deeptb", "parquet"])
def test_overlap_with_a_negative_eigenvalue(crystals, tmp_path, name):
    sample = crystals.sample("s00")
    assert check_physical(sample, "x") is sample
    bad = with_operator(sample, "overlap", lambda operator, values: values.__imul__(-1.0))
    write_samples([bad], tmp_path / "out", name) if name != "parquet" else write_samples(
        [bad], tmp_path / "out.parquet", name
    )
    path = tmp_path / ("out.parquet" if name == "parquet" else "out")
    with pytest.raises(DataError, match=r"structure 's00': key 'overlap': S\(k\) has the eigenvalue -"):
        list(read_samples(path, name))


def test_parquet_whose_own_block_is_not_symmetric(crystals, tmp_path):
    def change(operator, values):
        values[operator.offsets[np.flatnonzero(operator.onsite)[0]] + 1] += 1.0

    sample = with_operator(crystals.sample("s00"), "hamiltonian", change)
    header = Header(sample.basis.to_dict(), "eV", "vacuum", ("hamiltonian", "overlap"))
    write_store(tmp_path / "a.parquet", [sample], header)
    with pytest.raises(DataError, match=r"a.parquet: structure 's00': key 'hamiltonian': not Hermitian"):
        list(read_samples(tmp_path / "a.parquet"))


def test_damaged_page_of_a_parquet_file(crystals, tmp_path):
    """A changed byte inside a page is told by the page's checksum, even where it still unpacks."""
    write_samples([crystals.sample(name) for name in crystals.ids], tmp_path / "a.parquet", "parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    for place in range(100, len(content) - 8000, 997):
        broken = bytearray(content)
        broken[place] ^= 4
        (tmp_path / "a.parquet").write_bytes(broken)
        with pytest.raises(DataError, match="a.parquet"):
            list(read_samples(tmp_path / "a.parquet"))


def test_an_absurd_number_of_shells_is_refused_at_once():
    with pytest.raises(DataError, match="more than 99 of one l"):
        parse_basis("{'Si': '999999999999s1p'}", np.array([14]), "basis.dat")
