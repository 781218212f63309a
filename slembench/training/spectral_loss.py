"""Losses on orbital energies and orbitals, as options of the trainer: wavefunction alignment and bands.

Both compare the predicted Hamiltonian with the reference one in the reference overlap, at Gamma for a molecule and at
k-points for a crystal: random ones in every training step (torch's generator), fixed ones in validation.

* ``wavefunction``: T = C^dagger (H_pred - H_ref) C with the reference orbitals C, which is C^dagger H_pred C - eps. Its
  diagonal is the first-order error of the levels, the rest what mixes orbitals. Source: the wavefunction alignment
  loss of WANet (arXiv 2502.19227), which likewise counts occupied orbitals and the next one more than others; the
  idea of low and high subspaces at every k, against ghost states, is that of arXiv 2509.19877. Nothing is
  differentiated through an eigensolver. Different here: the root mean square instead of the square, and more empty
  orbitals.
* ``bands``: mean of |eps_pred - eps_ref|, level by level in ascending order, through the eigensolver. Source: the band
  term of HamGNN (npj Comput. Mater. 2023, doi 10.1038/s41524-023-01130-4). Its gradient with respect to H is made of
  predicted orbitals; no quotient of level differences occurs, so degenerate levels are safe.

Both are in units of the Hamiltonian's scale, and all is computed in float64. Levels of a Hamiltonian that is far from
the reference teach little and give large gradients, so both count in training from a later part of the budget only (two
steps, as in HamGNN); validation, which chooses the best weights, counts them always.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from slembench.core.errors import ConfigError
from slembench.data.graph import OperatorGraph
from slembench.nn.readout import OperatorFeatures
from slembench.operators.irreps import BlockIrreps
from slembench.training.config import LevelsConfig, LossConfig
from slembench.training.dense import DenseMatrices, ElementPlaces

S_THRESHOLD = 1e-8
"""Directions of S below this are projected out, as the metrics do."""

DEGENERATE = 1e-6
"""Levels within this part of the spectrum's width above the last counted one are counted too."""


class Reference(NamedTuple):
    """Solution of the reference problem of a batch.

    Attributes:
        basis: (n_k, B, n, n) | X with X^dagger S X = 1; columns of projected and padded directions are zero.
        unused: (n_k, B, n) bool | those columns.
        orbitals: (n_k, B, n, n) | C, columns ascending in energy, the unused ones zero and last.
        levels: (n_k, B, n) | unit of H, ascending.
        counted: (n_k, B, n) bool | levels that count.
    """

    basis: Tensor
    unused: Tensor
    orbitals: Tensor
    levels: Tensor
    counted: Tensor


