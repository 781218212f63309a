"""Random features in node and frame layout."""

import pytest
import torch

from slembench.nn.channels import Channels

MIXED = Channels((5, 3, 2, 1), (1, 2, 2, 0))


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def random_nodes(channels, rows=7):
    return [torch.randn(rows, 2 * l + 1, c) for l, c in enumerate(channels.counts)]


def random_frames(channels, rows=7):
    return [torch.randn(rows, channels.total)] + [
        torch.randn(rows, 2, channels.count_from(m)) for m in range(1, channels.lmax + 1)
    ]


def spin(state, angle):
    """Frame feature after a rotation by ``angle`` about the bond: (even, odd) of m turns by m * angle."""
    turned = [state[0]]
    for m, tensor in enumerate(state[1:], start=1):
        c, s = torch.cos(torch.tensor(m * angle)), torch.sin(torch.tensor(m * angle))
        even, odd = tensor.unbind(1)
        turned.append(torch.stack([c * even - s * odd, s * even + c * odd], dim=1))
    return turned


def reflect(state, channels):
    """Frame feature after a reflection through the bond: odd parts and axial m = 0 parts change sign."""
    sign = torch.tensor([1.0 if polar else -1.0 for polar in channels.is_polar])
    gates = state[0].shape[1] - channels.total
    first = torch.cat([state[0][:, :gates], state[0][:, gates:] * sign], dim=1)
    return [first] + [t * torch.tensor([1.0, -1.0])[:, None] for t in state[1:]]


def close(a, b, tolerance=1e-11):
    return all(torch.allclose(x, y, atol=tolerance) for x, y in zip(a, b, strict=True))


def weigh(state, channels, weights):
    """Every channel of a frame feature times its weight, plus an offset on true scalars; weights (P, C + scalars)."""
    factor, offset = weights[:, : channels.total], weights[:, channels.total :]
    first = state[0] * factor
    first = torch.cat([first[:, : channels.scalars] + offset, first[:, channels.scalars :]], dim=1)
    return [first] + [t * factor[:, None, channels.first(m) :] for m, t in enumerate(state[1:], start=1)]
