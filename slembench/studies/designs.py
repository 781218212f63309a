"""Plans of the studies that need nothing but runs on a data set: data efficiency, seeds, locality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slembench.data import Dataset
from slembench.data.splits import PARTITIONS
from slembench.errors import ConfigError
from slembench.harness import load_settings
from slembench.studies.choices import Options, check_factors, dataset_name
from slembench.studies.plan import Derived, Plan, PlannedRun


def data_efficiency(
    datasets: Iterable[Dataset],
    options: Options,
    fractions: Sequence[float] = (1, 0.8, 0.6, 0.4, 0.2),
    splits: Sequence[str] = (),
) -> Plan:
    """Every model on nested parts of the training split, with the same budget on each.

    Args:
        datasets: the data sets.
        options: models, seeds, budget.
        fractions: of the training split, each one of 1, 0.8, 0.6, 0.4, 0.2.
        splits: to score; by default all but train and val.

    Raises:
        ConfigError: another fraction, or an unknown model or key; DataError: an unknown split.
    """
    percents = [round(100 * fraction) for fraction in fractions]
    if not set(percents) <= set(PARTITIONS) or len(set(percents)) < len(percents):
        known = ", ".join(f"{p / 100:g}" for p in PARTITIONS)
        raise ConfigError(f"fractions {', '.join(f'{f:g}' for f in fractions)}: each must be one of {known}, once")
    runs = [
        options.run(
            data,
            choice,
            seed,
            data.test_splits(splits),
            {"n_train": len(data.partition(percent)), "fraction": percent / 100},
            partition=percent,
        )
        for data in datasets
        for choice in options.models
        for percent in percents
        for seed in options.seeds
    ]
    return Plan(study="data-efficiency", runs=tuple(runs))


def seeds(datasets: Iterable[Dataset], options: Options, partition: int = 100, splits: Sequence[str] = ()) -> Plan:
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
            choice,
            seed,
            data.test_splits(splits),
            {"n_train": len(data.partition(partition))},
            partition=partition,
        )
        for data in datasets
        for choice in options.models
        for seed in options.seeds
    ]
    return Plan(study="seeds", runs=tuple(runs))


def locality(
    data: Dataset,
    options: Options,
    factors: Sequence[float] = (1.0, 0.8, 0.6),
    layers: Sequence[int] = (1, 2, 3),
    splits: Sequence[str] = (),
) -> Plan:
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
    if not data.card.periodic and any(factor != 1 for factor in factors):
        raise ConfigError(f"data set {data.name}: cutoffs are shortened for crystals only; use --factors 1")
    derived: dict[str, Derived] = {}
    runs: list[PlannedRun] = []
    for factor in factors:
        name = None
        if factor != 1:
            name = f"{data.name}-cutoff-{factor:g}"
            derived[name] = Derived(source=dataset_name(data), cutoff_factor=factor)
        for choice in options.models:
            for depth in layers:
                for seed in options.seeds:
                    more = {"model.n_layers": depth}
                    model = load_settings(
                        choice.model, variant=choice.variant, changes={**options.all_changes(), **more}
                    )
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
                        options.run(data, choice, seed, data.test_splits(splits), labels, dataset=name, more=more)
                    )
    return Plan(study="locality", derived=derived, runs=tuple(runs))
