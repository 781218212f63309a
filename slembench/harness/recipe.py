"""Recipes: a model's settings with named variants (``baselines/<model>/recipe.yaml``), and changes from outside.

A recipe holds the keys ``model`` (configuration of the model class), ``training`` (`TrainConfig`), ``targets`` and
``variants``; a variant repeats any of the first three with what is different in it. A dotted change such as
``training.max_steps=100`` comes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from slembench.core.config import StrictModel, parse_config, read_yaml
from slembench.core.errors import ConfigError
from slembench.models.contract import ModelConfig, OperatorModel
from slembench.models.facts import RECIPE_FILE
from slembench.models.registry import load_model_class, shipped_folders
from slembench.training.config import TrainConfig

PARTS = ("model", "training", "targets")
"""Keys of a recipe that a variant and a dotted change may touch."""


class _Changes(StrictModel):
    """What a variant changes."""

    description: str = ""
    model: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    targets: tuple[str, ...] | None = None


class Recipe(_Changes):
    """Content of a recipe file; the values of ``model`` and ``training`` are checked when a variant is chosen.

    Attributes:
        targets: operators to predict; by default the data set's Hamiltonian and overlap, whichever it has.
        variants: name -> changes.
    """

    variants: dict[str, _Changes] = Field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """A recipe with a variant and all changes applied, checked.

    Attributes:
        source: the model as it was named; `load_model_class` understands it.
        variant: name of the variant, "" for the recipe as it stands.
        kind: model class.
        model: its configuration.
        training: training configuration.
        targets: operators to predict, or None for the default of the data set.
    """

    source: str
    variant: str
    kind: type[OperatorModel]
    model: ModelConfig
    training: TrainConfig
    targets: tuple[str, ...] | None


def load_settings(
    model: str,
    *,
    recipe: str | Path | None = None,
    variant: str = "",
    changes: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
) -> Settings:
    """Settings of a run.

    Args:
        model: name, folder, ``module:Class`` or entry point of a model.
        recipe: recipe file; by default the model's own, ``recipe.yaml`` in its folder, if there is one.
        variant: name of a variant of the recipe.
        changes: ``key=value`` texts with dotted keys and YAML values, or a mapping of dotted keys to values.
        seed: short for ``training.seed``.

    Raises:
        ConfigError: no such model, recipe, variant or key, or a value that is refused; names the file and the key.
    """
    kind = load_model_class(model)
    file = Path(recipe) if recipe is not None else find_recipe(model)
    content = read_recipe(file) if file is not None else Recipe()
    if variant and variant not in content.variants:
        known = ", ".join(content.variants) or "none"
        raise ConfigError(f"{file or model}: no variant {variant!r}; there are: {known}")
    values = content.model_dump(include=set(PARTS), exclude_unset=True)
    if variant:
        values = merged(values, content.variants[variant].model_dump(include=set(PARTS), exclude_unset=True))
    for key, value in parse_changes(changes).items():
        values = merged(values, _nested(key, value))
    if seed is not None:
        values = merged(values, {"training": {"seed": seed}})
    where = str(file) if file is not None else f"model {model}"
    final = parse_config(_Changes, values, where)
    return Settings(
        source=model,
        variant=variant,
        kind=kind,
        model=parse_config(kind.Config, final.model, f"{where}: model"),
        training=parse_config(TrainConfig, final.training, f"{where}: training"),
        targets=final.targets,
    )


def find_recipe(model: str) -> Path | None:
    """Recipe that belongs to a model: in its folder, given as a path or as the name of a shipped model."""
    own = Path(model) / RECIPE_FILE
    if own.is_file():
        return own
    folder = shipped_folders().get(model.replace("_", "-"))
    return folder / RECIPE_FILE if folder is not None and (folder / RECIPE_FILE).is_file() else None


def read_recipe(file: Path) -> Recipe:
    """Recipe from a YAML file.

    Raises:
        ConfigError: no such file, not YAML, or an unknown key; names file and key.
    """
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: a recipe must be a mapping of keys to values")
    return parse_config(Recipe, content, str(file))


def parse_changes(changes: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value, from ``key=value`` texts (values as in YAML) or a mapping.

    Raises:
        ConfigError: a text without "=", a value that is not YAML, or a key outside `PARTS`.
    """
    if isinstance(changes, Mapping):
        parsed = dict(changes)
    else:
        parsed = {}
        for text in changes:
            key, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"change {text!r}: must look like training.max_steps=100")
            try:
                parsed[key.strip()] = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise ConfigError(f"change {text!r}: the value is not YAML ({error})") from error
    for key in parsed:
        if key.split(".")[0] not in PARTS:
            raise ConfigError(f"change {key!r}: the key must begin with one of {', '.join(PARTS)}")
    return parsed


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` written over it, mappings key by key, everything else as a whole."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _nested(key: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} from "a.b"."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)
