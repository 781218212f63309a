"""From records and published rows to the tables of the leaderboard.

One board for each data set, split, operator, counting and average; only records with the same fingerprint of the data
and of the split share one. Floors and published rows have tables of their own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slembench.data.card import OPERATORS
from slembench.leaderboard.cells import DISPLAY_UNITS, Cell, Column, Number, Section, with_columns
from slembench.leaderboard.ranking import Ranked, rank
from slembench.leaderboard.runs import Entry, Run, join_seeds
from slembench.metrics.catalogue import catalogue
from slembench.results.published import RelatedSet

METRICS = (
    "mae_all", "mae_diag", "mae_off", "band_mae_occ", "band_mae_window", "eps_mae_occ", "homo_mae", "lumo_mae",
    "gap_mae", "s_min_eig", "mae_gauge", "rmse_all", "max_abs",
)  # fmt: skip
"""Metrics that a board shows, in order."""

HEADINGS = {
    "mae_all": "MAE all", "mae_diag": "MAE on-site", "mae_off": "MAE off-site", "mae_gauge": "MAE gauge",
    "rmse_all": "RMSE", "max_abs": "largest", "band_mae_occ": "occ. bands", "band_mae_window": "bands at E_F",
    "eps_mae_occ": "occ. levels", "homo_mae": "HOMO", "lumo_mae": "LUMO", "gap_mae": "gap",
    "s_min_eig": "smallest eig. of S",
}  # fmt: skip
"""Metric -> heading of its column."""

PUBLISHED_COLUMNS = (
    Column("system", "model", align="left", names_row=True),
    Column("params", "parameters"),
    Column("split", "split", align="left"),
    Column("target", "target", align="left"),
    Column("metric", "metric", align="left"),
    Column("value", "value"),
    Column("unit", "unit", align="left"),
    Column("evidence", "evidence", align="left"),
    Column("source", "source"),
)
"""Columns of a table of published rows; the unit is a column, because each source has its own."""

TARGETS = {"S": "overlap", "S head": "overlap", "density matrix": "density", "D all": "density"}
"""Published target -> operator; every other one is about the Hamiltonian or what follows from it."""


@dataclass(frozen=True, order=True)
class BoardKey:
    """What rows must have in common to be ranked together."""

    dataset: str
    split: str
    operator: str
    counting: str
    average: str
    revision: int
    fingerprint: str
    split_hash: str

    def score(self, metric: str) -> str:
        """Name in a record of ``metric`` on this board."""
        if catalogue()[metric].form == "elements":
            return f"{self.operator}.{metric}.{self.counting}.{self.average}"
        return f"{self.operator}.{metric}"


@dataclass(frozen=True, eq=False)
class Board:
    """Ranked models and floors of one `BoardKey`.

    Attributes:
        key: what the rows have in common.
        metric: metric that orders them.
        official: whether counting and average are the card's official ones.
        models: best first.
        floors: best first.
    """

    key: BoardKey
    metric: str
    official: bool
    models: tuple[Ranked, ...]
    floors: tuple[Ranked, ...]


@dataclass(frozen=True)
class Official:
    """What a card names as official: ordering metrics, counting and average."""

    metrics: tuple[str, ...] = ("mae_all",)
    counting: str = "full"
    average: str = "pooled"


def build_boards(runs: Iterable[Run], official: dict[str, Official]) -> list[Board]:
    """Boards of all runs: official counting and average first, then by name.

    Args:
        runs: records and folders.
        official: data set -> what its card names as official; `Official()` for others.
    """
    groups: dict[BoardKey, list[Run]] = {}
    for run in runs:
        for key in _keys(run):
            groups.setdefault(key, []).append(run)
    boards = [_board(key, group, official.get(key.dataset, Official())) for key, group in groups.items()]
    return sorted(boards, key=lambda board: (board.key.dataset, board.key.split, _order(board), board.key))


def board_sections(board: Board) -> list[Section]:
    """Tables of one board: models, and floors apart."""
    best = min((row.number.value for row in board.floors if not row.number.reason), default=math.nan)
    sections = []
    if board.models:
        rows = tuple(_row(board, ranked, best) for ranked in board.models)
        notes = ["order and rank: first score column, with its 95 % interval over groups of test structures"]
        if len(rows) > 1:
            notes.append("vs. row above: tied rows share a rank; one seed or fewer than 20 groups resolve nothing")
        title = f"{_title(board)}: measured here"
        sections.append(with_columns(Section(title, "measured", _columns(board), rows, tuple(notes))))
    if board.floors:
        rows = tuple(_row(board, ranked, math.nan) for ranked in board.floors)
        columns = tuple(c for c in _columns(board) if c.key not in ("rank", "verdict", "model"))
        note = "a model worse than a floor says something about the data"
        sections.append(with_columns(Section(f"{_title(board)}: floors", "floors", columns, rows, (note,))))
    return sections


def published_section(rows: pd.DataFrame, related: RelatedSet, operators: Sequence[str]) -> Section | None:
    """Table of published numbers for one related set, in the order and units of the sources.

    Args:
        rows: published rows of all sets.
        related: which set, and whether it may be compared.
        operators: only rows about these operators (and what follows from them).

    Returns:
        None where nothing is published.
    """
    rows = rows[rows["dataset"] == related.set]
    chosen = rows[[TARGETS.get(target, "hamiltonian") in operators for target in rows["target"]]]
    if chosen.empty:
        return None
    sources = list(dict.fromkeys(_source(row) for row in chosen.to_dict("records")))
    cells = tuple(_published_row(row, sources) for row in chosen.to_dict("records"))
    word = "comparable" if related.comparable else "not comparable with the rows above"
    notes = (related.note, *(f"source {k}: {source}" for k, source in enumerate(sources, start=1)))
    return Section(f"{related.set}: published by others, {word}", "published", PUBLISHED_COLUMNS, cells, notes)


def _keys(run: Run) -> list[BoardKey]:
    r = run.record
    forms = {tuple(name.split(".")) for name in r.scores if len(name.split(".")) == 4}
    return sorted(
        {
            BoardKey(r.dataset, r.split, op, counting, how, r.dataset_revision, r.dataset_fingerprint, r.split_hash)
            for op, _, counting, how in forms
        }
    )


def _board(key: BoardKey, runs: Sequence[Run], official: Official) -> Board:
    entries = join_seeds(runs)
    metric = next((m for m in official.metrics if any(e.number(key.score(m)) for e in entries)), "mae_all")
    higher = catalogue()[metric].direction == "higher"

    def ranked(kind: str) -> tuple[Ranked, ...]:
        chosen: list[Entry] = [entry for entry in entries if entry.record.model_kind == kind]
        return tuple(rank(chosen, key.score(metric), higher))

    is_official = (key.counting, key.average) == (official.counting, official.average)
    return Board(key, metric, is_official, ranked("model"), ranked("floor"))


def _order(board: Board) -> tuple[int, bool]:
    return (OPERATORS.index(board.key.operator), not board.official)


def _title(board: Board) -> str:
    key, mark = board.key, ", official" if board.official else ""
    return f"{key.dataset} r{key.revision}, {key.split}, {key.operator} ({key.counting}, {key.average}{mark})"


def _metrics(board: Board) -> list[str]:
    return [board.metric, *(metric for metric in METRICS if metric != board.metric)]


def _unit(board: Board, metric: str) -> str:
    """Unit word of a metric in the records of a board."""
    score = board.key.score(metric)
    scores = [run.record.scores.get(score) for row in (*board.models, *board.floors) for run in row.entry.runs]
    return next((found.unit for found in scores if found), "1")


def _columns(board: Board) -> tuple[Column, ...]:
    columns = [Column("rank", "rank", names_row=True), Column("name", "run", align="left", names_row=True)]
    columns.append(Column("model", "model", align="left"))
    for metric in _metrics(board):
        unit = _unit(board, metric)
        columns.append(Column(metric, HEADINGS[metric], DISPLAY_UNITS.get(unit, (unit, 1.0))[0]))
        if metric == board.metric:
            columns += [Column("range", "range over seeds", columns[-1].unit), Column("of_floor", "of best floor", "%")]
            columns += [Column("verdict", "vs. row above", align="left")]
    columns += [
        Column("partition", "training set", "%"), Column("n_train", "training structures"), Column("seeds", "seeds"),
        Column("parameters", "parameters"), Column("train_minutes", "training", "min"),
        Column("inference", "prediction", "ms/atom"), Column("missing", "not predicted"),
    ]  # fmt: skip
    return tuple(columns)


def _row(board: Board, ranked: Ranked, floor: float) -> dict[str, Cell]:
    """Cells of one row; ``floor`` is the best floor's value in the record's unit, NaN where there is none."""
    record = ranked.entry.record
    row: dict[str, Cell] = {"rank": str(ranked.rank or "-"), "name": record.name, "model": record.model}
    for metric in _metrics(board):
        number = ranked.number if metric == board.metric else ranked.entry.number(board.key.score(metric))
        if number is not None:
            unit = _unit(board, metric)
            row[metric] = number.scaled(DISPLAY_UNITS.get(unit, (unit, 1.0))[1])
    if not (ranked.number.reason or math.isnan(floor)):
        row["of_floor"] = Number(100 * ranked.number.value / floor)
    spread = ranked.entry.range(board.key.score(board.metric))
    if spread:
        unit = _unit(board, board.metric)
        factor = DISPLAY_UNITS.get(unit, (unit, 1.0))[1]
        row["range"] = " - ".join(f"{factor * end:.4g}" for end in spread)
    if ranked.verdict:
        row["verdict"] = ranked.verdict
    return row | _cost(ranked.entry)


def _cost(entry: Entry) -> dict[str, Cell]:
    record, row = entry.record, dict[str, Cell]()
    partition = record.training.partition if record.training else record.config.get("partition")
    if partition is not None:
        row["partition"] = str(partition)
    if record.training:
        row |= {"n_train": str(record.training.n_train), "seeds": str(len(entry.runs))}
    if record.cost.parameters is not None:
        row["parameters"] = f"{record.cost.parameters:,}"
    times = [run.record.cost.train_wall_s for run in entry.runs if run.record.cost.train_wall_s is not None]
    if times:
        row["train_minutes"] = Number(sum(times) / len(times) / 60)
    if record.cost.inference_ms_per_atom is not None:
        row["inference"] = Number(record.cost.inference_ms_per_atom)
    missing = sum(len(run.record.missing) for run in entry.runs)
    return row | ({"missing": str(missing)} if missing else {})


def _source(row: dict[Hashable, Any]) -> str:
    place, note = (f"{row[key]}" for key in ("source_locator", "note"))
    return ", ".join(text for text in (row["source"], place, note) if text)


def _published_row(row: dict[Hashable, Any], sources: Sequence[str]) -> dict[str, Cell]:
    keys = ("system", "params", "split", "target", "metric", "unit", "evidence")
    cells: dict[str, Cell] = {key: row[key] for key in keys}
    cells["value"] = row["raw"] if math.isnan(row["value"]) else Number(row["value"], spread=row["spread"])
    return cells | {"source": str(1 + sources.index(_source(row)))}
