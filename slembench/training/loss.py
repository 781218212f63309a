"""Loss between predicted and reference operator features, measured on matrix elements.

Features are mapped to matrix elements by the layout's orthogonal map; every element counts as in the `full`
counting of the metrics (shell pairs a < b twice, since the reverse pair's block is their transpose), so that the L1
loss of a batch is its MAE. Each operator is divided by its scale (rms of its pair elements in the training set),
which makes operators of different units commensurate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from slembench.data.graph import OperatorGraph
from slembench.nn.readout import OperatorFeatures
from slembench.operators.irreps import BlockIrreps
from slembench.training.config import LossConfig, OperatorWeight
from slembench.training.distributed import SINGLE, ProcessGroup


class ErrorSums(NamedTuple):
    """Sum of |error| in the data's unit and number of elements, full counting, of on-site and pair blocks.

    Example:
        >>> (ErrorSums(2.0, 4, 1.0, 8) + ErrorSums(0.0, 4, 1.0, 4)).mae
        0.2
    """

    onsite: float
    onsite_count: float
    pair: float
    pair_count: float

    def __add__(self, other: ErrorSums) -> ErrorSums:  # type: ignore[override]
        """Sums over both batches."""
        return ErrorSums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def mae(self) -> float:
        """Mean absolute error over all elements, pooled."""
        return (self.onsite + self.pair) / (self.onsite_count + self.pair_count)


class ElementTable:
    """Masks and weights of the matrix elements of one layout, on one device and in one dtype.

    Attributes:
        weight: (F,) | how often each element counts: 2 for shell pairs a < b, 1 for a shell with itself.
        onsite_mask, pair_mask: (n_elements, F), (n_elements ** 2, F) | 1 where a feature exists, else 0.
        onsite_count, pair_count: (n_elements,), (n_elements ** 2,) | weighted number of elements of a block.
    """

    def __init__(self, layout: BlockIrreps, like: Tensor) -> None:
        self.layout = layout
        sizes = [(2 * layout.shells[a] + 1) * (2 * layout.shells[b] + 1) for a, b in layout.shell_pairs.tolist()]
        # The layout stores shell pairs a <= b only. The block of (b, a) is the transpose of the reverse pair's (a, b),
        # so an element with a < b stands for two elements of the matrix.
        counts = torch.tensor([1.0 if a == b else 2.0 for a, b in layout.shell_pairs.tolist()], dtype=torch.float64)
        weight = counts.repeat_interleave(torch.tensor(sizes))
        self.weight = weight.to(like)
        self.onsite_mask = torch.as_tensor(layout.onsite_mask).to(like)
        self.pair_mask = torch.as_tensor(layout.pair_mask).to(like)
        self.onsite_count = (torch.as_tensor(layout.onsite_element_mask).double() @ weight).to(like)
        self.pair_count = (torch.as_tensor(layout.pair_element_mask).double() @ weight).to(like)

    def errors(
        self, prediction: OperatorFeatures, graph: OperatorGraph, operator: str
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Elements of prediction - reference and how many count: on-site (N, F), (), pair (P, F), ()."""
        onsite = (prediction.onsite - graph[f"{operator}_onsite"].to(self.weight)) * self.onsite_mask[graph.species]
        pair = (prediction.pair - graph[f"{operator}_pair"].to(self.weight)) * self.pair_mask[graph.pair_type]
        # to_elements is orthogonal: norms of features and of matrix elements agree, L1 and Huber need the elements
        return (
            self.layout.to_elements(onsite),
            self.onsite_count[graph.species].sum(),
            self.layout.to_elements(pair),
            self.pair_count[graph.pair_type].sum(),
        )


