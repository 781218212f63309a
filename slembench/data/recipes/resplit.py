"""A data set with another one's structures, split by number of atoms: own card and splits, shared data files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slembench.core.config import StrictModel
from slembench.core.errors import DataError
from slembench.core.files import atomic_folder, write_text
from slembench.data.card import Card, parse_card, write_card
from slembench.data.dataset import Dataset
from slembench.data.readme import dataset_readme
from slembench.data.recipes.assemble import SPLIT_FILE, read_named
from slembench.data.splits import Splits, write_splits

RULES = Path(__file__).parent / "resplits"


class Resplit(StrictModel):
    """How one data set is divided anew.

    Attributes:
        source: name of the data set that holds the data; its folder lies beside the new one.
        sizes: split -> smallest and largest number of atoms.
        card: keys of the card that differ from the source's.
    """

    source: str
    sizes: dict[str, tuple[int, int]]
    card: dict[str, Any]


def read_resplit(name: str) -> Resplit:
    """Rule of a data set by name.

    Raises:
        DataError: no such rule, or keys that do not belong.
    """
    return read_named(RULES, name, Resplit, "rule")


def resplit(name: str, source: Path, cache: Path | None = None) -> Dataset:
    """Make the data set ``name`` beside its source; it refers to the source's data files and copies none.

    Args:
        name: of a rule, one of `list_named`(`RULES`).
        source: folder of the source data set.
        cache: see `Dataset`.

    Returns:
        The data set, in the folder ``name`` next to ``source``; replaced where it exists.

    Raises:
        DataError: another source, a structure whose size belongs to no split, or an empty split.
    """
    rule, data = read_resplit(name), Dataset(source, cache)
    if data.name != rule.source:
        raise DataError(f"{source}: key 'name': {data.name!r}, {name} is made of {rule.source!r}")
    splits = by_size({sample.id: len(sample.atoms) for sample in data.iterate()}, rule.sizes)
    out = source.resolve().parent / name
    with atomic_folder(out, replace=True) as folder:
        write_splits(folder / SPLIT_FILE, splits)
        card = _card(name, data.card, rule, splits, source.resolve().name)
        write_card(card, folder)
        data_file = folder / next(iter(card.origin.files))
        write_text(folder / "README.md", dataset_readme(card, data_file))
    return Dataset(out, cache)


def by_size(atoms: dict[str, int], sizes: dict[str, tuple[int, int]]) -> Splits:
    """Splits by number of atoms.

    Args:
        atoms: structure id -> number of atoms.
        sizes: split -> smallest and largest number of atoms.

    Raises:
        DataError: a structure of no split or of two, or a split without a structure.

    Example:
        >>> by_size({"water": 3, "ethanol": 9, "methane": 5}, {"train": (1, 5), "test": (6, 20)})
        {'train': ['methane', 'water'], 'test': ['ethanol']}
    """
    splits: Splits = {name: [] for name in sizes}
    for identifier, count in sorted(atoms.items()):
        owners = [name for name, (least, most) in sizes.items() if least <= count <= most]
        if len(owners) != 1:
            places = " and ".join(owners) or "no split"
            raise DataError(f"structure {identifier!r}: {count} atoms belong to {places}; key 'sizes' must tell one")
        splits[owners[0]].append(identifier)
    empty = [name for name, members in splits.items() if not members]
    if empty:
        raise DataError(f"split {empty[0]!r}: no structure of {sizes[empty[0]][0]} to {sizes[empty[0]][1]} atoms")
    return splits


def _card(name: str, source: Card, rule: Resplit, splits: Splits, folder: str) -> Card:
    """The source's card with the rule's keys, the new splits, paths into the source's folder, no challenging sets."""
    content = source.model_dump(mode="json", exclude_none=True)
    sizes = ", ".join(f"{split} {least} to {most}" for split, (least, most) in rule.sizes.items())
    content.pop("challenging", None)  # its samples were test structures of the source's splits
    content |= {"name": name, **rule.card}
    content["counts"] |= {"splits": {split: len(ids) for split, ids in splits.items()}}
    content["splits"] |= {"rule": f"by number of atoms: {sizes}", "file": SPLIT_FILE}
    content["origin"] = {
        "recipe": f"slembench dev generate {rule.source}, divided by size",
        "files": {f"../{folder}/{file}": checksum for file, checksum in source.origin.files.items()},
    }
    return parse_card(content, RULES / f"{name}.yaml")
