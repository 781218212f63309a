"""What a training tells: one JSON object a line in ``log.jsonl``, and a progress bar on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from slembench.core.files import write_text


class JsonLog:
    """Append-only log; each row has an ``event`` and a ``step``."""

    def __init__(self, path: Path) -> None:
        """A log at ``path``; the file is made by the first row."""
        self.path = path

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append a row, flushed to the file at once. Numbers are written so that they read back to the bit."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "step": step, **values}) + "\n")

    def rows(self, event: str | None = None) -> list[dict[str, Any]]:
        """All complete rows, or those of one event; a half-written last line is left out."""
        if not self.path.is_file():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return [row for row in rows if event in (None, row["event"])]

    def cut_back(self, step: int) -> None:
        """Drop the rows after ``step`` (written by a run that was killed after its last checkpoint), atomically."""
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step))


class Bar:
    """Progress of one task; shows nothing where the output is not a terminal."""

    def __init__(self, progress: Progress, total: float) -> None:
        """A task of ``progress`` that is done at ``total``."""
        self.progress = progress
        self.task = progress.add_task("", total=total)

    def update(self, done: float, text: str) -> None:
        """Show how much is done, and a few words."""
        self.progress.update(self.task, completed=done, description=text)


@contextmanager
def progress_bar(total: float, show: bool = True) -> Iterator[Bar]:
    """A bar on stderr, up to ``total``; hidden without a terminal or with ``show`` false."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not (show and console.is_terminal),
        refresh_per_second=2,
    ) as progress:
        yield Bar(progress, total)
