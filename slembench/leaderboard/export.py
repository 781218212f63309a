"""Tables as files: Markdown, LaTeX, and every score in long form as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slembench.files import write_text
from slembench.leaderboard.cells import Section
from slembench.leaderboard.render import to_latex, to_markdown

STEM = "leaderboard"
FORMATS = ("md", "tex", "csv", "json")
"""Endings of the files, in the order in which they are written."""


def write_exports(folder: str | Path, sections: Sequence[Section], frame: pd.DataFrame) -> list[Path]:
    """Write leaderboard.md, .tex, .csv and .json into a folder, each atomically; returns their paths.

    Args:
        folder: made where it is missing.
        sections: tables of the Markdown and LaTeX files.
        frame: long table, see `slembench.leaderboard.long`.
    """
    contents = {"md": to_markdown(sections), "tex": to_latex(sections), "csv": to_csv(frame), "json": to_json(frame)}
    return [write_text(Path(folder) / f"{STEM}.{end}", contents[end]) for end in FORMATS]


def to_csv(frame: pd.DataFrame) -> str:
    """The long table as CSV; an absent number is an empty field."""
    stream = io.StringIO()
    frame.to_csv(stream, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    return stream.getvalue()


def to_json(frame: pd.DataFrame) -> str:
    """The long table as a JSON list of objects; an absent number is null."""
    rows = [{key: _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value
