"""The compiled elementwise steps (float32) against the same in torch in float64, values and gradients."""

import subprocess
import sys

import pytest
import torch

from slembench.nn.channels import Channels
from slembench.nn.edge_frames import EdgeFrames
from slembench.nn.kernels import native
from slembench.nn.layers import SeparableNorm

from .. import test_update
from ..conftest import MIXED, random_frames
from ..test_update import CASES, make_case

compiled = pytest.mark.skipif(native.library() is None, reason="no C compiler on this machine")


def grads(tensors, leaves, slopes):
    return torch.autograd.grad(tensors, leaves, slopes, allow_unused=True)


def alike(found, wanted):
    """Every float32 tensor within 1e-5 of the largest value of the float64 one."""
    pairs = [(a, b) for a, b in zip(found, wanted, strict=True) if b is not None and b.numel()]
    return all((a.double() - b).abs().max() <= 1e-5 * b.abs().max().clamp(min=1e-3) for a, b in pairs)


@pytest.fixture
def calls(monkeypatch):
    """Names of the compiled functions that ran."""
    names, original = [], native.compiled

    def counted(function):
        names.append(function)
        return original(function)

    monkeypatch.setattr("slembench.nn.kernels.native.compiled", counted)
    monkeypatch.setattr("slembench.nn.kernels.update.compiled", counted)
    return names


@compiled
@pytest.mark.parametrize(("threads", "repeats"), [(1, 0), (1, 1), (3, 1), (1, 11), (3, 40)])
@pytest.mark.parametrize("case", CASES)
def test_update_in_single_precision(case, threads, repeats, calls, monkeypatch):
    """On no pairs, on fewer than threads or a block, and on several blocks of each thread."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for name in ("CENTRE", "NEIGHBOUR"):
        monkeypatch.setattr(test_update, name, getattr(test_update, name).repeat_interleave(repeats))
    monkeypatch.setattr(test_update, "PAIRS", test_update.PAIRS * repeats)
    update, (node, state, affines), frames, indices, (latents, factor, old), leaves = make_case(*case)
    ends = [EdgeFrames(frames, index) for index in indices]
    result, scalars = update(node, state, affines, ends, latents, factor, old)
    assert not calls
    slopes = [torch.randn_like(t) for t in [*result, scalars]]
    wanted = grads([*result, scalars], leaves, slopes)
    with torch.no_grad():
        for leaf in leaves:
            leaf.data = leaf.data.float()
        frames.polar, frames.axial = ([m.float() for m in part] for part in (frames.polar, frames.axial))
    update.float()
    ends = [EdgeFrames(frames, index) for index in indices]
    found, found_scalars = update(node, state, affines, ends, latents, factor, old)
    assert alike([*found, found_scalars], [*result, scalars])
    assert alike(grads([*found, found_scalars], leaves, [s.float() for s in slopes]), wanted)
    assert calls == ["update_forward", "update_backward"]


@compiled
@pytest.mark.parametrize("channels", [MIXED, Channels((5,), (0,)), Channels((1, 3), (0, 0))])
def test_norm_in_single_precision(channels, calls):
    state = [t.requires_grad_() for t in random_frames(channels, 7)]
    norm = SeparableNorm(channels).double()
    slopes = [torch.randn_like(t) for t in state]
    expected = norm.on_frames(state)
    wanted = grads(expected, state, slopes)
    assert not calls
    single = [t.detach().float().requires_grad_() for t in state]
    found = norm.float().on_frames(single)
    assert alike(found, expected)
    assert alike(grads(found, single, [s.float() for s in slopes]), wanted)
    assert calls == ["norm_forward", "norm_backward"]


def test_without_a_compiler_torch_does_it(monkeypatch, tmp_path):
    code = "from slembench.nn.kernels.native import library; assert library() is None"
    for changed in ({"SLEMBENCH_NATIVE": "0"}, {"PATH": str(tmp_path), "CC": ""}):
        for name, value in changed.items():
            monkeypatch.setenv(name, value)
        subprocess.run([sys.executable, "-c", code], check=True)
