"""Block norms against loops over single blocks."""

import numpy as np
import pytest

from slembench.figures.decay import block_norms, decay_picture


def test_norms_distances_and_labels(structure):
    atoms, operators = structure
    table = block_norms([structure])
    assert len(table) == 2 * operators["overlap"].n_pairs
    for operator, rows in table.groupby("operator"):
        matrix = operators[operator]
        for pair, row in enumerate(rows.itertuples()):
            i, j = matrix.pair_index[pair]
            vector = atoms.positions[j] + matrix.pair_shift[pair] @ atoms.cell.array - atoms.positions[i]
            block = matrix.gather(np.array([pair]))[0]
            assert row.norm == pytest.approx(np.sqrt((block**2).mean()))
            assert row.distance == pytest.approx(np.linalg.norm(vector))
            assert row.elements == "-".join(sorted(atoms.symbols[[i, j]]))


def test_every_block_is_a_point_of_its_panel(structure):
    table = block_norms([structure])
    figure = decay_picture(table, "eV", {"hamiltonian": 1e-3})
    for ax, operator in zip(figure.axes, ("hamiltonian", "overlap")):
        points = np.concatenate([line.get_xydata() for line in ax.lines if line.get_label() in ("B-B", "B-N", "N-N")])
        rows = table[table["operator"] == operator]
        assert sorted(map(tuple, points)) == sorted(zip(rows["distance"], rows["norm"]))
    assert figure.axes[0].get_ylabel().endswith("H (eV)")
    assert [text.get_text() for text in figure.axes[0].texts] == ["noise"]
    assert not figure.axes[1].texts
