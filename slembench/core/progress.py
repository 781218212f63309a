"""The progress bar of long work: on standard error where that is a terminal, nothing anywhere else.

All bars of a process share one display, so a bar may be opened while another one is shown (rich allows one display).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Item = TypeVar("Item")
Unit = Literal["items", "bytes", "fraction"]


def progress(items: Iterable[Item], description: str, total: float | None = None, show: bool = True) -> Iterator[Item]:
    """The items, with a bar while they are worked on.

    Args:
        items: what is worked on, one after the other.
        description: stands before the bar.
        total: number of items, where they do not know it.
        show: False for no bar, as in all but one process of a distributed training.

    Example:
        >>> [n**2 for n in progress(range(4), "squares")]
        [0, 1, 4, 9]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with ProgressBar(description, total, show=show) as bar:
        for item in items:
            yield item
            bar.advance()


class ProgressBar:
    """A bar to be moved by hand; a context manager.

    Args:
        description: stands before the bar.
        total: where the bar is full; None while it is not known.
        unit: what is counted; ``fraction`` is shown in per cent.
        show: False for no bar.

    Example:
        >>> with ProgressBar("download", total=3e6, unit="bytes") as bar:
        ...     for chunk in (1e6, 2e6):
        ...         bar.advance(chunk)
        >>> bar.completed
        3000000.0
    """

    def __init__(
        self, description: str = "", total: float | None = None, unit: Unit = "items", show: bool = True
    ) -> None:
        self.description, self.total, self.unit, self.show = description, total, unit, show
        self.completed = 0.0
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        display = _Display.open() if self.show else None
        if display is not None:
            # Markup is off: "[" in a name is no tag of rich.
            self._task = display.add_task(self.description, total=self.total, amount="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._task is not None:
            _Display.close(self._task)
            self._task = None

    @property
    def shown(self) -> bool:
        """Whether somebody sees it."""
        return self._task is not None

    def advance(self, amount: float = 1) -> None:
        """So much more is done."""
        self.update(self.completed + amount)

    def update(self, completed: float, description: str | None = None, total: float | None = None) -> None:
        """So much is done in all; with another description or total where given."""
        self.completed = completed
        self.description = self.description if description is None else description
        self.total = self.total if total is None else total
        if self._task is not None and _Display.shown is not None:
            _Display.shown.update(
                self._task,
                completed=completed,
                total=self.total,
                description=self.description,
                amount=amount_text(completed, self.total, self.unit),
            )


def amount_text(completed: float, total: float | None, unit: Unit) -> str:
    """What stands behind a bar.

    Example:
        >>> amount_text(3, 10, "items"), amount_text(3, None, "items")
        ('3/10', '3')
        >>> amount_text(1.5e9, 3e9, "bytes"), amount_text(0.25, 1.0, "fraction")
        ('1500.0/3000.0 MB', '25 %')
    """
    if unit == "fraction":
        return f"{100 * completed / total:.0f} %" if total else ""
    scale, ending, digits = (1e6, " MB", 1) if unit == "bytes" else (1.0, "", 0)
    numbers = [completed / scale] if total is None else [completed / scale, total / scale]
    return "/".join(f"{number:.{digits}f}" for number in numbers) + ending


class _Display:
    """The one display of rich that all bars of this process share; it is there while any bar is."""

    shown: Progress | None = None

    @classmethod
    def open(cls) -> Progress | None:
        """The display, begun where it is not there; None where standard error is no terminal."""
        from rich.console import Console

        if cls.shown is None:
            console = Console(stderr=True)
            if not console.is_terminal:
                return None
            # rich.progress takes a while to import, and is not needed in a pipe or a batch job
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            cls.shown = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[amount]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                refresh_per_second=2,  # the thread that draws takes its time from the work
            )
            cls.shown.start()
        return cls.shown

    @classmethod
    def close(cls, task: TaskID) -> None:
        """Remove a bar; the display goes with the last one."""
        if cls.shown is None:
            return
        cls.shown.remove_task(task)
        if not cls.shown.tasks:
            cls.shown.stop()
            cls.shown = None
