"""The index of committed results: what was recorded, so that nothing disappears and no score changes unnoticed.

``results/index.csv`` has one line for each folder with a record: the sha256 of its content, its headline scores and its
state. Lines are added by a command and never rewritten, except that an entry may be superseded or withdrawn, with the
reason; it stays on the board then, and is not ranked.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from slembench.core.errors import DataError
from slembench.core.files import sha256, write_text
from slembench.metrics.scores import ScoreName
from slembench.results.record import RECORD_FILE, RunRecord, read_record

INDEX_FILE = "index.csv"
HEADLINE = ("mae_all", "full", "pooled")
"""Metric, counting and average of the scores that stand in the index."""

StateKind = Literal["active", "superseded", "withdrawn"]
STATES: tuple[StateKind, ...] = ("active", "superseded", "withdrawn")


@dataclass(frozen=True)
class State:
    """Whether an entry is ranked.

    Attributes:
        kind: only active entries are.
        reason: why it is not; empty for active ones.
        successor: path of the entry that supersedes it.
    """

    kind: StateKind = "active"
    reason: str = ""
    successor: str = ""  # empty for an entry that was withdrawn: nothing took its place


ACTIVE = State()


@dataclass(frozen=True)
class IndexEntry:
    """One line of the index.

    Attributes:
        path: folder of the record, relative to the index, with "/".
        dataset, revision, split, targets, model, name, seed: as in the record; seed is empty without training.
        sha256: over names and sha256 of all files in the folder.
        scores: headline scores, ``name=value`` separated by spaces.
        state, reason, successor: as in `State`.
    """

    path: str
    dataset: str
    revision: str
    split: str
    targets: str
    model: str
    name: str
    seed: str
    sha256: str
    scores: str
    state: StateKind = "active"
    reason: str = ""
    successor: str = ""

    @property
    def status(self) -> State:
        """State of the entry."""
        return State(self.state, self.reason, self.successor)


COLUMNS = tuple(field.name for field in fields(IndexEntry))


def read_index(root: str | Path) -> dict[str, IndexEntry]:
    """Entries of ``root``/index.csv by path, in the order of the file; none where there is no such file.

    Raises:
        DataError: another header, a path that stands there twice, an unknown state, or a retired entry without reason;
            names the line.

    Example:
        >>> from slembench.core.assets import asset_roots
        >>> entries = read_index(asset_roots("results")[0])
        >>> entries["runs/mos2-mini/slem-reference/test"].dataset
        'mos2-mini'
    """
    path = Path(root) / INDEX_FILE
    if not path.is_file():
        return {}
    try:
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as CSV: {error}") from error
    if tuple(header) != COLUMNS:
        raise DataError(f"{path}: columns must be {', '.join(COLUMNS)}; found {', '.join(header) or 'nothing'}")
    entries: dict[str, IndexEntry] = {}
    for line, row in enumerate(rows, start=2):
        where = f"{path}:{line}"
        if len(row) != len(COLUMNS):
            raise DataError(f"{where}: {len(row)} columns instead of {len(COLUMNS)}")
        cells = dict(zip(COLUMNS, row))
        if cells["state"] not in STATES:
            raise DataError(f"{where}: column 'state': {cells['state']!r} is not one of {', '.join(STATES)}")
        if (cells["state"] == "active") == bool(cells["reason"]):
            raise DataError(f"{where}: column 'reason': an entry that is not active has one, an active one has none")
        if (cells["state"] == "superseded") != bool(cells["successor"]):
            raise DataError(f"{where}: column 'successor': a superseded entry has one, others have none")
        if cells["path"] in entries:
            raise DataError(f"{where}: path {cells['path']!r} stands there twice")
        kind: StateKind = next(kind for kind in STATES if kind == cells["state"])
        entries[cells["path"]] = IndexEntry(**{**cells, "state": kind})  # type: ignore[arg-type]
    return entries


def write_index(entries: Iterable[IndexEntry], root: str | Path) -> Path:
    """Write ``root``/index.csv atomically, in order of the paths; returns its path."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in sorted(entries, key=lambda entry: entry.path))
    return write_text(Path(root) / INDEX_FILE, stream.getvalue())


def index_entry(folder: Path, root: Path) -> IndexEntry:
    """Line of a folder with a record, as it is now.

    Raises:
        DataError: a record that is refused.
    """
    record = read_record(folder)
    # The same text as `sha256sum *` would give in another layout: a changed, added or removed file changes the digest.
    content = "".join(f"{path.name} {sha256(path)}\n" for path in sorted(folder.iterdir()) if path.is_file())
    return IndexEntry(
        path=folder.relative_to(root).as_posix(),
        dataset=record.dataset,
        revision=str(record.dataset_revision),
        split=record.split,
        targets=" ".join(record.targets),
        model=record.model,
        name=record.name,
        seed="" if record.training is None else str(record.training.seed),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        scores=headline(record),
    )


