"""What follows the product in the fused update (`nn.fused_update`), for some rows, in both directions."""

from __future__ import annotations

import torch
from torch import Tensor

from slembench.nn.channels import Channels
from slembench.nn.pointwise import (
    gate_backward,
    gate_forward,
    hidden_backward,
    hidden_forward,
    weigh_backward,
    weigh_forward,
)
from slembench.nn.update_shape import UpdateInputs, UpdateShape, blocks


class UpdateChunk:
    """Everything between product and result for some rows, computed alike in both directions.

    Args:
        inputs: of the update.
        shape: of the update.
        product: (P, M_0), (P, 2, M_m).
        rows: to work on.
    """

    def __init__(self, inputs: UpdateInputs, shape: UpdateShape, product: list[Tensor], rows: slice) -> None:
        self.inputs, self.shape, self.rows = inputs, shape, rows
        self.product = [p[rows] for p in product]
        self.radial: Tensor | None = None
        self.radial_bias: Tensor | None = None
        if inputs.radial:
            latent, matrix, *norm, weight, self.radial_bias = inputs.radial
            self.first_step = torch.mm(latent[rows], matrix)
            self.hidden = hidden_forward(self.first_step, norm, shape.eps)
            self.radial = torch.mm(self.hidden, weight)
        output = shape.output
        self.gated = gate_forward(output, self.product, self.radial, self.radial_bias)
        self.mixed = [torch.empty_like(tensor) for tensor in self.gated]
        for m, (tensor, target) in enumerate(zip(self.gated, self.mixed)):
            _mix(output, output, m, inputs.mixing[0], tensor, target)
        self.weights = torch.mm(inputs.weights[0][rows], inputs.weights[1])

    def write(self, result: list[Tensor], scalars: Tensor) -> None:
        """Write the result's rows, and the true scalars before channel weights and residual."""
        inputs, target = self.inputs, [r[self.rows] for r in result]
        constant = inputs.residual_mixing[1] if len(inputs.residual_mixing) > 1 else None
        bias, output = inputs.mixing[1], self.shape.output
        weigh_forward(output, self.mixed, bias, self.weights, constant, target, scalars[self.rows])
        for m, old in enumerate(inputs.residual):
            _mix(self.shape.old, output, m, inputs.residual_mixing[0], old[self.rows], target[m], add=True)

    def backward(
        self, slope: list[Tensor], of_scalars: Tensor | None, result: UpdateInputs, of_product: list[Tensor]
    ) -> None:
        """Add to the gradients of all but the product's inputs, and write those of the product.

        Args:
            slope: gradients of the result's rows for each m.
            of_scalars: gradients of the scalars' rows, or None.
            result: gradients of the inputs, added to.
            of_product: rows of the product's gradients, written.
        """
        inputs, output, s = self.inputs, self.shape.output, self.shape.output.scalars
        for m, old in enumerate(inputs.residual):
            arguments = (inputs.residual_mixing[0], old[self.rows], slope[m])
            _unmix(self.shape.old, output, m, *arguments, result.residual[m][self.rows], result.residual_mixing[0])
        if len(result.residual_mixing) > 1:
            result.residual_mixing[1] += slope[0][:, :s].sum(dim=0)
        of_weights = weigh_backward(output, slope, of_scalars, self.mixed, inputs.mixing[1], self.weights)
        latent, matrix = inputs.weights
        torch.mm(of_weights, matrix.T, out=result.weights[0][self.rows])
        result.weights[1].addmm_(latent[self.rows].T, of_weights)
        result.mixing[1] += self.mixed[0][:, :s].sum(dim=0)
        of_gated = [torch.empty_like(tensor) for tensor in self.gated]
        for m, (value, tensor) in enumerate(zip(self.gated, self.mixed)):
            _unmix(output, output, m, inputs.mixing[0], value, tensor, of_gated[m], result.mixing[0])
        of_radial = gate_backward(output, self.product, self.radial, self.radial_bias, of_gated, of_product)
        if of_radial is not None:
            self._radial_backward(*of_radial, result)

    def _radial_backward(self, of_radial: Tensor, of_bias: Tensor, result: UpdateInputs) -> None:
        """Gradients of the radial network from those of its values and of its last bias."""
        latent, matrix, *norm, weight, _ = self.inputs.radial
        of_latent, of_matrix, *of_norm, of_weight, of_last = result.radial
        of_hidden = torch.mm(of_radial, weight.T)
        of_weight.addmm_(self.hidden.T, of_radial)
        of_last += of_bias
        of_first, sums = hidden_backward(self.first_step, norm, self.shape.eps, of_hidden)
        for total, part in zip(of_norm, sums):
            total += part
        torch.mm(of_first, matrix.T, out=of_latent[self.rows])
        of_matrix.addmm_(latent[self.rows].T, of_first)


def _mix(
    inputs: Channels, output: Channels, m: int, matrix: Tensor, source: Tensor, target: Tensor, add: bool = False
) -> None:
    """Write (or add) the mixed channels of one m into ``target``."""
    matrix = matrix[inputs.first(m) :, output.first(m) :]
    source, target = source.view(-1, source.shape[-1]), target.view(-1, target.shape[-1])
    for a, b in blocks(inputs, output, m):
        if add:
            target[:, b].addmm_(source[:, a], matrix[a, b])
        else:
            torch.mm(source[:, a], matrix[a, b], out=target[:, b])


def _unmix(
    inputs: Channels, output: Channels, m: int, matrix: Tensor, source: Tensor, slope: Tensor, of_source: Tensor,
    of_matrix: Tensor,
) -> None:  # fmt: skip
    """Gradients of `_mix`: of its source written, of its matrix added to."""
    matrix, of_matrix = (t[inputs.first(m) :, output.first(m) :] for t in (matrix, of_matrix))
    source, slope, of_source = (t.view(-1, t.shape[-1]) for t in (source, slope, of_source))
    for a, b in blocks(inputs, output, m):
        torch.mm(slope[:, b], matrix[a, b].T, out=of_source[:, a])
        of_matrix[a, b].addmm_(source[:, a].T, slope[:, b])
