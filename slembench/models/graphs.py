"""Graphs as a model wants them: with its cutoffs, targets and pair frames, built once and cached on disk by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import ase
import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from slembench.core.errors import DataError
from slembench.core.progress import progress
from slembench.data.graph import OperatorGraph, build_graph
from slembench.data.sample import SampleInfo
from slembench.models.contract import OperatorModel
from slembench.nn.frames import pair_frames
from slembench.operators.blocks import BlockMatrix

CACHE_VERSION = 1
"""Raised whenever the content of a graph changes."""


class Labelled(Protocol):
    """A structure with its operators, such as `slembench.data.Sample`."""

    @property
    def atoms(self) -> ase.Atoms:
        """Positions and cell in Angstrom."""

    @property
    def operators(self) -> Mapping[str, BlockMatrix]:
        """Operator name -> blocks."""

    @property
    def info(self) -> SampleInfo:
        """Scalars."""


def graph_cache() -> Path:
    """Folder of the graph cache: the user's cache folder of this program (XDG_CACHE_HOME on Linux)."""
    return user_cache_path("slembench") / "graphs"


def attach_frames(graph: OperatorGraph, lmax: int) -> OperatorGraph:
    """The graph with ``frames`` (P, K) of its pairs for l up to ``lmax``, in the dtype of its vectors."""
    if lmax > 0:
        # in float64 first: cos and sin of m times an angle come from a recursion, in which rounding errors grow with l
        graph.frames = pair_frames(graph.pair_vector.double(), lmax).to(graph.pair_vector.dtype)
    return graph


def model_graph(
    model: OperatorModel, sample: Labelled, dtype: torch.dtype, targets: bool = True, levels: bool = False
) -> OperatorGraph:
    """Graph of one sample for one model; built in float64, then cast.

    Args:
        model: gives cutoffs, layout, targets and the l of its frames.
        sample: structure and operators.
        dtype: of all real tensors.
        targets: bring the model's target operators along.
        levels: bring along what losses on levels need: the overlap, and ``electrons`` (1,), float64.

    Example:
        >>> from slembench.data import load_dataset
        >>> from slembench.models.registry import load_model_class
        >>> data, kind = load_dataset("mos2-mini"), load_model_class("slem")
        >>> model = kind(kind.Config(n_layers=1), data.basis, data.cutoffs)
        >>> graph = model_graph(model, data.sample(data.split("train")[0]), torch.float32)
        >>> int(graph.num_nodes), graph.frames.shape[0] == graph.pair_index.shape[1]
        (12, True)

    Raises:
        KeyError: a target operator that the sample lacks.
        DataError: no overlap or no number of electrons, with ``levels``.
    """
    # losses on levels solve H C = S C E, so that S comes along whether it is a target or not
    wanted = (*(model.targets if targets else ()), *(("overlap",) if levels else ()))
    if levels and ("overlap" not in sample.operators or sample.info.electrons is None):
        raise DataError("losses on levels need the overlap and the number of electrons of every structure")
    operators = {name: sample.operators[name] for name in wanted}
    graph = build_graph(sample.atoms, model.cutoffs, model.layout, operators, dtype=torch.float64)
    attach_frames(graph, model.frame_lmax)
    for key, value in graph.to_dict().items():
        # integers such as species and pair_index keep their type
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            graph[key] = value.to(dtype)
    if levels:
        # not cast: the filling is compared with it exactly
        graph.electrons = torch.tensor([sample.info.electrons], dtype=torch.float64)
    return graph


def cached_graphs(
    model: OperatorModel,
    load: Callable[[str], Labelled],
    ids: Sequence[str],
    fingerprint: str,
    dtype: torch.dtype,
    folder: Path | None,
    targets: bool = True,
    levels: bool = False,
) -> list[OperatorGraph]:
    """Graphs of many structures, from the cache where they are there already.

    Args:
        model: see `model_graph`.
        load: structure id -> sample.
        ids: structures wanted, in this order.
        fingerprint: of the data set's content; part of the cache key.
        dtype: of all real tensors.
        folder: where the cache lives; None for no cache.
        targets: bring targets along.
        levels: see `model_graph`.
    """
    file = (
        folder / f"{_key(model, ids, fingerprint, dtype, targets, levels)}.safetensors" if folder is not None else None
    )
    if file is not None:
        stored = _read(file, len(ids))
        if stored is not None:
            return stored
    graphs = [model_graph(model, load(name), dtype, targets, levels) for name in progress(ids, "graphs")]
    if file is not None:
        _write(file, graphs)
    return graphs


def _key(
    model: OperatorModel, ids: Sequence[str], fingerprint: str, dtype: torch.dtype, targets: bool, levels: bool
) -> str:
    # everything that a graph depends on; what is not in the key must not change a graph
    content = {
        "version": CACHE_VERSION,
        "fingerprint": fingerprint,
        "ids": list(ids),
        "cutoffs": model.cutoffs,
        "basis": model.basis.to_dict(),
        "targets": list(model.targets) if targets else [],
        "lmax": model.frame_lmax,
        "dtype": str(dtype),
        **({"levels": True} if levels else {}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _write(file: Path, graphs: Sequence[OperatorGraph]) -> None:
    tensors = {
        f"{k}/{key}": value.contiguous()
        for k, graph in enumerate(graphs)
        for key, value in graph.to_dict().items()
        if isinstance(value, torch.Tensor)
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    # renamed when complete: other processes read the cache at any time
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    save_file(tensors, temporary)
    temporary.replace(file)


def _read(file: Path, count: int) -> list[OperatorGraph] | None:
    """Graphs of a cache file, or None where there is none or it is damaged (it is rebuilt then)."""
    if not file.is_file():
        return None
    graphs = [OperatorGraph() for _ in range(count)]
    try:
        with safe_open(file, framework="pt") as stored:
            for name in list(stored.keys()):
                # names are "<graph>/<tensor>"
                number, _, key = name.partition("/")
                graphs[int(number)][key] = stored.get_tensor(name)
    except (SafetensorError, OSError, ValueError, IndexError):
        return None
    for graph in graphs:
        if "numbers" not in graph:
            return None
        # PyG would guess the number of atoms from the pairs and miss atoms without any
        graph.num_nodes = len(graph.numbers)
    return graphs
