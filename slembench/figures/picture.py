"""A picture of a page: name, title and caption, and the function that draws it, or what is missing for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A picture that is drawn when it is wanted.

    Attributes:
        name: short name, also of its file.
        title: heading.
        caption: what is seen.
        draw: makes the figure; None where something is missing.
        missing: what is missing and how to get it; empty where there is a picture.

    Raises:
        ValueError: neither a function nor a reason, or both.

    Example:
        >>> Picture("dos", "Density of states", "", missing="The data set has no overlap.").draw is None
        True
    """

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure] | None = None
    missing: str = ""

    def __post_init__(self) -> None:
        if (self.draw is None) != bool(self.missing):
            raise ValueError(f"picture {self.name!r} is either drawn or says what is missing")