class LevelsLoss:
    """Weighted sum of both losses over a batch.

    Args:
        layout: irreps layout.
        config: weights and k-points.
        scale: of the Hamiltonian, in its unit.
        device: of the batches.
    """

    def __init__(self, layout: BlockIrreps, config: LevelsConfig, scale: float, device: torch.device) -> None:
        self.config, self.scale = config, scale
        self.places = ElementPlaces(layout).to(device)
        from scipy.stats import qmc  # 25 MB that other losses do without

        # low-discrepancy points, the same in every validation, so that its losses can be compared
        fixed = qmc.Halton(3, scramble=False).random(config.kpoints)
        self.fixed = torch.as_tensor(fixed, device=device)

    def __call__(self, prediction: OperatorFeatures, graph: OperatorGraph) -> Tensor:
        """Scalar float64 loss of predicted Hamiltonian features of a batch.

        Raises:
            ConfigError: the graphs lack the Hamiltonian, the overlap or the number of electrons.
        """
        for key in ("hamiltonian_onsite", "overlap_onsite", "electrons"):
            if key not in graph:
                raise ConfigError(f"training.loss.levels: the graphs lack {key}; the data need hamiltonian and overlap")
        dense = DenseMatrices(self.places, graph, self._kpoints(graph, prediction.onsite.requires_grad))
        with torch.no_grad():  # the reference is data; nothing is differentiated through this eigensolver
            stored = (OperatorFeatures(graph[f"{n}_onsite"], graph[f"{n}_pair"]) for n in ("hamiltonian", "overlap"))
            hamiltonian, overlap = (dense(features) for features in stored)
            reference = self.solve(hamiltonian, overlap, graph.electrons)
        predicted, total = dense(prediction), torch.zeros((), dtype=torch.float64, device=hamiltonian.device)
        if self.config.wavefunction:
            total = total + self.config.wavefunction * self.alignment(predicted - hamiltonian, reference)
        if self.config.bands:
            total = total + self.config.bands * self.band_error(predicted, reference)
        return total / self.scale

    def _kpoints(self, graph: OperatorGraph, random: bool) -> Tensor:
        """(B, n_k, 3) fractional points: Gamma where no pair crosses a cell border."""
        count, device = len(graph.electrons), graph.pair_shift.device
        if not bool(graph.pair_shift.any()):
            return torch.zeros(count, 1, 3, dtype=torch.float64, device=device)
        if not random:
            return self.fixed.expand(count, -1, -1)
        return torch.rand(count, self.config.kpoints, 3, dtype=torch.float64).to(device)

    def solve(self, hamiltonian: Tensor, overlap: Tensor, electrons: Tensor) -> Reference:
        """Levels and orbitals of matrices (n_k, B, n, n) with rows of zeros for padding; ``electrons`` is (B,)."""
        # Canonical orthogonalisation: S = V s V^dagger, X = V s^(-1/2) over directions with s above the threshold, so
        # that X^dagger S X = 1 and H C = S C eps becomes an ordinary problem of X^dagger H X. Padding has s = 0.
        values, vectors = torch.linalg.eigh(overlap)
        unused = values < S_THRESHOLD
        basis = vectors * torch.where(unused, 0.0, values.clamp(min=S_THRESHOLD).rsqrt())[..., None, :]
        levels, rotation = torch.linalg.eigh(_lifted(basis.mH @ hamiltonian @ basis, unused))
        number = torch.arange(levels.shape[-1], device=levels.device)
        used = number < (~unused).sum(-1, keepdim=True)
        # doubly occupied levels; an odd electron takes a level of its own
        occupied = (electrons.double() / 2 - 1e-6).ceil()
        wanted = occupied + (self.config.empty_share * occupied).ceil().clamp(min=1)
        wanted = torch.minimum(wanted.expand(used.shape[:-1]), used.sum(-1)).long()[..., None]
        # a degenerate shell is counted as a whole: half of it would make the loss depend on the eigensolver's choice
        last = levels.gather(-1, (wanted - 1).clamp(min=0))
        width = torch.where(used, levels, levels[..., :1]).amax(-1, keepdim=True) - levels[..., :1]
        return Reference(basis, unused, basis @ rotation, levels, used & (levels <= last + DEGENERATE * width))

    def alignment(self, difference: Tensor, reference: Reference) -> Tensor:
        """Mean over k and structures of the weighted root mean square of T, from H_pred - H_ref; unit of H."""
        # first-order perturbation: (C^dagger dH C)_nn = d eps_n; elements n != m mix the orbitals n and m
        mixing = reference.orbitals.mH @ difference @ reference.orbitals
        counted = reference.counted.double()
        pairs = counted[..., :, None] * counted[..., None, :]
        # weight 1 among counted levels, `others` elsewhere; `total` is its sum over the used directions
        weight = self.config.others + (1 - self.config.others) * pairs
        used = (~reference.unused).sum(-1).double()
        total = (self.config.others * used**2 + (1 - self.config.others) * counted.sum(-1) ** 2).clamp(min=1e-12)
        square = mixing.real.square() + mixing.imag.square() if mixing.is_complex() else mixing.square()
        # the derivative of the root is infinite at zero error; this constant makes it zero there
        return ((weight * square).sum((-2, -1)) / total + 1e-24).sqrt().mean()

    def band_error(self, predicted: Tensor, reference: Reference) -> Tensor:
        """Mean over k and structures of the mean |eps_pred - eps_ref| of the counted levels; unit of H."""
        levels = torch.linalg.eigvalsh(_lifted(reference.basis.mH @ predicted @ reference.basis, reference.unused))
        counted = reference.counted
        errors = torch.where(counted, (levels - reference.levels).abs(), 0.0)
        return (errors.sum(-1) / counted.sum(-1)).mean()


def levels_loss(
    layout: BlockIrreps, config: LossConfig, scales: Mapping[str, float], device: torch.device
) -> LevelsLoss | None:
    """The losses that a configuration asks for, or None; ``scales`` as in `target_scales`.

    Raises:
        ConfigError: no Hamiltonian among the operators.
    """
    if config.levels is None:
        return None
    if "hamiltonian" not in scales:
        raise ConfigError(f"training.loss.levels: needs the target hamiltonian; the targets are {', '.join(scales)}")
    return LevelsLoss(layout, config.levels, scales["hamiltonian"], device)


def _lifted(matrix: Tensor, unused: Tensor) -> Tensor:
    """The matrix with unused directions, which are zero in it, moved above all its eigenvalues."""
    # Gershgorin: no eigenvalue exceeds the largest row sum of |M|. Detached: the shift must not be differentiated.
    bound = 1.0 + 2.0 * matrix.detach().abs().sum(-1).amax(-1, keepdim=True)
    return matrix + torch.diag_embed(unused.double() * bound).to(matrix)
