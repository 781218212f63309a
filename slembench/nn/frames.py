"""Pair frames: rotations that bring each bond onto the polar axis, for all l at once, and features in and out.

D_l(Q) with Q r = |r| z is built from Q = R_y(-beta) R_z(-alpha): rotations about z only mix +m and -m, and the one
about y is a rotation about z between two constant matrices. The third Euler angle is free (every layer commutes
with rotations about the bond) and skipped. Rows are ordered 0, +1, -1, +2, -2, ...
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from slembench.nn.channels import Channels
from slembench.nn.kernels.matmul import matmul, matmul_t
from slembench.operators.rotations import wigner_d

FrameState = list[torch.Tensor]
"""One tensor for each m: (P, M_0), then (P, 2, M_m); see `channels`."""

NodeState = list[torch.Tensor]
"""One tensor for each l: (N, 2l + 1, C_l)."""


@cache
def _swap_yz(l: int) -> torch.Tensor:
    """D_l of the rotation by +90 degrees about x, which brings y onto z. (2l + 1, 2l + 1) float64."""
    return torch.from_numpy(wigner_d(l, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])))


def _multiples(cosine: torch.Tensor, sine: torch.Tensor, lmax: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cos and sin of m times an angle for m = 0..lmax. (P, lmax + 1) each."""
    cosines, sines = [torch.ones_like(cosine)], [torch.zeros_like(sine)]
    for _ in range(lmax):
        # angle addition: exp(i m a) = exp(i (m - 1) a) exp(i a)
        c, s = cosines[-1], sines[-1]
        cosines.append(c * cosine - s * sine)
        sines.append(s * cosine + c * sine)
    return torch.stack(cosines, dim=1), torch.stack(sines, dim=1)


