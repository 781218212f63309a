"""What is known of the models that ship, read from files alone: neither torch nor any model's code is imported.

A model's folder says what it is in ``recipe.yaml`` (key ``description``) and what was found when it was built and
tried in ``expected.yaml`` (key ``measured``); `slembench.suite.facts` measures, a test of every model compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from slembench.core.config import StrictModel, parse_config, read_yaml
from slembench.core.errors import DataError
from slembench.models.registry import model_folder, model_names

EXPECTED_FILE = "expected.yaml"
"""File of a model's folder whose key ``measured`` holds `ModelFacts`."""

RECIPE_FILE = "recipe.yaml"
"""File of a model's folder whose key ``description`` says what the model is."""


class Reach(StrictModel):
    """Receptive field of a model; null stands for the whole structure.

    Attributes:
        onsite: Angstrom | an on-site block of i depends on atoms within this distance of i.
        pair: Angstrom | a block of the pair (i, j) depends on atoms within this distance of i or of j.
    """

    onsite: float | None = Field(ge=0)
    pair: float | None = Field(ge=0)


class ModelFacts(StrictModel):
    """Properties of a model as its recipe builds it for one basis.

    The two errors are the largest change of a matrix element when a small cluster without symmetry is rotated
    (inverted) and its blocks are transformed back, relative to the mean absolute element: in float64, with random
    weights. An exact symmetry shows about 1e-14.

    Attributes:
        dataset: data set that gives the basis and the cutoffs.
        variant: of the recipe; "" for the recipe as it stands.
        symmetry: declared group: rotations and inversion (O3), rotations (SO3), or none.
        inputs: what it reads besides the structure: "S", "H0".
        parameters: number of trainable parameters.
        receptive_field: of on-site and pair blocks.
        rotation_error: relative, of a proper rotation.
        inversion_error: relative, of the inversion.
    """

    dataset: str
    variant: str = ""
    symmetry: Literal["O3", "SO3", "none"]
    inputs: tuple[str, ...] = ()
    parameters: int = Field(ge=0)
    receptive_field: Reach
    rotation_error: float
    inversion_error: float


class ModelEntry(NamedTuple):
    """A model that `slembench.models.registry.load_model_class` knows by name, or that lies in a folder.

    Attributes:
        name: as ``--model`` takes it.
        folder: where it lies; None for an entry point of an installed package.
        description: of its recipe; "" where it says nothing.
        facts: what was measured; None where nothing is stored.
    """

    name: str
    folder: Path | None
    description: str
    facts: ModelFacts | None


def list_models() -> list[ModelEntry]:
    """Every model that is known by name: reference models, baselines, entry points; sorted by name.

    Raises:
        DataError: a file of a model's folder that cannot be read; names file and key.

    Example:
        >>> for entry in list_models():
        ...     if entry.name in ("qhnet", "slem"):
        ...         print(entry.name, entry.facts.symmetry, entry.facts.receptive_field.onsite)
        qhnet SO3 37.05
        slem O3 7.41
    """
    return [read_entry(name) for name in model_names()]


def read_entry(name: str) -> ModelEntry:
    """What the files of one model say.

    Args:
        name: name of a model, or path of a model's folder.

    Raises:
        ConfigError: a folder without ``model.py``.
        DataError: a file of the folder that cannot be read; names file and key.

    Example:
        >>> read_entry("lem").folder.name
        'lem'
    """
    folder = model_folder(name)
    if folder is None:
        return ModelEntry(name, None, "", None)
    measured = _read_mapping(folder / EXPECTED_FILE).get("measured")
    if measured is not None:
        # under its key, so that an error names the whole path of the key in the file
        content = {"measured": measured}
        measured = parse_config(dict[str, ModelFacts], content, folder / EXPECTED_FILE, DataError)["measured"]
    description = _read_mapping(folder / RECIPE_FILE).get("description", "")
    return ModelEntry(name, folder, str(description), measured)


def _read_mapping(file: Path) -> dict[str, Any]:
    """Content of a YAML file; empty where there is no such file."""
    if not file.is_file():
        return {}
    content = read_yaml(file, DataError)
    if not isinstance(content, dict):
        raise DataError(f"{file}: must be a mapping of keys to values")
    return content
