"""Pictures of runs draw the numbers they are given: distances, structures, levels, learning, cost, bands."""

import numpy as np
import pandas as pd
import pytest

from slembench.figures.bands import plot_bands
from slembench.figures.cost import CostPoint, plot_cost
from slembench.figures.distance_errors import plot_distance_errors
from slembench.figures.learning_curves import plot_learning_curves
from slembench.figures.level_parity import plot_level_parity
from slembench.figures.structure_errors import plot_structure_errors


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_distances():
    rows = {"operator": "hamiltonian", "lower": [0.0, 0.5], "upper": [0.5, 1.0]}
    tables = {"slem": pd.DataFrame(rows | {"mae": [1.0, 0.1]}), "floor zero": pd.DataFrame(rows | {"mae": [2.0, 0.0]})}
    figure = plot_distance_errors(tables, "eV")
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[0.25, 1.0], [0.75, 0.1]]
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[0.25, 2.0]]
    assert legend(figure) == ["slem", "floor zero"]
    assert figure.axes[0].get_ylabel() == "MAE of H (eV)"


@pytest.mark.parametrize(("smallest", "scale"), [(0.5, "linear"), (0.01, "log")])
def test_structures_in_order_with_the_worst_named(smallest, scale):
    errors = np.array([smallest, 1.0, 3.0, 2.0, 1.5, 1.2, 0.8])
    ax = plot_structure_errors(list("abcdefg"), errors, "MAE of H", "eV").axes[0]
    assert ax.lines[0].get_ydata().tolist() == sorted(errors, reverse=True)
    assert ax.texts[1].get_text().split("\n") == ["worst", "1  c", "2  d", "3  e", "4  f", "5  b"]
    assert ax.get_yscale() == scale


def test_levels():
    reference, predicted = np.array([-1.0, -0.5, 0.2]), np.array([-1.1, -0.4, 0.2])
    left, right = plot_level_parity(reference, predicted, np.array([True, True, False]), "eV").axes
    assert left.lines[0].get_xydata().tolist() == [[0.2, 0.2]]
    assert left.lines[1].get_xydata().tolist() == [[-1.0, -1.1], [-0.5, -0.4]]
    assert right.lines[1].get_ydata() == pytest.approx([-0.1, 0.1])
    assert right.get_title("left") == "mean |difference| of occupied levels 0.1 eV"


def test_learning_curves():
    rows = [
        {"event": "start", "step": 0},
        {"event": "train", "step": 10, "loss": 0.5},
        {"event": "validation", "step": 20, "loss": 0.4, "mae": {"hamiltonian": 0.3, "overlap": 0.01}},
    ]
    left, right = plot_learning_curves(rows, "eV").axes
    assert [line.get_xydata().tolist() for line in left.lines] == [[[10, 0.5]], [[20, 0.4]]]
    assert [line.get_xydata().tolist() for line in right.lines] == [[[20, 0.3]], [[20, 0.01]]]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["H (eV)", "S"]


def test_cost_of_runs_the_own_one_first():
    points = [
        CostPoint("b", 0.1, {"training time (s)": 10.0, "parameters": 5e5}),
        CostPoint("mine", 0.2, {"training time (s)": 20.0}, marked=True),
    ]
    figure = plot_cost(points, "MAE of H", "eV")
    assert legend(figure) == ["mine", "b"]
    time, inference, parameters = figure.axes
    assert [line.get_xydata().tolist() for line in time.lines] == [[[20.0, 0.2]], [[10.0, 0.1]]]
    assert not inference.lines
    assert parameters.lines[0].get_xydata().tolist() == [[5e5, 0.1]]


def test_bands_are_cut_where_the_path_jumps():
    path = np.array([0.0, 1.0, 1.0, 2.0])
    predicted = np.arange(8.0).reshape(4, 2)
    figure = plot_bands(
        path, [(0.0, "Γ"), (1.0, "M|K"), (2.0, "L")], predicted, predicted + 0.1, unit="eV", zero="the VBM",
        window=(-1, 9), energy=np.arange(3.0), densities=(np.ones(3), np.full(3, 2.0)),
    )  # fmt: skip
    bands, dos = figure.axes
    first_reference = bands.lines[0].get_ydata()
    assert np.array_equal(first_reference, [0.1, 2.1, np.nan, 4.1, 6.1], equal_nan=True)
    assert np.array_equal(bands.lines[2].get_ydata(), [0, 2, np.nan, 4, 6], equal_nan=True)
    assert [tick.get_text() for tick in bands.get_xticklabels()] == ["Γ", "M|K", "L"]
    assert dos.lines[0].get_xdata().tolist() == [2.0] * 3
    assert dos.lines[1].get_xdata().tolist() == [1.0] * 3
    assert legend(figure) == ["reference", "predicted"]


def test_bands_alone():
    figure = plot_bands(
        np.arange(3.0), [(0.0, "Γ")], np.zeros((3, 1)), unit="eV", zero="the Fermi level", window=(-1, 1)
    )
    assert len(figure.axes) == 1
    assert legend(figure) == ["predicted"]
