"""The progress bar of long work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def bar(items: Iterable[Item], text: str, total: float | None = None) -> Iterable[Item]:
    """The items, with a bar on standard error where that is a terminal; it is gone at the end.

    Args:
        items: what is worked on, one after the other.
        text: stands before the bar.
        total: number of items, where they do not know it.
    """
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, text, total, console=console, transient=True, disable=not console.is_terminal)
