"""Data sets: cards, samples, splits, and the pair set that is scored.

Names are imported on first use: a card is read without Arrow, pandas and torch, which opening the data needs.

Example:
    >>> from slembench.data import load_card, load_dataset
    >>> load_card("mos2-mini").elements
    ('S', 'Mo')
    >>> dataset = load_dataset("mos2-mini")
    >>> dataset.splits
    ['train', 'val', 'test', 'test_3x3']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slembench.data.card import Card
    from slembench.data.catalogue import list_datasets, load_card, load_dataset
    from slembench.data.dataset import Dataset
    from slembench.data.sample import Sample, SampleInfo

__all__ = ["Card", "Dataset", "Sample", "SampleInfo", "list_datasets", "load_card", "load_dataset"]

_MODULES = {
    "Card": "card",
    "Dataset": "dataset",
    "Sample": "sample",
    "SampleInfo": "sample",
    "list_datasets": "catalogue",
    "load_card": "catalogue",
    "load_dataset": "catalogue",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
