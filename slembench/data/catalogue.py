"""Data sets by name: those that ship with slembench and those in the folders of SLEMBENCH_DATA."""

from __future__ import annotations

from pathlib import Path

from slembench.assets import asset_roots, list_assets
from slembench.data.card import CARD_FILE, Card, read_card
from slembench.data.dataset import Dataset
from slembench.errors import DataError


def list_datasets() -> list[str]:
    """Names of all data sets that `load_dataset` finds, sorted."""
    return [name for name in list_assets("datasets") if _find(name) is not None]


def dataset_folder(name_or_path: str | Path) -> Path:
    """Folder of a data set.

    Args:
        name_or_path: a name from `list_datasets`, or a folder that holds a card.yaml.

    Raises:
        DataError: neither; lists the names there are.
    """
    found = _find(str(name_or_path)) if Path(name_or_path).name == str(name_or_path) else None
    if found is None and (Path(name_or_path) / CARD_FILE).is_file():
        found = Path(name_or_path)
    if found is None:
        known = ", ".join(list_datasets()) or "none"
        raise DataError(f"no data set {str(name_or_path)!r}: give a folder with a {CARD_FILE}, or one of: {known}")
    return found


def load_card(name_or_path: str | Path) -> Card:
    """Card of a data set, without opening its data.

    Raises:
        DataError: no such data set, or a card that is refused.
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
    """
    return Dataset(dataset_folder(name_or_path))


def _find(name: str) -> Path | None:
    folders = [root / name for root in asset_roots("datasets")]
    return next((folder for folder in folders if (folder / CARD_FILE).is_file()), None)