def _signed(l: int, cosines: torch.Tensor, sines: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos(|m| x) and sign(m) sin(|m| x) for m = -l..l. (P, 2l + 1) each."""
    order = list(range(l, 0, -1)) + list(range(l + 1))
    sign = torch.tensor([-1.0] * l + [0.0] + [1.0] * l, dtype=sines.dtype, device=sines.device)
    return cosines[:, order], sines[:, order] * sign


def pair_frames(vectors: torch.Tensor, lmax: int) -> torch.Tensor:
    """Wigner matrices of all pair frames, flattened and laid end to end for l = 1..lmax.

    Args:
        vectors: (P, 3) | any length unit | r_j + R - r_i, not zero.
        lmax: largest l.

    Example:
        >>> frames = pair_frames(torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.0, 0.0]]), lmax=1)
        >>> frames.shape, frame_size(1)
        (torch.Size([2, 9]), 9)
        >>> frames[1, :3].round(decimals=6)  # the row of m = 0: the direction as (y, z, x)
        tensor([0., 0., 1.])

    Returns:
        (P, sum_l (2l + 1)^2) | row 0 of every matrix is m = 0 of the frame, then +1, -1, +2, -2, ...
    """
    x, y, z = vectors.unbind(dim=1)
    planar = x.square() + y.square()
    # bonds along z: alpha is undefined there, and rho = 0 would give infinite gradients through sqrt
    on_axis = planar <= 1e-24 * z.square()
    rho = torch.where(on_axis, torch.ones_like(planar), planar).sqrt()
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    length = vectors.norm(dim=1)
    alpha = _multiples(torch.where(on_axis, one, x / rho), torch.where(on_axis, zero, y / rho), lmax)
    beta = _multiples(z / length, torch.where(on_axis, zero, rho) / length, lmax)
    matrices = []
    for l in range(1, lmax + 1):
        # D(R_y(-beta) R_z(-alpha)) = X^T Z(-beta) X Z(-alpha) with X = D(R_x(90 degrees)): a rotation about z
        # acts on components (+m, -m) by cos(m a), sin(m a), which is what `flip` and the signed sines do
        constant = _swap_yz(l).to(vectors)
        cos_a, sin_a = _signed(l, *alpha)
        cos_b, sin_b = _signed(l, *beta)
        about_z = constant * cos_a[:, None, :] - constant.flip(1) * sin_a[:, None, :]
        about_y = about_z * cos_b[:, :, None] + about_z.flip(1) * sin_b[:, :, None]
        # rows -l..l -> 0, +1, -1, +2, -2, ...: then the rows of one m are neighbours
        order = [l] + [row for m in range(1, l + 1) for row in (l + m, l - m)]
        matrices.append((constant.T[order] @ about_y).flatten(1))
    return torch.cat(matrices, dim=1) if matrices else vectors.new_zeros(len(vectors), 0)


def frame_size(lmax: int) -> int:
    """Numbers a pair that `pair_frames` returns: sum of (2l + 1)^2 for l = 1..lmax."""
    return sum((2 * l + 1) ** 2 for l in range(1, lmax + 1))


class Frames:
    """The frames of one batch of pairs; rotates node features in and pair features out.

    Example:
        >>> channels = Channels.parse("2x0e+3x1o")
        >>> vectors = torch.tensor([[0.3, -0.4, 1.0]])
        >>> frames = Frames(pair_frames(vectors, lmax=1), lmax=1, separate_parity=True)
        >>> node = [torch.ones(1, 1, 2), torch.ones(1, 3, 3)]  # (P, 2l + 1, C_l) for each l
        >>> [tuple(t.shape) for t in frames.rotate_in(node, channels)]  # (P, M_0), then (P, 2, M_m)
        [(1, 5), (1, 2, 3)]
        >>> back = frames.rotate_out(frames.rotate_in(node, channels), channels)
        >>> all(torch.allclose(a, b, atol=1e-6) for a, b in zip(back, node))
        True

    Args:
        flat: (P, >= frame_size(lmax)) from `pair_frames`, of this or a larger lmax.
        lmax: largest l needed.
        separate_parity: True for O(3) models, whose axial channels are stored times i (see `channels`).
    """

    def __init__(self, flat: torch.Tensor, lmax: int, separate_parity: bool) -> None:
        if flat.shape[1] < frame_size(lmax):
            raise ValueError(f"frames hold {flat.shape[1]} numbers a pair, l up to {lmax} needs {frame_size(lmax)}")
        self.polar: list[torch.Tensor] = []
        self.axial: list[torch.Tensor] = []
        start = 0
        for l in range(1, lmax + 1):
            size = (2 * l + 1) ** 2
            matrix = flat[:, start : start + size].reshape(-1, 2 * l + 1, 2 * l + 1)
            start += size
            self.polar.append(matrix)
            # an SO(3) model ignores parity and treats axial channels as polar ones
            self.axial.append(_times_i(matrix) if separate_parity else matrix)
        self.separate_parity = separate_parity

    def harmonics(self, l: int) -> torch.Tensor:
        """(P, 2l + 1) | spherical harmonics of the bond directions, component-normalised (|Y|^2 = 2l + 1)."""
        if l == 0:
            raise ValueError("l = 0 is the constant 1")
        return self.polar[l - 1][:, 0, :] * float(np.sqrt(2 * l + 1))

    def _parts(self, l: int, channels: Channels) -> list[tuple[torch.Tensor, int, int]]:
        """(matrices, first channel, end channel) of the parities of one l; one part where they share matrices."""
        n, u = channels.polar[l], channels.axial[l]
        if not self.separate_parity or not n or not u:
            matrix = self.polar[l - 1] if n or not self.separate_parity else self.axial[l - 1]
            return [(matrix, 0, n + u)]
        return [(self.polar[l - 1], 0, n), (self.axial[l - 1], n, n + u)]

    def rotate_in(self, features: NodeState, channels: Channels) -> FrameState:
        """Features gathered at the pairs, (P, 2l + 1, C_l) for each l, into the pair frames."""
        rotated: list[torch.Tensor] = []
        for l in range(1, channels.lmax + 1):
            parts = [matmul(matrix, features[l][:, :, a:b]) for matrix, a, b in self._parts(l, channels)]
            rotated.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=2))
        # gather by m: component m of all l >= m side by side, l ascending
        state = [torch.cat([features[0][:, 0, :]] + [r[:, 0, :] for r in rotated], dim=1)]
        for m in range(1, channels.lmax + 1):
            state.append(torch.cat([r[:, 2 * m - 1 : 2 * m + 1, :] for r in rotated[m - 1 :]], dim=2))
        return state

    def rotate_out(self, state: FrameState, channels: Channels) -> NodeState:
        """Frame features back to the axes of the structure: (P, 2l + 1, C_l) for each l."""
        features = [state[0][:, None, : channels.counts[0]]]
        for l in range(1, channels.lmax + 1):
            rows = [state[0][:, None, channels.first(l) : channels.first(l + 1)]]
            for m in range(1, l + 1):
                start = channels.first(l) - channels.first(m)
                rows.append(state[m][:, :, start : start + channels.counts[l]])
            stacked = torch.cat(rows, dim=1)
            # D is orthogonal: its transpose rotates back
            parts = [matmul_t(matrix, stacked[:, :, a:b]) for matrix, a, b in self._parts(l, channels)]
            features.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=2))
        return features


def _times_i(matrix: torch.Tensor) -> torch.Tensor:
    """Rows (+m, -m) -> (-(-m), +m): the frame components of axial channels (see `channels`)."""
    l = matrix.shape[1] // 2
    order = [0] + [row for m in range(1, l + 1) for row in (2 * m, 2 * m - 1)]
    sign = torch.tensor([1.0] + [-1.0, 1.0] * l, dtype=matrix.dtype, device=matrix.device)
    return matrix[:, order, :] * sign[:, None]
