"""The whole update of pair states as one differentiable operation that works through the pairs in cache-sized chunks.

    product = sum over ends of (frames . operands) + states . matrices + bias
    gated = SiLU(scalars), others * sigmoid(gates), after the radial weights
    mixed = gated . mixing + mixing bias
    result = mixed * channel weights (+ offsets of scalars) + residual . residual matrices

Elementwise steps of a chunk find their operands in cache, and the backward pass keeps only the product: everything
behind it is computed again, which costs less than fetching it from memory. The plain formulation is the reference of
the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.ends import EndFrames
from slembench.nn.frames import FrameState

CHUNK = 2**20
"""Numbers of the product that one chunk holds on a CPU (4 MiB in float32): small enough for the cache, large enough
for efficient matrix products."""

LEAST_ROWS = 64
"""Rows of a chunk, however wide they are."""
LEAST_MIXED = 32
"""Channels that are mixed at once, several l together where one has less."""


@dataclass
class UpdateInputs:
    """Tensors of an update; empty lists stand for what an update does not have.

    Attributes:
        operands: for each end, (A, K_m, M_m) for each m; see `EndFrames`.
        states: (P, C_0), (P, 2, C_m) | frame feature; tensors may be missing for large m.
        matrices: (C_0, M_0), (2 C_m, 2 M_m) or (C_m, M_m) | as of `SO2Linear`, one for each tensor of ``states``.
        bias: [(M_0,)] | of the product.
        radial: [(P, H), (H, sum of M_m), (sum of M_m,)] | hidden values, weight and bias of the radial weights.
        mixing: [(C, C), (scalars,)] | mixing matrix with the activations' factors in its rows, and bias.
        weights: [(P, L), (L, C + scalars)] | latent and matrix that give channel weights and scalar offsets.
        residual: (P, B_0), (P, 2, B_m) | old state; tensors may be missing for large m.
        residual_mixing: [(B, C)] or [(B, C), (scalars,)] | map of the old state, and bias.
    """

    operands: list[list[Tensor]]
    states: list[Tensor]
    matrices: list[Tensor]
    bias: list[Tensor]
    radial: list[Tensor]
    mixing: list[Tensor]
    weights: list[Tensor]
    residual: list[Tensor] = field(default_factory=list)
    residual_mixing: list[Tensor] = field(default_factory=list)

    def flat(self) -> tuple[list[int], list[Tensor]]:
        """How many tensors each part has, and all of them in order."""
        parts = [*self.operands, *self.parts()]
        return [len(part) for part in parts], [tensor for part in parts for tensor in part]

    def parts(self) -> list[list[Tensor]]:
        """All parts but the operands."""
        return [
            self.states, self.matrices, self.bias, self.radial, self.mixing, self.weights,
            self.residual, self.residual_mixing,
        ]  # fmt: skip

    @classmethod
    def of_flat(cls, counts: Sequence[int], tensors: Sequence[Tensor]) -> UpdateInputs:
        """Inverse of `flat`."""
        iterator = iter(tensors)
        parts = [[next(iterator) for _ in range(count)] for count in counts]
        return cls(parts[:-8], *parts[-8:])


@dataclass(frozen=True)
class UpdateShape:
    """What an update does apart from its tensors.

    Attributes:
        output: channels of the result.
        old: channels of the residual's input.
        paired: matrices of m > 0 map both components at once (SO(2)), not each alone (O(2)).
        ends: frames at each end that has operands.
    """

    output: Channels
    old: Channels
    paired: bool
    ends: tuple[EndFrames, ...]

    @property
    def gates(self) -> int:
        """Gate channels in front of m = 0 of the product."""
        return self.output.total - self.output.scalars

    def width(self, m: int) -> int:
        """Columns of the product of ``m``."""
        return self.output.count_from(m) + (0 if m else self.gates)

    def blocks(self, inputs: Channels, m: int) -> list[tuple[slice, slice]]:
        """Where a channel mixing of ``inputs`` into the output is not zero: (rows, columns) of its part for ``m``."""
        result = []
        for edges in _groups(inputs, self.output):
            (a, b), (c, d) = (
                [max(0, channels.first(l) - channels.first(m)) for l in edges] for channels in (inputs, self.output)
            )
            if b > a or d > c:
                result.append((slice(a, b), slice(c, d)))
        return result

    def radial_columns(self, m: int) -> slice:
        """Where the radial weights of ``m`` stand."""
        start = sum(self.width(k) for k in range(m))
        return slice(start, start + self.width(m))

    def chunks(self, like: Tensor) -> Iterator[slice]:
        """Rows to work on at a time."""
        n = len(like)
        total = sum(self.width(m) * (2 if m else 1) for m in range(self.output.lmax + 1))
        rows = max(LEAST_ROWS, CHUNK // max(1, total)) if like.device.type == "cpu" else max(1, n)
        for start in range(0, n, rows):
            yield slice(start, min(n, start + rows))


@cache
def _groups(inputs: Channels, output: Channels) -> tuple[tuple[int, int], ...]:
    """Ranges of l that a mixing treats at once: few enough for efficient products, and little work on zeros."""
    top = max(inputs.lmax, output.lmax) + 1
    groups, start = [], 0
    for l in range(1, top):
        if sum(output.counts[start:l]) >= LEAST_MIXED and sum(output.counts[l:]) >= LEAST_MIXED // 2:
            groups.append((start, l))
            start = l
    return (*groups, (start, top))


def fused_update(inputs: UpdateInputs, shape: UpdateShape) -> tuple[FrameState, Tensor]:
    """Update of a pair state; see the module's text.

    Returns:
        (P, C_0), (P, 2, C_m) of the result, and its true scalars (P, scalars) before channel weights and residual.
    """
    counts, tensors = inputs.flat()
    *state, scalars = _Update.apply(shape, counts, *tensors)  # type: ignore[no-untyped-call]
    return state, scalars


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: UpdateShape, counts: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:
        inputs = UpdateInputs.of_flat(counts, tensors)
        product = _start_product(inputs, shape)
        n, output = len(product[0]), shape.output
        result = [product[0].new_empty(n, output.total)]
        result += [result[0].new_empty(n, 2, output.count_from(m)) for m in range(1, output.lmax + 1)]
        scalars = result[0].new_empty(n, output.scalars)
        for rows in shape.chunks(product[0]):
            _add_states(inputs, shape, product, rows)
            chunk = _Chunk(inputs, shape, product, rows)
            scalars[rows] = chunk.mixed[0][:, : output.scalars]
            chunk.write(result)
        ctx.shape, ctx.counts = shape, counts
        ctx.save_for_backward(*tensors, *product)
        return *result, scalars

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        shape, counts = ctx.shape, ctx.counts
        inputs = UpdateInputs.of_flat(counts, ctx.saved_tensors[: sum(counts)])
        product = list(ctx.saved_tensors[sum(counts) :])
        result = _empty_gradients(inputs)
        slopes = [torch.empty_like(p) for p in product]
        for rows in shape.chunks(product[0]):
            chunk = _Chunk(inputs, shape, product, rows)
            chunk.backward([g[rows] for g in gradients], result, [s[_rows(s, rows)] for s in slopes])
            _states_backward(inputs, shape, slopes, rows, result)
        result.operands = [
            [end.collect(m, _components(slopes[m]), operand.shape[1]) for m, operand in enumerate(operands)]
            for end, operands in zip(shape.ends, inputs.operands)
        ]
        return None, None, *result.flat()[1]


def _empty_gradients(inputs: UpdateInputs) -> UpdateInputs:
    """Gradients to fill in: sums over rows start at zero, rows are written whole."""
    return UpdateInputs(
        operands=[],
        states=[torch.empty_like(t) for t in inputs.states],
        matrices=[torch.zeros_like(t) for t in inputs.matrices],
        bias=[torch.zeros_like(t) for t in inputs.bias],
        radial=[torch.zeros_like(t) if k else torch.empty_like(t) for k, t in enumerate(inputs.radial)],
        mixing=[torch.zeros_like(t) for t in inputs.mixing],
        weights=[torch.zeros_like(t) if k else torch.empty_like(t) for k, t in enumerate(inputs.weights)],
        residual=[torch.empty_like(t) for t in inputs.residual],
        residual_mixing=[torch.zeros_like(t) for t in inputs.residual_mixing],
    )


# -- the product ------------------------------------------------------------------------------------------------------


def _components(product: Tensor) -> tuple[Tensor, ...]:
    """(P, M_0) or (2, P, M_m) -> one (P, M_m) for each component."""
    return (product,) if product.ndim == 2 else product.unbind(0)


def _rows(product: Tensor, rows: slice) -> tuple[slice, ...]:
    return (rows,) if product.ndim == 2 else (slice(None), rows)


def _start_product(inputs: UpdateInputs, shape: UpdateShape) -> list[Tensor]:
    """What the ends contribute to the product (zero where there is none): (P, M_0), (2, P, M_m), components first."""
    n, like = len(inputs.weights[0]), inputs.weights[0]
    product = []
    for m in range(shape.output.lmax + 1):
        total = like.new_empty(2, n, shape.width(m)) if m else like.new_empty(n, shape.width(m))
        started = False
        for end, operands in zip(shape.ends, inputs.operands):
            if m < len(operands):
                for target, part in zip(_components(total), end.spread(m, operands[m])):
                    target.add_(part) if started else target.copy_(part)
                started = True
        product.append(total if started else total.zero_())
    return product


def _flat(state: Tensor, rows: slice) -> Tensor:
    return state[rows].flatten(1)


def _columns(matrix: Tensor, component: int) -> Tensor:
    half = matrix.shape[1] // 2
    return matrix[:, component * half : (component + 1) * half]


def _add_states(inputs: UpdateInputs, shape: UpdateShape, product: list[Tensor], rows: slice) -> None:
    """Add states . matrices and the bias to the rows of the product."""
    product[0][rows] += inputs.bias[0]
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        for c, target in enumerate(_components(product[m])):
            if m and shape.paired:
                target[rows].addmm_(_flat(state, rows), _columns(matrix, c))
            else:
                target[rows].addmm_(state[rows, c] if m else state[rows], matrix)


def _states_backward(
    inputs: UpdateInputs, shape: UpdateShape, slopes: list[Tensor], rows: slice, result: UpdateInputs
) -> None:
    """Gradients of states, matrices and bias from those of the product (``slopes``)."""
    result.bias[0] += slopes[0][rows].sum(dim=0)
    for m, (state, matrix) in enumerate(zip(inputs.states, inputs.matrices)):
        for c, slope in enumerate(_components(slopes[m])):
            if m and shape.paired:
                target = _flat(result.states[m], rows)
                if c:
                    target.addmm_(slope[rows], _columns(matrix, c).T)
                else:
                    torch.mm(slope[rows], _columns(matrix, c).T, out=target)
                _columns(result.matrices[m], c).addmm_(_flat(state, rows).T, slope[rows])
            else:
                own = (rows, c) if m else (rows,)
                torch.mm(slope[rows], matrix.T, out=result.states[m][own])
                result.matrices[m].addmm_(state[own].T, slope[rows])


# -- what follows the product -----------------------------------------------------------------------------------------


class _Chunk:
    """Everything between product and result for some rows, computed alike in both directions.

    Tensors of m > 0 are (2, rows, width), components first, so that factors of both components stay contiguous.
    """

    def __init__(self, inputs: UpdateInputs, shape: UpdateShape, product: list[Tensor], rows: slice) -> None:
        self.inputs, self.shape, self.rows = inputs, shape, rows
        self.product = [p[_rows(p, rows)] for p in product]
        output = shape.output
        s, g = output.scalars, shape.gates
        self.radial: list[Tensor] = []
        if inputs.radial:
            hidden, weight, bias = inputs.radial
            values = torch.mm(hidden[rows], weight).add_(bias)
            self.radial = [values[:, shape.radial_columns(m)] for m in range(output.lmax + 1)]
        self.first = self.product[0] * self.radial[0] if self.radial else self.product[0]
        self.open = torch.sigmoid(self.first[:, :g])
        gated = torch.empty_like(self.first[:, g:])
        gated[:, :s] = torch.nn.functional.silu(self.first[:, g : g + s])
        torch.mul(self.first[:, g + s :], self.open, out=gated[:, s:])
        self.gated, self.factors = [gated], [self.open]
        for m in range(1, output.lmax + 1):
            opened = self.open[:, output.first(m) - s :]
            self.factors.append(opened * self.radial[m] if self.radial else opened.contiguous())
            self.gated.append(self.product[m] * self.factors[m])
        self.mixed = [torch.empty_like(tensor) for tensor in self.gated]
        for m, (tensor, target) in enumerate(zip(self.gated, self.mixed)):
            tensor, target = tensor.view(-1, tensor.shape[-1]), target.view(-1, target.shape[-1])
            matrix = self._mixing(m, inputs.mixing[0])
            for a, b in shape.blocks(output, m):
                torch.mm(tensor[:, a], matrix[a, b], out=target[:, b])
        self.mixed[0][:, :s] += inputs.mixing[1]
        self.weights = torch.mm(inputs.weights[0][rows], inputs.weights[1])

    def _mixing(self, m: int, matrix: Tensor) -> Tensor:
        first = self.shape.output.first(m)
        return matrix[first:, first:]

    def _channel_weights(self, m: int) -> Tensor:
        output = self.shape.output
        return self.weights[:, output.first(m) : output.total]

    def write(self, result: list[Tensor]) -> None:
        """Write the result's rows."""
        output, inputs = self.shape.output, self.inputs
        first = result[0][self.rows]
        torch.mul(self.mixed[0], self._channel_weights(0), out=first)
        scalars = first[:, : output.scalars]
        scalars += self.weights[:, output.total :]
        if len(inputs.residual_mixing) > 1:
            scalars += inputs.residual_mixing[1]
        for m in range(1, output.lmax + 1):
            torch.mul(self.mixed[m], self._channel_weights(m), out=result[m][self.rows].transpose(0, 1))
        for m, old in enumerate(inputs.residual):
            target, matrix = result[m][self.rows], self._old_mixing(m, inputs.residual_mixing[0])
            target, old = target.view(-1, target.shape[-1]), old[self.rows].view(-1, old.shape[-1])
            for a, b in self.shape.blocks(self.shape.old, m):
                target[:, b].addmm_(old[:, a], matrix[a, b])

    def _old_mixing(self, m: int, matrix: Tensor) -> Tensor:
        return matrix[self.shape.old.first(m) :, self.shape.output.first(m) :]

    def backward(self, gradients: list[Tensor], result: UpdateInputs, slopes: list[Tensor]) -> None:
        """Add to the gradients of all but the product's inputs, and write those of the product into ``slopes``.

        Args:
            gradients: of the result's rows for each m, and of the scalars' rows.
            result: gradients of the inputs, added to.
            slopes: rows of the product's gradients, written.
        """
        *slope, of_scalars = gradients
        self._residual_backward(slope, result)
        slope = [slope[0], *(s.transpose(0, 1) for s in slope[1:])]
        slope = self._weights_backward(slope, result)
        slope[0][:, : self.shape.output.scalars] += of_scalars
        slope = self._mixing_backward(slope, result)
        self._gate_backward(slope, result, slopes)

    def _residual_backward(self, slope: list[Tensor], result: UpdateInputs) -> None:
        for m, (old, target) in enumerate(zip(self.inputs.residual, result.residual)):
            flat = slope[m].reshape(-1, slope[m].shape[-1])
            old, target = (t[self.rows].view(-1, old.shape[-1]) for t in (old, target))
            matrix = self._old_mixing(m, self.inputs.residual_mixing[0])
            own = self._old_mixing(m, result.residual_mixing[0])
            for a, b in self.shape.blocks(self.shape.old, m):
                torch.mm(flat[:, b], matrix[a, b].T, out=target[:, a])
                own[a, b].addmm_(old[:, a].T, flat[:, b])
        if len(result.residual_mixing) > 1:
            result.residual_mixing[1] += slope[0][:, : self.shape.output.scalars].sum(dim=0)

    def _weights_backward(self, slope: list[Tensor], result: UpdateInputs) -> list[Tensor]:
        """Channel weights: gradients of the latent and its matrix; returns those of the mixed state."""
        output = self.shape.output
        own = torch.empty_like(self.weights)
        torch.mul(slope[0], self.mixed[0], out=own[:, : output.total])
        own[:, output.total :] = slope[0][:, : output.scalars]
        for m in range(1, output.lmax + 1):
            part = own[:, output.first(m) : output.total]
            part.addcmul_(slope[m][0], self.mixed[m][0])
            part.addcmul_(slope[m][1], self.mixed[m][1])
        latent, matrix = self.inputs.weights
        torch.mm(own, matrix.T, out=result.weights[0][self.rows])
        result.weights[1].addmm_(latent[self.rows].T, own)
        mixed = [torch.empty_like(t) for t in self.mixed]
        for m, target in enumerate(mixed):
            torch.mul(slope[m], self._channel_weights(m), out=target)
        return mixed

    def _mixing_backward(self, slope: list[Tensor], result: UpdateInputs) -> list[Tensor]:
        """Gradients of mixing matrix and bias; returns those of the gated state."""
        output, gated = self.shape.output, []
        result.mixing[1] += slope[0][:, : output.scalars].sum(dim=0)
        for m, tensor in enumerate(slope):
            gated.append(torch.empty_like(tensor))
            flat, target, value = (t.view(-1, t.shape[-1]) for t in (tensor, gated[m], self.gated[m]))
            matrix, own = self._mixing(m, self.inputs.mixing[0]), self._mixing(m, result.mixing[0])
            for a, b in self.shape.blocks(output, m):
                own[a, b].addmm_(value[:, a].T, flat[:, b])
                torch.mm(flat[:, b], matrix[a, b].T, out=target[:, a])
        return gated

    def _gate_backward(self, slope: list[Tensor], result: UpdateInputs, slopes: list[Tensor]) -> None:
        """Gradients of the radial weights and of the product."""
        output, shape = self.shape.output, self.shape
        s, g = output.scalars, shape.gates
        radial = torch.empty_like(self.first[:, :1].expand(-1, sum(r.shape[1] for r in self.radial)))
        opened = slope[0][:, s:] * self.first[:, g + s :]
        for m in range(1, output.lmax + 1):
            factor = slope[m][0] * self.product[m][0]
            factor.addcmul_(slope[m][1], self.product[m][1])
            torch.mul(slope[m], self.factors[m], out=slopes[m])
            start = output.first(m) - s
            if self.radial:
                torch.mul(factor, self.open[:, start:], out=radial[:, shape.radial_columns(m)])
                factor *= self.radial[m]
            opened[:, start:] += factor
        first = torch.empty_like(self.first)
        torch.mul(slope[0][:, s:], self.open, out=first[:, g + s :])
        first[:, g : g + s] = torch.ops.aten.silu_backward(slope[0][:, :s], self.first[:, g : g + s])
        first[:, :g] = torch.ops.aten.sigmoid_backward(opened, self.open)
        if not self.radial:
            slopes[0].copy_(first)
            return
        torch.mul(first, self.radial[0], out=slopes[0])
        torch.mul(first, self.product[0], out=radial[:, shape.radial_columns(0)])
        hidden, weight, _ = self.inputs.radial
        torch.mm(radial, weight.T, out=result.radial[0][self.rows])
        result.radial[1].addmm_(hidden[self.rows].T, radial)
        result.radial[2] += radial.sum(dim=0)
