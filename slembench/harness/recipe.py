"""From what a user asks for to checked settings: recipes, variants, single changes, and `RunConfig`, which holds all.

A recipe (``recipe.yaml`` in the model's folder) holds the keys ``model`` (configuration of the model class),
``training`` (`slembench.training.config.TrainConfig`), ``targets`` and ``variants``; a variant repeats any of the first
three with what is different in it. Changes such as ``training.max_steps=100`` come last. The settings then go by two
more steps into the loop: `slembench.harness.run.Run.train`, `slembench.training.loop.train`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
class ResolvedRecipe:
    """A recipe with a variant and all changes applied, checked.

    Attributes:
        source: the model as the user named it; `load_model_class` understands it.
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


@dataclass(frozen=True)
class RunConfig:
    """Everything that one run is asked for; built once, by the command line or by a Python call, and checked then.

    Attributes:
        dataset: name or folder of a data set.
        model: name, folder, ``module:Class`` or entry point of a model.
        recipe: recipe file; None for the model's own.
        variant: name of a variant of the recipe.
        changes: ``training.max_steps=100`` and the like, or a mapping of dotted keys to values.
        seed: of initial weights and data order; short for ``training.seed``.
        partition: per cent of the training split, one of 100, 80, 60, 40, 20.
        splits: splits to predict; none for all but train and val.
        floors: score the floors on the same splits too.
        init_from: run or checkpoint whose weights, scales and shifts the training starts from; None for random weights.
        out: folder of the run; None for ``runs/<dataset>/<name>``.
        name: of the run; None for model, variant and a hash of all settings.
        fresh: begin again, dropping what the folder holds of an earlier run.
        threads: of torch and of the eigensolvers; None for torch's choice, and one a processor.
        stop_after: ``train`` to end with the best checkpoint; the same run goes on from there without it.
        settings: recipe, variant and changes resolved; made of the above.

    Raises:
        ConfigError: no such model, recipe, variant or key, or a value that is refused; names the file and the key.

    Example:
        >>> config = RunConfig("mos2-mini", "slem", variant="quickstart", changes=["training.max_steps=20"], seed=1)
        >>> config.settings.training.max_steps, config.settings.training.seed
        (20, 1)
        >>> config.settings.model.n_bessel, config.partition
        (10, 100)
    """

    dataset: str | Path
    model: str
    recipe: str | Path | None = None
    variant: str = ""
    changes: Sequence[str] | Mapping[str, Any] = ()
    seed: int | None = None
    partition: int = 100
    splits: Sequence[str] = ()
    floors: bool = True
    init_from: str | Path | None = None
    out: str | Path | None = None
    name: str | None = None
    fresh: bool = False
    threads: int | None = None
    stop_after: Literal["train"] | None = None
    settings: ResolvedRecipe = field(init=False)

    def __post_init__(self) -> None:
        if self.stop_after not in (None, "train"):
            raise ConfigError(f"stop_after: {self.stop_after!r} is no stage to stop after; use 'train' or None")
        resolved = load_recipe(
            self.model, recipe=self.recipe, variant=self.variant, changes=self.changes, seed=self.seed
        )
        object.__setattr__(self, "settings", resolved)  # the dataclass is frozen


def load_recipe(
    model: str,
    *,
    recipe: str | Path | None = None,
    variant: str = "",
    changes: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
) -> ResolvedRecipe:
    """Settings of a model and its training: recipe, then variant, then changes, each over what came before.

    Args:
        model: name, folder, ``module:Class`` or entry point of a model.
        recipe: recipe file; by default the model's own, ``recipe.yaml`` in its folder, if there is one.
        variant: name of a variant of the recipe.
        changes: ``key=value`` texts with dotted keys and YAML values, or a mapping of dotted keys to values.
        seed: short for ``training.seed``.

    Raises:
        ConfigError: no such model, recipe, variant or key, or a value that is refused; names the file and the key.

    Example:
        >>> recipe = load_recipe("slem", variant="quickstart", changes={"training.batch_size": 4}, seed=7)
        >>> recipe.kind.__name__, recipe.training.batch_size, recipe.training.seed
        ('Slem', 4, 7)
        >>> load_recipe("slem", variant="slow")
        Traceback (most recent call last):
        ...
        slembench.core.errors.ConfigError: ...recipe.yaml: no variant 'slow'; there are: ...quickstart...
    """
    kind = load_model_class(model)
    file = Path(recipe) if recipe is not None else find_recipe(model)
    content = read_recipe(file) if file is not None else Recipe()
    if variant and variant not in content.variants:
        known = ", ".join(content.variants) or "none"
        raise ConfigError(f"{file or model}: no variant {variant!r}; there are: {known}")
    # exclude_unset: a variant that does not name `targets` must not reset the recipe's to the default
    values = content.model_dump(include=set(PARTS), exclude_unset=True)
    if variant:
        values = merged(values, content.variants[variant].model_dump(include=set(PARTS), exclude_unset=True))
    for key, value in parse_changes(changes).items():
        values = merged(values, _nested(key, value))
    if seed is not None:
        values = merged(values, {"training": {"seed": seed}})
    where = str(file) if file is not None else f"model {model}"
    final = parse_config(_Changes, values, where)
    return ResolvedRecipe(
        source=model,
        variant=variant,
        kind=kind,
        # checked only here: a variant alone need not be complete (a budget may stand in the recipe, or in a change)
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

    Example:
        >>> parse_changes(["training.optimizer.lr=1.0e-3", "targets=[hamiltonian]", "training.max_wall_s=null"])
        {'training.optimizer.lr': 0.001, 'targets': ['hamiltonian'], 'training.max_wall_s': None}
        >>> parse_changes(["max_steps=3"])
        Traceback (most recent call last):
        ...
        slembench.core.errors.ConfigError: change 'max_steps': the key must begin with one of model, training, targets
    """
    if isinstance(changes, Mapping):  # from Python: values are values already, "1e-3" stays a text
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
    """``base`` with ``changes`` written over it, mappings key by key, everything else as a whole.

    Example:
        >>> merged({"lr": 1e-3, "schedule": {"name": "cosine", "warmup_steps": 50}}, {"schedule": {"warmup_steps": 0}})
        {'lr': 0.001, 'schedule': {'name': 'cosine', 'warmup_steps': 0}}
    """
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
