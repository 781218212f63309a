"""What follows the product in the fused update (`nn.fused_update`), for some rows, in both directions."""

from __future__ import annotations

import torch
from torch import Tensor

from slembench.nn.update_shape import UpdateInputs, UpdateShape, rows_of


class UpdateChunk:
    """Everything between product and result for some rows, computed alike in both directions.

    Tensors of m > 0 are (2, rows, width), components first, so that factors of both components stay contiguous.
    """

    def __init__(self, inputs: UpdateInputs, shape: UpdateShape, product: list[Tensor], rows: slice) -> None:
        self.inputs, self.shape, self.rows = inputs, shape, rows
        self.product = [p[rows_of(p, rows)] for p in product]
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
