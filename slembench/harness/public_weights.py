"""Checkpoints of public implementations, whose files hold weights alone: the recipe and a data set say the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slembench.core.errors import ConfigError
from slembench.data import load_dataset
from slembench.harness.recipe import load_recipe
from slembench.models.contract import OperatorModel


def read_public(
    model: str, file: Path, dataset: str | Path, changes: Sequence[str] = ()
) -> tuple[OperatorModel, dict[str, Any]]:
    """Model with the weights of a checkpoint that its public code wrote.

    Args:
        model: name, folder or class of a model that imports (`OperatorModel.from_public`).
        file: the checkpoint.
        dataset: name or folder of the data set whose basis, cutoffs and unit it was trained with.
        changes: settings that differ from the model's recipe, ``model.n_blocks=4`` and the like.

    Returns:
        The model in the dtype of the file, in evaluation mode, and JSON values that state its origin.

    Raises:
        ConfigError: no such file or model, a model without importer, or weights that do not fit the settings.
        DataError: no such data set.
    """
    if not file.is_file():
        raise ConfigError(f"{file}: no such file")
    # max_steps: a recipe without a budget is refused, and no training is meant here
    settings = load_recipe(model, changes=[*changes, "training.max_steps=1"])
    data = load_dataset(dataset)
    targets = settings.targets or ("hamiltonian",)
    found = settings.kind.from_public(file, settings.model, data.basis, data.cutoffs, targets)
    found.energy_unit = data.card.units.energy
    return found.eval(), {"dataset": data.name}