class OperatorLoss:
    """Loss over all operators of a batch: sum of weight * loss of each, divided by the sum of weights.

    The loss of an operator is ``share * L(on-site) + (1 - share) * L(pair)``, each normalised by its own number of
    elements; L is the mean of squares, of absolute values, of Huber's function, or (`l1_rmse`, DeePTB's default)
    half the sum of the mean absolute and the root mean square error, all in units of the operator's scale.

    Example:
        One atom with one s shell, so one matrix element, wrong by 0.5; with the scale 1 the L1 loss is the MAE:

        >>> from slembench.data.graph import OperatorGraph
        >>> from slembench.operators.orbitals import Basis
        >>> layout = BlockIrreps(Basis.parse({"H": "1s"}))
        >>> one, none = torch.ones(1, 1), torch.zeros(0, 1)
        >>> graph = OperatorGraph(species=torch.tensor([0]), pair_type=torch.zeros(0, dtype=torch.int64))
        >>> graph.hamiltonian_onsite, graph.hamiltonian_pair = one, none
        >>> for name in ("l1", "mse", "huber", "l1_rmse"):
        ...     loss = OperatorLoss(layout, LossConfig(name=name), {"hamiltonian": 1.0}, one)
        ...     print(name, round(loss({"hamiltonian": OperatorFeatures(1.5 * one, none)}, graph).item(), 4))
        l1 0.5
        mse 0.25
        huber 0.045
        l1_rmse 0.5
    """

    def __init__(
        self,
        layout: BlockIrreps,
        config: LossConfig,
        scales: Mapping[str, float],
        like: Tensor,
        group: ProcessGroup = SINGLE,
    ) -> None:
        """A loss for operators ``scales`` (operator -> scale in its own unit), on ``like``'s device and dtype.

        With several processes in ``group`` it is that of the batches of all of them.
        """
        self.config = config
        self.scales = dict(scales)
        self.table = ElementTable(layout, like)
        self.weights = {name: config.operators.get(name, OperatorWeight()) for name in scales}
        self.group = group

    def __call__(self, prediction: Mapping[str, OperatorFeatures], graph: OperatorGraph | None) -> Tensor:
        """Scalar loss of predicted features {operator: (onsite (N, F), pair (P, F))} of a batch of graphs.

        A process without structures gives None and takes part with sums of zero.
        """
        like = self.table.weight
        if graph is None:
            own = torch.zeros(len(self.weights), 2, len(self._functions(like[None])) + 1).to(like)
        else:
            own = torch.stack([self._sums(prediction[name], graph, name) for name in self.weights])
        total = torch.zeros((), device=like.device, dtype=like.dtype)
        # Sums and counts are added up over the processes before anything is divided: the loss is a ratio (and a root)
        # of sums over the whole batch, not a mean of losses of parts.
        for (onsite, pair), weight in zip(self.group.all_reduce(own), self.weights.values()):
            n_onsite, n_pair = onsite[-1], pair[-1]
            share = n_onsite / (n_onsite + n_pair)
            if weight.onsite_share is not None:
                # without pairs (isolated atoms) the on-site part is all there is
                share = torch.where(n_pair > 0, torch.full_like(share, weight.onsite_share), torch.ones_like(share))
            part = share * self._mean(onsite) + (1 - share) * self._mean(pair)
            total = total + weight.weight * part
        return total / sum(w.weight for w in self.weights.values())

    def _sums(self, prediction: OperatorFeatures, graph: OperatorGraph, name: str) -> Tensor:
        """(2, n + 1) | of on-site and pair elements: sums of the n functions of the error, and number of elements."""
        onsite, n_onsite, pair, n_pair = self.table.errors(prediction, graph, name)
        rows = [
            torch.stack([*((f @ self.table.weight).sum() for f in self._functions(error / self.scales[name])), count])
            for error, count in ((onsite, n_onsite), (pair, n_pair))
        ]
        return torch.stack(rows)

    def _functions(self, error: Tensor) -> list[Tensor]:
        """The functions of errors (rows, F), in units of the scale, whose means the loss is made of."""
        if self.config.name == "mse":
            return [error.square()]
        if self.config.name == "l1":
            return [error.abs()]
        if self.config.name == "huber":
            delta, size = self.config.huber_delta, error.abs()
            # e^2 / 2 below delta, delta (e - delta / 2) above: with q = min(e, delta) both are q (e - q / 2)
            quadratic = size.clamp(max=delta)
            return [quadratic * (size - 0.5 * quadratic)]
        return [error.abs(), error.square()]

    def _mean(self, sums: Tensor) -> Tensor:
        """Loss from (n + 1,) sums and number of elements; zero where there are none."""
        count = sums[-1].clamp(min=1)  # the sums are zero, too, where there are no elements
        if self.config.name != "l1_rmse":
            return sums[0] / count
        # the derivative of the root is infinite at zero error; this constant makes it zero there
        return 0.5 * (sums[0] / count + (sums[1] / count + 1e-24).sqrt())


def absolute_errors(
    table: ElementTable, prediction: OperatorFeatures, graph: OperatorGraph, operator: str
) -> ErrorSums:
    """Sums of |prediction - reference| of one batch, for scoring; ``table`` should be float64."""
    features = OperatorFeatures(*(part.to(table.weight) for part in prediction))
    onsite, n_onsite, pair, n_pair = table.errors(features, graph, operator)
    sums = [(part.abs() @ table.weight).sum() for part in (onsite, pair)]
    return ErrorSums(float(sums[0]), float(n_onsite), float(sums[1]), float(n_pair))


def target_scales(layout: BlockIrreps, graphs: Sequence[OperatorGraph], operators: Sequence[str]) -> dict[str, float]:
    """Scale of each operator: rms of its pair elements over the training graphs (of the on-site ones without pairs).

    Args:
        layout: layout of the targets.
        graphs: training graphs with ``<operator>_onsite`` and ``<operator>_pair``.
        operators: names of the operators.

    Returns:
        operator -> rms in the data's unit; 1 where all elements are zero.
    """
    table = ElementTable(layout, torch.zeros((), dtype=torch.float64))
    scales = {}
    for name in operators:
        kind = "pair" if any(len(graph.pair_type) for graph in graphs) else "onsite"
        squares, count = 0.0, 0.0  # Python floats: float64, whatever the dtype of the graphs
        for graph in graphs:
            elements = layout.to_elements(graph[f"{name}_{kind}"].double())
            rows = table.pair_count[graph.pair_type] if kind == "pair" else table.onsite_count[graph.species]
            squares += float((elements.square() @ table.weight).sum())
            count += float(rows.sum())
        scales[name] = (squares / count) ** 0.5 or 1.0
    return scales
