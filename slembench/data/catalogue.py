"""Data sets by name: those that ship with slembench, those in the folders of SLEMBENCH_DATA or the user's data folder.

A folder whose card is that of an official set (`slembench.data.official_card`) holds no data and is no data set here;
its name stands for what was imported under it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slembench.core.assets import asset_roots, list_assets
from slembench.core.errors import DataError
from slembench.data.card import CARD_FILE, Card, read_card
from slembench.data.official_card import is_official, list_official

if TYPE_CHECKING:
    from slembench.data.dataset import Dataset


def list_datasets() -> list[str]:
    """Names of all data sets that `load_dataset` finds, sorted."""
    return [name for name in list_assets("datasets") if _find(name) is not None]


def dataset_folder(name_or_path: str | Path) -> Path:
    """Folder of a data set.

    Args:
        name_or_path: a name from `list_datasets`, or a folder that holds a card.yaml.

    Raises:
        DataError: neither; lists the names there are. An official set that was not imported yet: says how to get it.
    """
    found = _find(str(name_or_path)) if Path(name_or_path).name == str(name_or_path) else None
    if found is None and (Path(name_or_path) / CARD_FILE).is_file():
        found = Path(name_or_path)
    name = Path(name_or_path).name
    if is_official(found) if found else any(is_official(root / name) for root in asset_roots("datasets")):
        raise DataError(
            f"data set {name!r} is published elsewhere and not on this machine: run `slembench data get {name}`"
            f" (`--from PATH` for a copy that you have, also a part of it)"
        )
    if found is None:
        known = ", ".join(list_datasets()) or "none"
        official = ", ".join(list_official())
        raise DataError(
            f"no data set {str(name_or_path)!r}: give a folder with a {CARD_FILE}, or one of: {known}"
            + (f"; published elsewhere (slembench data get NAME): {official}" if official else "")
        )
    return found


def load_card(name_or_path: str | Path) -> Card:
    """Card of a data set, without opening its data.

    Raises:
        DataError: no such data set, or a card that is refused.

    Example:
        >>> card = load_card("mos2-mini")
        >>> card.basis["Mo"], card.units.energy, card.counts.splits["train"]
        ('3s2p2d', 'eV', 50)
    """
    return read_card(dataset_folder(name_or_path))


def load_dataset(name_or_path: str | Path) -> Dataset:
    """Open a data set by name or folder.

    Args:
        name_or_path: a name from `list_datasets`, or a folder that holds a card.yaml.

    Returns:
        The data set; its samples are read from a memory map when asked for.

    Raises:
        DataError: no such data set, or anything `Dataset` refuses.

    Example:
        >>> dataset = load_dataset("water-qz-mini")
        >>> dataset
        Dataset('water-qz-mini', revision 1, 40 structures)
        >>> sample = dataset.sample(dataset.split("test")[0])
        >>> sample.atoms.get_chemical_formula(), sample.operators["hamiltonian"].dense().shape
        ('H2O', (117, 117))
    """
    from slembench.data.dataset import Dataset  # heavy (Arrow, torch); names and cards do without

    return Dataset(dataset_folder(name_or_path))


def _find(name: str) -> Path | None:
    folders = [root / name for root in asset_roots("datasets")]
    return next((f for f in folders if (f / CARD_FILE).is_file() and not is_official(f)), None)
