"""Plans of transfer studies: trained on one kind of structures, tested on another, with 0 to n of the other's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slembench.core.errors import ConfigError
from slembench.data import Dataset
from slembench.data.splits import shuffled
from slembench.studies.designs import ModelSpec, Options, dataset_name
from slembench.studies.plan import Derived, PlannedRun, StudyPlan

By = Literal["split", "size", "composition"]

SCRATCH = "random weights"
"""Stands in the place of the source where a model is trained on the few target structures alone."""


@dataclass(frozen=True)
class Domain:
    """Structures of one kind, divided.

    Attributes:
        name: of the kind; names its test split.
        train: structures to learn or to fine-tune from, in a fixed random order.
        val: structures that choose the best weights.
        test: structures that errors are measured on; no run of the study trains on them.
        source: whether models are trained on this kind first.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    source: bool = True


def domains(data: Dataset, by: By) -> list[Domain]:
    """Kinds of structures in a data set.

    ``split``: the training data are the one source, every split beyond train, val and test a target, whose structures
    are halved: the first half (in a fixed random order) is tested on, one is for validation, the rest for fine-tuning.
    ``size`` and ``composition``: structures of one number of atoms, or of one formula, each kind with its own part of
    the data set's train, val and test; kinds that lack one of the three are left out.

    Args:
        data: the data set.
        by: what makes a kind.
    """
    if by == "split":
        first = _domain("main", {name: data.split(name) for name in ("train", "val", "test")})
        extra = [name for name in data.splits if name not in ("train", "val", "test")]
        return [first, *(_halved(name, data) for name in extra)]
    kinds: dict[str, dict[str, list[str]]] = {}
    for split in ("train", "val", "test"):
        for structure in shuffled(data.split(split), data.card.splits.seed):
            atoms = data.sample(structure).atoms
            # an empirical formula, so that cells of different size of one compound are one kind
            name = str(len(atoms)) if by == "size" else atoms.get_chemical_formula(mode="hill", empirical=True)
            kinds.setdefault(name, {}).setdefault(split, []).append(structure)
    # a kind without structures for train, val or test cannot be both source and target
    complete = {name: parts for name, parts in sorted(kinds.items()) if len(parts) == 3}
    return [_domain(name, parts) for name, parts in complete.items()]


def _domain(name: str, parts: Mapping[str, Sequence[str]]) -> Domain:
    return Domain(name, tuple(parts["train"]), tuple(parts["val"]), tuple(parts["test"]))


def _halved(split: str, data: Dataset) -> Domain:
    ids = shuffled(data.split(split), data.card.splits.seed)
    # tests get the larger half: their number decides how wide the intervals are
    half = (len(ids) + 1) // 2
    return Domain(
        split.removeprefix("test_"), tuple(ids[half + 1 :]), tuple(ids[half : half + 1]), tuple(ids[:half]), False
    )


def transfer(
    data: Dataset,
    options: Options,
    *,
    by: By = "split",
    shots: Sequence[int] = (0, 1),
    tune_steps: int = 200,
    scratch: bool = True,
) -> StudyPlan:
    """Train on each kind of structures, test on every kind, and fine-tune with a few of the other kind.

    Args:
        data: the data set.
        options: models, seeds, budget of the first training.
        by: what makes a kind; see `domains`.
        shots: numbers of target structures to fine-tune with; 0 is the transfer matrix and always in the plan.
        tune_steps: optimiser steps of fine-tuning, and of training from scratch on as many structures.
        scratch: train on the same few structures from random weights too.

    Raises:
        ConfigError: only one kind, more shots than structures, or an unknown model or key.
    """
    kinds, numbers = domains(data, by), sorted({shot for shot in shots if shot > 0})
    if len(kinds) < 2:
        raise ConfigError(f"data set {data.name}: holds one kind of structures by {by}; try another --by")
    fewest = min(kinds, key=lambda kind: len(kind.train))
    if numbers and len(fewest.train) < numbers[-1]:
        raise ConfigError(
            f"data set {data.name}: {fewest.name} has {len(fewest.train)} structures to fine-tune with besides those "
            f"for validation and test; --shots asks for {numbers[-1]}"
        )
    tests = {f"test_{kind.name}": kind.test for kind in kinds}
    derived: dict[str, Derived] = {}

    def made(train: Sequence[str], val: Sequence[str], *words: object) -> str:
        """Name of the derived data set with these structures to learn from."""
        # names of data sets are folders: lower case, no other signs than dot and dash
        name = re.sub(r"[^a-z0-9.]+", "-", "-".join([data.name, *map(str, words)]).lower())
        splits = {"train": tuple(train), "val": tuple(val), **tests}
        derived[name] = Derived(source=dataset_name(data), splits=splits)
        return name

    def runs_of(spec: ModelSpec, seed: int) -> Iterator[PlannedRun]:
        base: dict[str, str] = {}
        for kind in (kind for kind in kinds if kind.source):
            name = made(kind.train, kind.val, kind.name)
            run = options.run(data, spec, seed, list(tests), _labels(kind.name, "", 0), dataset=name)
            # the key is needed before the plan is whole: a plan of this run alone gives the same one
            base[kind.name] = StudyPlan(study="transfer", derived=derived, runs=(run,)).key(run)
            yield run
        for kind in kinds:
            starts = {source: key for source, key in base.items() if source != kind.name}
            for number in numbers if starts else ():
                name = made(kind.train[:number], kind.val, kind.name, number)
                for source, key in [*starts.items(), *([(SCRATCH, "")] if scratch else [])]:
                    labels = _labels(source, kind.name, number)
                    yield options.run(
                        data, spec, seed, list(tests), labels, dataset=name, steps=tune_steps, init_from=key
                    )

    runs = [run for spec in options.models for seed in options.seeds for run in runs_of(spec, seed)]
    return StudyPlan(study="transfer", derived=derived, runs=tuple(runs))


def _labels(source: str, target: str, shots: int) -> dict[str, str | int | float]:
    return {"source": source, "target": target, "shots": shots}
