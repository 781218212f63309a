"""Data sets: cards, samples, splits, and the pair set that is scored."""

from __future__ import annotations

from slembench.data.card import Card
from slembench.data.catalogue import list_datasets, load_card, load_dataset
from slembench.data.dataset import Dataset
from slembench.data.sample import Sample, SampleInfo

__all__ = ["Card", "Dataset", "Sample", "SampleInfo", "list_datasets", "load_card", "load_dataset"]
