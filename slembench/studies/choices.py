"""What the plans of all studies have in common: models with their variants, budgets, and resolved settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slembench.data import Dataset
from slembench.errors import ConfigError
from slembench.harness import Settings, load_settings
from slembench.studies.plan import PlannedRun, settings_hash


@dataclass(frozen=True)
class Choice:
    """A model with a variant of its recipe.

    Attributes:
        model: as `slembench.models.registry` understands it.
        variant: of its recipe; empty for the recipe as it stands.
    """

    model: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Choice:
        """From ``MODEL`` or ``MODEL@VARIANT``."""
        model, _, variant = text.strip().partition("@")
        return cls(model, variant)

    @property
    def text(self) -> str:
        """What `parse` makes the same choice of."""
        return f"{self.model}@{self.variant}" if self.variant else self.model

    def __str__(self) -> str:
        name = Path(self.model).name
        return f"{name}@{self.variant}" if self.variant else name


@dataclass(frozen=True)
class Options:
    """What every run of a study shares.

    Attributes:
        models: in the order of the report.
        seeds: one run each.
        changes: dotted key -> value, on top of every recipe.
        steps, cpu_s, wall_s: budget; where one is given it replaces all of the recipe's.
    """

    models: tuple[Choice, ...]
    seeds: tuple[int, ...] = (0,)
    changes: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None
    cpu_s: float | None = None
    wall_s: float | None = None

    def __post_init__(self) -> None:
        for name, values in (("models", self.models), ("seeds", self.seeds)):
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name}: give each one once, and at least one; got {[*map(str, values)]}")

    def all_changes(self, steps: int | None = None) -> dict[str, Any]:
        """Changes with the budget in them.

        Args:
            steps: optimiser steps, instead of the budget.
        """
        limits = {"max_steps": self.steps, "max_cpu_s": self.cpu_s, "max_wall_s": self.wall_s}
        if steps is not None:
            limits = dict.fromkeys(limits) | {"max_steps": steps}
        if all(value is None for value in limits.values()):
            return dict(self.changes)
        return {**{f"training.{name}": value for name, value in limits.items()}, **self.changes}

    def run(
        self,
        data: Dataset,
        choice: Choice,
        seed: int,
        splits: Sequence[str],
        labels: Mapping[str, str | int | float],
        *,
        dataset: str | None = None,
        more: Mapping[str, Any] | None = None,
        steps: int | None = None,
        **others: Any,
    ) -> PlannedRun:
        """One run of the table.

        Args:
            data: data set, or the source of a derived one.
            choice: the model.
            seed: of weights and data order.
            splits: to predict and score.
            labels: for the report.
            dataset: name of a derived data set.
            more: further changes.
            steps: optimiser steps, instead of the budget.
            others: further fields of `PlannedRun`.

        Raises:
            ConfigError: unknown model, variant or key.
        """
        changes = {**self.all_changes(steps), **(more or {})}
        settings = load_settings(choice.model, variant=choice.variant, changes=changes, seed=seed)
        return PlannedRun(
            dataset=dataset or dataset_name(data),
            fingerprint=data.fingerprint,
            model=choice.model,
            variant=choice.variant,
            changes=changes,
            settings=resolved(settings),
            seed=seed,
            splits=tuple(splits),
            labels={"data": data.name, "model": str(choice), **labels},
            **others,
        )


def check_factors(factors: Sequence[float]) -> None:
    """Refuse factors on cutoffs that are not in (0, 1].

    Raises:
        ConfigError: names the factor.
    """
    for factor in factors:
        if not 0 < factor <= 1:
            raise ConfigError(f"factor {factor:g} on the cutoffs: give factors in (0, 1], such as --factors 1,.8,.6")


def resolved(settings: Settings) -> str:
    """Hash of settings as a plan keeps it."""
    model, training = (part.model_dump(mode="json") for part in (settings.model, settings.training))
    return settings_hash(model, training, settings.targets)


def dataset_name(data: Dataset) -> str:
    """What finds a data set again: its name where that is enough, else its folder."""
    from slembench.data.catalogue import list_datasets

    return data.name if data.name in list_datasets() else str(data.root.resolve())
