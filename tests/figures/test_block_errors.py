"""The heat map shows the table, shell by shell."""

import numpy as np
import pandas as pd

from slembench.figures.block_errors import plot_block_errors


def table():
    sides = [("N", "s1"), ("N", "p1"), ("Mo", "s1")]
    rows = []
    for part in ("all", "onsite", "offsite"):
        for i, (element_i, shell_i) in enumerate(sides):
            for j, (element_j, shell_j) in enumerate(sides):
                count = 0 if part == "onsite" and element_i != element_j else 4
                mae = (1 + 3 * i + j) * (10.0 if part == "onsite" else 1.0) if count else np.nan
                rows.append((part, element_i, shell_i, element_j, shell_j, count, mae, "hamiltonian"))
    return pd.DataFrame(
        rows, columns=["part", "element_i", "shell_i", "element_j", "shell_j", "count", "mae", "operator"]
    )


def test_each_cell_is_the_error_of_its_shells():
    figure = plot_block_errors(table(), "hamiltonian", "eV")
    onsite, offsite, bar = figure.axes
    assert np.array_equal(offsite.images[0].get_array(), np.arange(1.0, 10.0).reshape(3, 3))
    expected = 10 * np.arange(1.0, 10.0).reshape(3, 3)
    expected[2, :2] = expected[:2, 2] = np.nan
    assert np.array_equal(onsite.images[0].get_array().filled(np.nan), expected, equal_nan=True)
    assert [label.get_text() for label in offsite.get_xticklabels()] == ["s1", "p1", "s1"]
    assert {text.get_text() for text in offsite.texts} == {"N", "Mo"}
    assert bar.get_ylabel() == "MAE of H (eV)"


def test_no_error_at_all_is_drawn():
    exact = table().assign(mae=0.0)
    assert not plot_block_errors(exact, "hamiltonian", "eV").axes[1].images[0].get_array().filled(0).any()
