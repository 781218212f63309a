"""Block norms against loops over single blocks."""

import numpy as np
import pytest

from slembench.figures.decay import block_norms, plot_decay


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
    figure = plot_decay(table, "eV")
    for ax, operator in zip(figure.axes, ("hamiltonian", "overlap")):
        points = np.concatenate([line.get_xydata() for line in ax.lines if line.get_label() in ("B-B", "B-N", "N-N")])
        rows = table[table["operator"] == operator]
        assert sorted(map(tuple, points)) == sorted(zip(rows["distance"], rows["norm"]))
    assert figure.axes[0].get_ylabel().endswith("H (eV)")


@pytest.mark.parametrize(("noise", "text", "lines"), [(0.1, "noise", 1), (1e-5, "noise 1e-05", 0)])
def test_noise_is_a_line_or_words_where_it_is_far_below(structure, noise, text, lines):
    figure = plot_decay(block_norms([structure]), "eV", {"hamiltonian": noise})
    assert [label.get_text() for label in figure.axes[0].texts] == [text]
    assert sum(line.get_linestyle() == "--" for line in figure.axes[0].lines) == lines
    assert not figure.axes[1].texts
