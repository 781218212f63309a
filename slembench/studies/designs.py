"""Plans of the studies that need nothing but runs on a data set: data efficiency, seeds, locality.

What the plans of all studies have in common: models with their variants, budgets, and resolved settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slembench.core.errors import ConfigError
from slembench.data import Dataset
from slembench.data.splits import PARTITIONS
from slembench.harness import ResolvedRecipe, load_recipe
from slembench.studies.plan import Derived, PlannedRun, StudyPlan, settings_hash


@dataclass(frozen=True)
class ModelSpec:
    """A model with a variant of its recipe.

    Attributes:
        model: as `slembench.models.registry` understands it.
        variant: of its recipe; empty for the recipe as it stands.
    """

    model: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """From ``MODEL`` or ``MODEL@VARIANT``.

        Example:
            >>> ModelSpec.parse("slem@quickstart")
            ModelSpec(model='slem', variant='quickstart')
        """
        model, _, variant = text.strip().partition("@")
        return cls(model, variant)

    @property
    def text(self) -> str:
        """What `parse` makes the same spec of."""
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

    models: tuple[ModelSpec, ...]
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

        Example:
            >>> changes = Options((ModelSpec("slem"),), cpu_s=60.0).all_changes()
            >>> changes["training.max_cpu_s"], changes["training.max_steps"]
            (60.0, None)
            >>> Options((ModelSpec("slem"),), changes={"model.n_layers": 2}).all_changes()
            {'model.n_layers': 2}
        """
        limits = {"max_steps": self.steps, "max_cpu_s": self.cpu_s, "max_wall_s": self.wall_s}
        # None takes a limit of the recipe away; without it a time limit could end fine-tuning before its steps
        if steps is not None:
            limits = dict.fromkeys(limits) | {"max_steps": steps}
        if all(value is None for value in limits.values()):
            return dict(self.changes)
        # all three are set, so that a budget replaces the recipe's instead of adding to it
        return {**{f"training.{name}": value for name, value in limits.items()}, **self.changes}

    def run(
        self,
        data: Dataset,
        spec: ModelSpec,
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
            spec: the model.
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
        settings = load_recipe(spec.model, variant=spec.variant, changes=changes, seed=seed)
        return PlannedRun(
            dataset=dataset or dataset_name(data),
            fingerprint=data.fingerprint,
            model=spec.model,
            variant=spec.variant,
            changes=changes,
            settings=resolved(settings),
            seed=seed,
            splits=tuple(splits),
            labels={"data": data.name, "model": str(spec), **labels},
            **others,
        )


def check_factors(factors: Sequence[float]) -> None:
    """Refuse factors on cutoffs that are not in (0, 1].

    Raises:
        ConfigError: names the factor.

    Example:
        >>> check_factors([1.0, 0.6])
        >>> check_factors([1.2])
        Traceback (most recent call last):
        slembench.core.errors.ConfigError: factor 1.2 on the cutoffs: give factors in (0, 1], such as --factors 1,.8,.6
    """
    for factor in factors:
        if not 0 < factor <= 1:
            raise ConfigError(f"factor {factor:g} on the cutoffs: give factors in (0, 1], such as --factors 1,.8,.6")


def resolved(settings: ResolvedRecipe) -> str:
    """Hash of settings as a plan keeps it."""
    model, training = (part.model_dump(mode="json") for part in (settings.model, settings.training))
    return settings_hash(model, training, settings.targets)


def dataset_name(data: Dataset) -> str:
    """What finds a data set again: its name where that is enough, else its folder."""
    from slembench.data.catalogue import list_datasets

    return data.name if data.name in list_datasets() else str(data.root.resolve())


def data_efficiency(
    datasets: Iterable[Dataset],
    options: Options,
    fractions: Sequence[float] = (1, 0.8, 0.6, 0.4, 0.2),
    splits: Sequence[str] = (),
) -> StudyPlan:
    """Every model on nested parts of the training split, with the same budget on each.

    Args:
        datasets: the data sets.
        options: models, seeds, budget.
        fractions: of the training split, each one of 1, 0.8, 0.6, 0.4, 0.2.
        splits: to score; by default all but train and val.

    Raises:
        ConfigError: another fraction, or an unknown model or key; DataError: an unknown split.
    """
    # parts of the training split are named by whole per cent; 0.6 * 100 is 60.00000000000001 in floating point
    percents = [round(100 * fraction) for fraction in fractions]
    if not set(percents) <= set(PARTITIONS) or len(set(percents)) < len(percents):
        known = ", ".join(f"{p / 100:g}" for p in PARTITIONS)
        raise ConfigError(f"fractions {', '.join(f'{f:g}' for f in fractions)}: each must be one of {known}, once")
    runs = [
        options.run(
            data,
            spec,
            seed,
            data.test_splits(splits),
            {"n_train": len(data.partition(percent)), "fraction": percent / 100},
            partition=percent,
        )
        for data in datasets
        for spec in options.models
        for percent in percents
        for seed in options.seeds
    ]
    return StudyPlan(study="data-efficiency", runs=tuple(runs))


def seeds(datasets: Iterable[Dataset], options: Options, partition: int = 100, splits: Sequence[str] = ()) -> StudyPlan:
    """Every model with several seeds: how much of a difference is luck.

    Args:
        datasets: the data sets.
        options: models, seeds (two at least), budget.
        partition: per cent of the training split.
        splits: to score; by default all but train and val.

    Raises:
        ConfigError: one seed, or an unknown model or key; DataError: an unknown partition or split.
    """
    if len(options.seeds) < 2:
        raise ConfigError("seeds: give two at least, such as --seeds 0,1,2")
    runs = [
        options.run(
            data,
            spec,
            seed,
            data.test_splits(splits),
            {"n_train": len(data.partition(partition))},
            partition=partition,
        )
        for data in datasets
        for spec in options.models
        for seed in options.seeds
    ]
    return StudyPlan(study="seeds", runs=tuple(runs))


def locality(
    data: Dataset,
    options: Options,
    factors: Sequence[float] = (1.0, 0.8, 0.6),
    layers: Sequence[int] = (1, 2, 3),
    splits: Sequence[str] = (),
) -> StudyPlan:
    """Error against cutoff and depth: what a strictly local model misses of what a semi-local one can see.

    With a factor below 1 the data set keeps only the blocks of pairs under the shorter cutoffs. On-site blocks are the
    same ones for all factors, so their errors can be compared.

    Args:
        data: the data set.
        options: models with a setting ``n_layers``, seeds, budget.
        factors: on the cutoffs of the data set, in (0, 1].
        layers: numbers of layers.
        splits: to score; by default all but train and val.

    Raises:
        ConfigError: a factor outside (0, 1], or below 1 for molecules, whose levels need all pairs; a model without
            layers.
        DataError: an unknown split.
    """
    check_factors(factors)
    # the levels of a molecule are those of the whole matrix: with blocks left out they mean nothing
    if not data.card.periodic and any(factor != 1 for factor in factors):
        raise ConfigError(f"data set {data.name}: cutoffs are shortened for crystals only; use --factors 1")
    derived: dict[str, Derived] = {}
    runs: list[PlannedRun] = []
    for factor in factors:
        name = None
        if factor != 1:
            name = f"{data.name}-cutoff-{factor:g}"
            derived[name] = Derived(source=dataset_name(data), cutoff_factor=factor)
        for spec in options.models:
            for depth in layers:
                for seed in options.seeds:
                    more = {"model.n_layers": depth}
                    # built for its receptive field, which depends on cutoffs and layers and is what the report plots
                    model = load_recipe(spec.model, variant=spec.variant, changes={**options.all_changes(), **more})
                    cutoffs = {z: factor * radius for z, radius in data.cutoffs.items()}
                    field = model.kind(model.model, data.basis, cutoffs, ("hamiltonian",)).receptive_field
                    labels = {
                        "cutoff": round(max(cutoffs.values()), 4),
                        "factor": factor,
                        "layers": depth,
                        "onsite_reach": round(field.onsite, 4),
                        "pair_reach": round(field.pair, 4),
                    }
                    runs.append(
                        options.run(data, spec, seed, data.test_splits(splits), labels, dataset=name, more=more)
                    )
    return StudyPlan(study="locality", derived=derived, runs=tuple(runs))