def headline(record: RunRecord) -> str:
    """Headline scores of a record as text, every digit of them."""
    # repr gives the shortest text that reads back as the same float64, so a change in the last digit is seen.
    names = [str(ScoreName(operator, *HEADLINE)) for operator in record.targets]
    return " ".join(f"{name}={record.scores[name].value!r}" for name in names if name in record.scores)


def add_entries(root: str | Path) -> list[IndexEntry]:
    """Add every folder with a record that is not in the index yet.

    Returns:
        What was added.

    Raises:
        DataError: an entry of the index was changed or is gone; nothing is written then.
    """
    root = Path(root)
    known = read_index(root)
    # Adding must not hide that something else changed: the index is the memory of what was published.
    problems = [text for entry in known.values() for text in _changed(entry, root)]
    if problems:
        raise DataError(
            f"{problems[0]} ({len(problems)} such entries); put it back, record the new one beside it, and supersede "
            "or withdraw the old one"
        )
    new = [index_entry(folder, root) for folder in record_folders(root) if _relative(folder, root) not in known]
    write_index([*known.values(), *new], root)
    return new


def retire(root: str | Path, path: str, reason: str, successor: str = "") -> IndexEntry:
    """Mark an entry as withdrawn, or as superseded where another one takes its place.

    Args:
        root: folder of the index.
        path: of the entry, as in the index.
        reason: why.
        successor: path of the entry that takes its place.

    Raises:
        DataError: no such active entry, no reason, or a successor that is no active entry of the same data set.
    """
    known = read_index(root)
    entry, other = known.get(path), known.get(successor)
    if entry is None or entry.state != "active":
        raise DataError(f"{Path(root) / INDEX_FILE}: no active entry {path!r}")
    if not reason.strip():
        raise DataError("a reason is needed; it stands on the board")
    if successor and (other is None or other.state != "active" or other.dataset != entry.dataset or other == entry):
        raise DataError(f"{successor!r} is no other active entry of data set {entry.dataset}")
    state: StateKind = "superseded" if successor else "withdrawn"
    # White space is folded, so that no reason can break the line of the CSV or the table of a board.
    known[path] = replace(entry, state=state, reason=" ".join(reason.split()), successor=successor)
    write_index(known.values(), root)
    return known[path]


def check_index(root: str | Path) -> list[str]:
    """What is wrong with the committed results; empty where nothing is.

    Looked for: an entry of the index that is gone or was changed, a folder that is not in the index, and two active
    entries that are the same run.

    Raises:
        DataError: an index or record that is refused.
    """
    root = Path(root)
    known = read_index(root)
    problems = [text for entry in known.values() for text in _changed(entry, root)]
    there = [_relative(folder, root) for folder in record_folders(root)]
    problems += [f"{path}: not in the index; run `slembench dev results add`" for path in there if path not in known]
    seen: dict[tuple[str, ...], str] = {}
    for entry in known.values():
        key = (entry.dataset, entry.revision, entry.split, entry.targets, entry.model, entry.name, entry.seed)
        if entry.state == "active" and key in seen:
            problems.append(f"{entry.path}: same data set, split, targets, model, name and seed as {seen[key]}")
        elif entry.state == "active":
            seen[key] = entry.path
        if entry.successor and entry.successor not in known:
            problems.append(f"{entry.path}: its successor {entry.successor!r} is not in the index")
    return problems


def record_folders(root: Path) -> list[Path]:
    """Folders with a record below ``root``, sorted."""
    return sorted(path.parent for path in root.rglob(RECORD_FILE))


def states(root: str | Path) -> dict[Path, State]:
    """Folder -> state of every entry of an index that is not active."""
    # Resolved, since runs are found under paths as the user wrote them, with links and "..".
    entries = read_index(root).items()
    return {(Path(root) / path).resolve(): e.status for path, e in entries if e.state != "active"}


def _relative(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def _changed(entry: IndexEntry, root: Path) -> list[str]:
    folder = root / entry.path
    if not (folder / RECORD_FILE).is_file():
        return [f"{entry.path}: gone, but it is in the index"]
    now = index_entry(folder, root)
    names = [name for name in ("dataset", "revision", "split", "targets", "model", "name", "seed", "scores") if
             getattr(now, name) != getattr(entry, name)]  # fmt: skip
    if names:
        name = names[0]
        return [f"{entry.path}: {name} changed from {getattr(entry, name)!r} to {getattr(now, name)!r}"]
    return [] if now.sha256 == entry.sha256 else [f"{entry.path}: its files changed"]
