"""Densities of states: the distance of two of them, and predicted states where there are none."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from slembench.operators.orbitals import FloatArray

BROADENING_EV = 0.1
"""Standard deviation of the Gaussian that broadens every level (eV)."""

GHOST_SHIFT_EV = 0.5
"""How much lower a predicted level may lie before it counts as surplus (eV)."""

_STEPS_PER_WIDTH = 10  # trapezoids of the integral over energies within one standard deviation
_TAIL = 6.0  # widths beyond which a level counts as 0 or 1: 1 - Phi(6) = 1e-9


def states_below(eps: FloatArray, weights: FloatArray, energies: FloatArray, width: float) -> FloatArray:
    """Number of states per cell below each energy, one a level, every level broadened by a Gaussian.

    Args:
        eps: (n_k, n) levels; NaN ones count nothing.
        weights: (n_k,) sum to 1.
        energies: (E,) unit of the levels.
        width: standard deviation of the Gaussian, unit of the levels; positive.

    Returns:
        (E,) sum_kn w_k Phi((E - eps_kn) / width), Phi the normal distribution's cumulative function.

    Example:
        One k point with levels at 0 and 1: half a level at its own energy, one and a half at the other's.

        >>> import numpy as np
        >>> states_below(np.array([[0.0, 1.0]]), np.ones(1), np.array([-1.0, 0, 1, 2]), 0.1).round(4)
        array([0. , 0.5, 1.5, 2. ])
    """
    held = np.isfinite(eps)
    flat, load = eps[held], np.broadcast_to(weights[:, None], eps.shape)[held]
    order = np.argsort(flat)
    flat, total = flat[order], np.concatenate([[0.0], np.cumsum(load[order])])
    # levels far below count whole, far above nothing: the normal distribution is evaluated for those between alone
    first = np.searchsorted(flat, energies - _TAIL * width)
    last = np.searchsorted(flat, energies + _TAIL * width)
    numbers = total[first]
    for k, (a, b) in enumerate(zip(first.tolist(), last.tolist())):
        numbers[k] += float(load[order[a:b]] @ ndtr((energies[k] - flat[a:b]) / width))
    return np.asarray(numbers)


def dos_w1(
    predicted: FloatArray, reference: FloatArray, weights: FloatArray, centre: float, window: float, width: float
) -> float:
    """`dos_w1`: Wasserstein-1 distance of two Gaussian-broadened densities of states, counted within a window.

    W1 = integral over the window of |N_pred(E) - N_ref(E)| dE / (reference states in the window), N as in
    `states_below`: by how much energy a state must be moved on average. With a window that covers all levels it is
    the Wasserstein-1 distance of the two normalised densities. Lower is better.

    Args:
        predicted: (n_k, n) levels, energy zero already matched.
        reference: (n_k, n) levels.
        weights: (n_k,) sum to 1.
        centre: middle of the window, the reference's Fermi level.
        window: half width of the window; unit of the levels, as everything here.
        width: standard deviation of the broadening.

    Returns:
        Unit of the levels; NaN where the window holds less than one reference state.

    Example:
        Both levels are predicted 0.2 too high.

        >>> import numpy as np
        >>> reference = np.array([[-1.0, 1.0]])
        >>> round(dos_w1(reference + 0.2, reference, np.ones(1), 0.0, 5.0, 0.1), 4)
        0.2
    """
    steps = max(2, int(np.ceil(2 * window / width * _STEPS_PER_WIDTH)))
    energies = np.linspace(centre - window, centre + window, steps + 1)
    n_pred, n_ref = (states_below(eps, weights, energies, width) for eps in (predicted, reference))
    states = n_ref[-1] - n_ref[0]
    if states < 1:
        return float("nan")
    return float(np.trapezoid(np.abs(n_pred - n_ref), energies) / states)


def ghost_states(predicted: FloatArray, reference: FloatArray, centre: float, window: float, shift: float) -> int:
    """`ghost_states`: surplus predicted states, max over k and E of max(0, N_pred(E) - N_ref(E + shift)).

    N(E) is the number of levels of one k up to E, and E runs over the window; surplus is found where bands are dense,
    too. Lower is better.

    Args:
        predicted: (n_k, n) levels, energy zero already matched.
        reference: (n_k, n) levels.
        centre: middle of the window, the reference's Fermi level.
        window: half width of the window; unit of the levels, as ``shift``.
        shift: tolerance in energy.

    Returns:
        Number of states.

    Example:
        A level 0.4 too low is within the tolerance; one that falls from 3 to -1 is a ghost.

        >>> import numpy as np
        >>> reference = np.array([[-2.0, 0.0, 3.0]])
        >>> [ghost_states(np.array([levels]), reference, 0.0, 5.0, 0.5) for levels in ([-2.4, 0, 3], [-2, -1, 0])]
        [0, 1]
    """
    worst = 0
    for pred, ref in zip(predicted, reference):
        pred, ref = np.sort(pred[np.isfinite(pred)]), np.sort(ref[np.isfinite(ref)])
        inside = pred[np.abs(pred - centre) <= window]
        energies = np.concatenate([[centre - window], inside])  # the surplus only rises at a predicted level
        surplus = np.searchsorted(pred, energies, "right") - np.searchsorted(ref, energies + shift, "right")
        worst = max(worst, int(surplus.max()))
    return worst
