"""Conversion between file formats, one structure in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from slembench.core.errors import DataError
from slembench.data.card import Card
from slembench.data.catalogue import list_datasets, load_card
from slembench.data.formats import FORMATS, read_samples, write_samples
from slembench.data.formats.parquet import aligned
from slembench.data.official_card import list_official
from slembench.data.sample import Sample
from slembench.data.store import Header
from slembench.data.store import write_samples as write_store
from slembench.operators.blocks import BlockMatrix
from slembench.operators.orbitals import Basis
from slembench.operators.units import energy_factor


@dataclass
class Source:
    """Samples of a path, read anew each time that they are iterated.

    Attributes:
        path: file or folder.
        name: format; detected where it is None.
        options: of the format's reader.
        renumber: give the ids 0, 1, 2 ... instead of those of the source.
        operators: names of all operators seen, once iterated.
        count: structures of the last iteration.
    """

    path: Path
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    renumber: bool = False
    operators: set[str] = field(default_factory=set)
    count: int = 0

    def __iter__(self) -> Iterator[Sample]:
        self.count = 0
        for number, sample in enumerate(read_samples(self.path, self.name, **self.options)):
            self.operators |= set(sample.operators)
            self.count += 1
            yield replace(sample, id=str(number)) if self.renumber else sample


def convert(source: Source, target: str, out: Path) -> list[str]:
    """Write all samples in another format, or as a data set's card wants them.

    Args:
        source: what to read.
        target: a format that is written, or the name of a data set: then a Parquet file in the units and with the
            shells and operators of its card.
        out: file or folder to write; must not exist.

    Returns:
        Operators that the target cannot hold and that were left out.

    Raises:
        DataError: something at ``out``, an unknown target, or anything that reader or writer refuse.
    """
    if out.exists():
        raise DataError(f"{out}: exists already; remove it first, or write somewhere else")
    if target in FORMATS:
        write_samples(source, out, target)
        return sorted(source.operators - set(FORMATS[target].operators))
    if target in list_datasets():
        card = load_card(target)
        header = Header(card.basis, card.units.energy, card.energy_zero, tuple(card.operators))
        write_store(out, (fit_to_card(sample, card, str(out)) for sample in source), header)
        return sorted(source.operators - set(card.operators))
    if target in list_official():
        raise DataError(f"{target} is an official set: run `slembench data get {target} --from {source.path}`")
    writable = ", ".join(name for name, item in FORMATS.items() if item.write is not None)
    raise DataError(
        f"unknown target {target!r}; formats that are written: {writable}; data sets: {', '.join(list_datasets())}"
    )


def fit_to_card(sample: Sample, card: Card, where: str) -> Sample:
    """The sample in the energy unit of a data set and with its operators only.

    Raises:
        DataError: an element or shells that the card does not have, or an operator that is missing.
    """
    place = f"{where}: structure {sample.id!r}"
    basis = Basis.parse(card.basis)
    # shells must be equal, not only as many: 3s2p of one basis set are other functions than 3s2p of another, but that
    # no file tells; shells that differ are the error that can be found
    for z in sorted(set(sample.atoms.numbers.tolist())):
        if basis.shells.get(z) != sample.basis.shells[z]:
            here = Basis({z: sample.basis.shells[z]}).to_dict()
            raise DataError(f"{place}: key 'basis': {here}, data set {card.name} has {basis.to_dict()}")
    missing = [name for name in card.operators if name not in sample.operators]
    if missing:
        raise DataError(f"{place}: key {missing[0]!r}: missing, and data set {card.name} needs it")
    # S and D are dimensionless; the Hamiltonian, the total energy and the Fermi level change with the unit
    factor = energy_factor(sample.info.energy_unit, card.units.energy)
    energy, level = sample.info.energy, sample.info.fermi_level
    info = replace(
        sample.info,
        energy_unit=card.units.energy,
        energy_zero=card.energy_zero,
        energy=None if energy is None else energy * factor,
        fermi_level=None if level is None else level * factor,
    )
    operators: dict[str, BlockMatrix] = {}
    for name in card.operators:
        operator = sample.operators[name]
        operators[name] = replace(operator * factor if name == "hamiltonian" else operator, basis=basis)
    return aligned(replace(sample, basis=basis, operators=operators, info=info))
