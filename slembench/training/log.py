"""The log of a training: ``log.jsonl``, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slembench.core.files import write_text


class JsonLog:
    """Append-only log; each row has an ``event`` and a ``step``.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     log = JsonLog(Path(folder) / "log.jsonl")
        ...     log.write("train", 10, loss=0.5)
        ...     log.write("validation", 10, mae={"hamiltonian": 0.02})
        ...     log.rows("validation")
        [{'event': 'validation', 'step': 10, 'mae': {'hamiltonian': 0.02}}]
    """

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
            except json.JSONDecodeError:  # the process was killed while it wrote this line
                continue
        return [row for row in rows if event in (None, row["event"])]

    def cut_back(self, step: int) -> None:
        """Drop the rows after ``step`` (written by a run that was killed after its last checkpoint), atomically."""
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows() if row["step"] <= step))
