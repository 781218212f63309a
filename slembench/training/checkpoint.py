"""Checkpoints: a folder of safetensors and JSON, written atomically.

``model.safetensors`` holds the weights to predict with (the average, where one is kept), ``model.json`` how to build
the model again, ``optimizer.safetensors`` what else a training needs to go on (moments, raw weights, random
states), ``state.json`` its step, schedule and times. A checkpoint is written under a temporary name inside
``<kind>/`` and renamed to ``<kind>/step-<n>``; older ones are removed only after that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers, chemical_symbols
from safetensors.torch import load_file, save_file
from torch import Tensor

from slembench.core.config import parse_config
from slembench.core.errors import ConfigError
from slembench.core.files import atomic_folder
from slembench.models.contract import OperatorModel
from slembench.models.registry import load_model_class
from slembench.operators.orbitals import Basis


@dataclass(frozen=True)
class Checkpoint:
    """Contents of one checkpoint folder.

    Attributes:
        state: JSON values: ``step`` at least.
        model: how to build the model again (JSON values).
        weights: parameter or buffer name -> tensor, on the CPU.
        optimizer: what a training needs to go on; empty where only predictions are wanted.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for step in (10, 20):
        ...         path = save_checkpoint(Path(folder), Checkpoint({"step": step}, {}, {"w": torch.tensor([1.5])}))
        ...     path.name, [p.name for p in Path(folder).iterdir()], load_checkpoint(Path(folder)).weights
        ('step-00000020', ['step-00000020'], {'w': tensor([1.5000])})
    """

    state: dict[str, Any]
    model: dict[str, Any]
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor] = field(default_factory=dict)


def find_checkpoint(folder: Path) -> Path | None:
    """The checkpoint folder that ``folder`` is, or the newest ``step-<n>`` in it; None where there is none.

    Of a run's folder, or of ``checkpoint/`` in it, the best checkpoint is taken.
    """
    if (folder / "model.safetensors").is_file():
        return folder
    for inner in ("checkpoint", "best"):
        if (folder / inner).is_dir():
            return find_checkpoint(folder / inner)
    found = [p for p in folder.glob("step-*") if p.name.removeprefix("step-").isdigit()]
    return max(found, key=lambda p: int(p.name.removeprefix("step-")), default=None)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint as the only one in ``folder``; a kill at any moment leaves the old one or the new one.

    Args:
        folder: such as ``<run>/checkpoint/last``; made where missing.
        checkpoint: its contents.

    Returns:
        The folder ``folder/step-<n>``.
    """
    target = folder / f"step-{checkpoint.state['step']:08d}"
    # the same step again: after a kill between "best" and "last", or of a run that is resumed at its very end
    shutil.rmtree(target, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as temporary:
        save_file(_plain(checkpoint.weights), temporary / "model.safetensors")
        if checkpoint.optimizer:
            save_file(_plain(checkpoint.optimizer), temporary / "optimizer.safetensors")
        for name, values in (("model", checkpoint.model), ("state", checkpoint.state)):
            (temporary / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    # only now that the new one is complete
    for other in folder.iterdir():
        if other != target and (other.name.startswith("step-") or other.name.endswith(".part")):
            shutil.rmtree(other, ignore_errors=True)
    return target


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder, or the newest one in a folder of them.

    Raises:
        ConfigError: there is none, or a file of it is missing or unreadable.
    """
    path = find_checkpoint(folder)
    if path is None:
        raise ConfigError(f"{folder}: no checkpoint here (expected model.safetensors or step-<n>/); train first")
    try:
        extra = path / "optimizer.safetensors"
        return Checkpoint(
            state=json.loads((path / "state.json").read_text(encoding="utf-8")),
            model=json.loads((path / "model.json").read_text(encoding="utf-8")),
            weights=load_file(path / "model.safetensors"),
            optimizer=load_file(extra) if extra.is_file() else {},
        )
    except Exception as error:  # safetensors raises its own exception type
        raise ConfigError(f"{path}: unreadable checkpoint ({error}); remove it and train again") from None


def model_description(model: OperatorModel, source: str | None = None) -> dict[str, Any]:
    """What `load_model` needs to build ``model`` again, as JSON values.

    Args:
        model: the model.
        source: how `load_model_class` finds its class; by default ``module:Class``.
    """
    kind = type(model)
    return {
        "source": source or f"{kind.__module__}:{kind.__qualname__}",
        "config": model.config.model_dump(mode="json"),
        "basis": model.basis.to_dict(),
        "cutoffs": {chemical_symbols[z]: radius for z, radius in model.cutoffs.items()},
        "targets": list(model.targets),
        "energy_unit": model.energy_unit,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }


def load_model(folder: Path) -> OperatorModel:
    """The trained model of a checkpoint (see `load_checkpoint`), in evaluation mode on the CPU.

    Raises:
        ConfigError: no readable checkpoint, a model class that is not found, or weights that do not fit it.
    """
    checkpoint = load_checkpoint(folder)
    about = checkpoint.model
    kind = load_model_class(about["source"])
    config = parse_config(kind.Config, about["config"], f"{folder}: model.json")
    cutoffs = {atomic_numbers[symbol]: radius for symbol, radius in about["cutoffs"].items()}
    model = kind(config, Basis.parse(about["basis"]), cutoffs, about["targets"]).to(getattr(torch, about["dtype"]))
    # checkpoints of early versions lack the unit
    model.energy_unit = about.get("energy_unit")
    _fill(model, checkpoint.weights, f"{folder}: the weights do not fit model {about['source']}")
    return model.eval()


def load_pretrained(model: OperatorModel, folder: Path) -> None:
    """Load the weights, scales and shifts of a checkpoint into ``model``, to train on from there (fine-tuning).

    Args:
        model: of the same basis and settings as the one that was trained.
        folder: see `load_checkpoint`.

    Raises:
        ConfigError: no readable checkpoint, or one of another basis, energy unit or settings.
    """
    checkpoint = load_checkpoint(folder)
    stored = checkpoint.model
    # Cutoffs may differ: weights fit any of them. Another basis or unit would fit in shape, too, and be silently wrong.
    for key, own in (("basis", model.basis.to_dict()), ("energy_unit", model.energy_unit)):
        if stored.get(key) not in (None, own):
            raise ConfigError(f"{folder}: was trained with {key} {stored[key]}; this run has {own}")
    _fill(model, checkpoint.weights, f"{folder}: its weights do not fit this run's model")


def _fill(model: OperatorModel, weights: Mapping[str, Tensor], problem: str) -> None:
    """Load weights; raises ConfigError, which begins with ``problem``, where they do not fit."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{problem} ({str(error).splitlines()[-1].strip()})") from None


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Tensors of an optimiser's state as ``optimizer.<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{index}.{key}": value for index, parts in state.items() for key, value in parts.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `pack_optimizer` back; the settings (rate, betas) stay those of ``optimizer``."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Detached contiguous copies on the CPU; safetensors refuses tensors that share memory."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
