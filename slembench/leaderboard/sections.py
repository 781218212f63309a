"""From a board to its tables: scores with intervals and ties, further groups of metrics, costs, physics, floors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from slembench.leaderboard.block_table import blocks_section
from slembench.leaderboard.boards import Board, other_splits
from slembench.leaderboard.facts import COST_COLUMNS, about, cost, identity, physics, physics_columns
from slembench.leaderboard.ranking import Ranked
from slembench.leaderboard.runs import Entry
from slembench.metrics.catalogue import catalogue, groups, heading, metrics_of
from slembench.tables.cells import Cell, Column, Number, Section, display_unit, format_value, with_columns

MAIN = "main"
"""Group of scores that every board begins with."""

NAMES = (
    Column("rank", "rank", names_row=True),
    Column("name", "run", align="left", names_row=True),
    Column("model", "model", align="left"),
)
"""Columns that every table of entries begins with."""

ABOUT = (
    Column("seeds", "seeds"), Column("partition", "training set", "%"), Column("n_train", "training structures"),
    Column("parameters", "parameters"), Column("train_cpu", "training CPU time", "min"),
    Column("train_minutes", "training time", "min"), Column("inference", "prediction", "ms/atom"),
    Column("memory", "memory", "MB"), Column("inputs", "given", align="left"),
    Column("evidence", "evidence", align="left"), Column("missing", "not predicted"),
)  # fmt: skip
"""Columns that end the first table."""


BRIEF = "brief"
"""Group of the one table that a terminal shows of a task."""

LEVELS = ("band_mae_occ", "eps_mae_occ")
"""Errors of occupied bands (crystals) or orbital energies (molecules); an entry has one of them at most."""


def brief_section(board: Board) -> Section:
    """The task in one table for a terminal of 80 columns: ranked models, then the floors.

    Columns: rank, model, what it was trained for, official score (of models with its 95 % interval), that as a
    percentage of the best floor's, error of occupied bands or levels, parameters.

    Args:
        board: the board; also one without models.
    """
    best = _best_floor(board)
    levels = [m for m in LEVELS if any(row.entry.number(board.key.score(m)) for row in board.models)]
    official = score_column(board, board.metric)
    columns = [
        Column("rank", "rank"),
        Column("model", "model", align="left"),
        Column("budget", "trained for", align="left"),
        Column(official.key, f"{official.heading} [95 % interval]", official.unit),
        Column("of_floor", "of best floor", "%"),
        *(
            Column(m, "occupied " + ("bands" if m.startswith("band") else "levels"), score_column(board, m).unit)
            for m in levels
        ),
        Column("parameters", "parameters"),
    ]
    rows: list[dict[str, Cell]] = []
    for kind, ranked in (*(("model", r) for r in board.models), *(("floor", r) for r in board.floors)):
        entry = ranked.entry
        row: dict[str, Cell] = {"rank": "floor" if kind == "floor" else str(ranked.rank or "-")}
        row["model"] = entry.record.model.removeprefix("floor-") if kind == "floor" else entry.record.model
        row |= {k: cell for k, cell in cost(entry).items() if k == "budget" and kind == "model"}
        row |= score_cell(board, entry, board.metric, ranked.number)
        if not ranked.number.reason:
            number = ranked.number.scaled(factor(board, board.metric))
            text = format_value(number.value)
            if kind == "model" and not math.isnan(number.low):
                # The ends of an interval are known to fewer digits than the mean.
                text += f" [{format_value(number.low, 3)}, {format_value(number.high, 3)}]"
            row[board.metric] = text
            if not math.isnan(best):
                row["of_floor"] = format_value(100 * ranked.number.value / best, 3)
        for metric in levels:
            row |= score_cell(board, entry, metric)
        parameters = entry.runs[0].record.cost.parameters
        if kind == "model" and parameters is not None:
            row["parameters"] = short_count(parameters)
        rows.append(row)
    notes = [f"{len(board.retired)} superseded or withdrawn: --group retired"] if board.retired else []
    return with_columns(Section(board.task, "measured", tuple(columns), tuple(rows), tuple(notes), BRIEF, compact=True))


def _best_floor(board: Board) -> float:
    """Ranking score of the best floor in the record's unit; NaN where there is none."""
    # A model is worth its distance from whatever trivial predictor does best here.
    return min((row.number.value for row in board.floors if not row.number.reason), default=math.nan)


def short_count(count: int) -> str:
    """A number of parameters in three digits.

    Example:
        >>> short_count(671196), short_count(4512034), short_count(950)
        ('671k', '4.51M', '950')
    """
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * scale:  # 999,600 is 1.00M, not 1000k
            return f"{count / scale:#.3g}".rstrip(".") + letter
    return str(count)


def board_sections(board: Board, boards: Sequence[Board] = (), full: bool = False) -> list[Section]:
    """Tables of one board: models, floors apart, and entries that are no longer ranked.

    Args:
        board: the board.
        boards: all boards, among which those of other splits of the same data are found.
        full: also the groups of further metrics, blocks, other splits, physics checks and costs.
    """
    sections = [_main(board)] if board.models else []
    if full and board.models:
        rows = [row.entry for row in board.models]
        further = [_group(board, group) for group in groups() if group != MAIN]
        further += [blocks_section(board), _transfer(board, boards), _physics(board, rows), _cost(board, rows)]
        sections += [section for section in further if section is not None]
    if board.floors:
        sections.append(_floors(board))
    if board.retired:
        sections.append(_retired(board))
    return sections


def score_column(board: Board, metric: str) -> Column:
    """Column of a metric, in the unit of the tables."""
    unit = board.unit(metric)
    return Column(metric, heading(metric), display_unit(unit)[0])


def score_cell(board: Board, entry: Entry, metric: str, known: Number | None = None) -> dict[str, Cell]:
    """Cell of a metric in the unit of the tables; none where the entry neither has it nor says why not.

    Args:
        board: of the entry.
        entry: whose score.
        metric: which one.
        known: number to show instead of the plain mean, such as one with an interval.
    """
    number = known or entry.number(board.key.score(metric))
    return {} if number is None else {metric: number.scaled(factor(board, metric))}


def factor(board: Board, metric: str) -> float:
    """Factor from the unit of the records to that of the tables."""
    return display_unit(board.unit(metric))[1]


def _main(board: Board) -> Section:
    best = _best_floor(board)
    columns = [*NAMES, Column("budget", "trained for", align="left")]
    for metric in _main_metrics(board):
        columns.append(score_column(board, metric))
        if metric == board.metric:
            columns += [Column("range", "range over seeds", columns[-1].unit), Column("of_floor", "of best floor", "%")]
            columns += [Column("verdict", "vs. row above", align="left")]
    rows = tuple(_main_row(board, ranked, best) for ranked in board.models)
    notes = ["order and rank: first score column, with its 95 % interval over groups of test structures"]
    # Notes say only what applies to the rows that are there.
    if len(rows) > 1:
        notes.append("vs. row above: tied rows share a rank; one seed or fewer than 20 groups resolve nothing")
    if len({row.get("budget", "") for row in rows}) > 1:
        notes.append("entries were trained with different budgets (trained for): ranks compare them all the same")
    if board.official.theory:
        notes.append(f"level of theory: {board.official.theory}")
    notes.append("given: what the model reads; evidence: how far the scores are backed (see `slembench verify --help`)")
    return with_columns(
        Section(f"{board.title}: {groups()[MAIN].title}", "measured", (*columns, *ABOUT), rows, tuple(notes), MAIN)
    )


def _main_metrics(board: Board) -> list[str]:
    official = [metric for metric in board.official.metrics if metric in catalogue()]
    return list(dict.fromkeys([board.metric, *metrics_of(MAIN), *official]))


def _main_row(board: Board, ranked: Ranked, floor: float) -> dict[str, Cell]:
    """Cells of one row; ``floor`` is the best floor's value in the record's unit, NaN where there is none."""
    entry = ranked.entry
    row: dict[str, Cell] = {"rank": str(ranked.rank or "-"), **identity(entry)}
    for metric in _main_metrics(board):
        row |= score_cell(board, entry, metric, ranked.number if metric == board.metric else None)
    if not (ranked.number.reason or math.isnan(floor)):
        row["of_floor"] = Number(100 * ranked.number.value / floor)
    spread = entry.range(board.key.score(board.metric))
    if spread:
        row["range"] = " - ".join(f"{factor(board, board.metric) * end:.4g}" for end in spread)
    if ranked.verdict:
        row["verdict"] = ranked.verdict
    return row | cost(entry) | about(entry)


def _group(board: Board, name: str) -> Section | None:
    """Table of a group of scores; None where no entry has any of them or says why not."""
    group, metrics = groups()[name], metrics_of(name)
    columns = (*NAMES, *(score_column(board, metric) for metric in metrics))
    rows = []
    for ranked in board.models:
        cells: dict[str, Cell] = {}
        for metric in metrics:
            cells |= score_cell(board, ranked.entry, metric)
        rows.append({"rank": str(ranked.rank or "-"), **identity(ranked.entry), **cells})
    if not any(metric in row for row in rows for metric in metrics):
        return None
    notes = (group.note,) if group.note else ()
    return with_columns(Section(f"{board.title}: {group.title}", "measured", columns, tuple(rows), notes, name))


def _transfer(board: Board, boards: Sequence[Board]) -> Section | None:
    """Errors of the same models on the other splits of the data, beside this one."""
    others = other_splits(board, boards)
    if not others:
        return None
    own = score_column(board, board.metric)
    columns = [*NAMES, Column(own.key, f"{own.heading}, {board.key.split}", own.unit)]
    for other in others:
        columns.append(Column(other.key.split, f"{own.heading}, {other.key.split}", own.unit))
        columns.append(Column(f"{other.key.split}/", f"{other.key.split} / {board.key.split}"))
    rows = []
    for ranked in board.models:
        row: dict[str, Cell] = {"rank": str(ranked.rank or "-"), **identity(ranked.entry)}
        row |= score_cell(board, ranked.entry, board.metric, ranked.number)
        for other in others:
            row |= _elsewhere(board, other, ranked)
        rows.append(row)
    note = "the same trained models on structures that are unlike the training set, such as larger or hotter cells"
    title = f"{board.title}: out of distribution"
    return with_columns(Section(title, "measured", tuple(columns), tuple(rows), (note,), "transfer"))


def _elsewhere(board: Board, other: Board, ranked: Ranked) -> dict[str, Cell]:
    # The key is of model, configuration and data without the split, so it finds the same trained model.
    found = next((row for row in other.models if row.entry.key == ranked.entry.key), None)
    if found is None:
        return {other.key.split: Number(math.nan, reason=f"not predicted on {other.key.split}")}
    score = other.key.score(board.metric)
    number = found.number if other.metric == board.metric else found.entry.number(score)
    if number is None or number.reason or ranked.number.reason:
        return {} if number is None else {other.key.split: number}
    cells: dict[str, Cell] = {other.key.split: number.scaled(factor(board, board.metric))}
    if ranked.number.value:
        cells[f"{other.key.split}/"] = Number(number.value / ranked.number.value)
    return cells


def _physics(board: Board, entries: Sequence[Entry]) -> Section | None:
    columns = physics_columns(entries)
    if not columns:
        return None
    rows = tuple({**identity(entry), **physics(entry, columns)} for entry in entries)
    notes = (
        "largest deviation of the trained model, relative to the mean |element| of its prediction; a model that is not "
        "exactly equivariant is listed with its measured value, not excluded",
    )
    return with_columns(
        Section(f"{board.title}: physics checks", "measured", (*NAMES[1:], *columns), rows, notes, "physics")
    )


def _cost(board: Board, entries: Sequence[Entry]) -> Section:
    rows = tuple(identity(entry) | cost(entry) for entry in entries)
    notes = ("means over seeds; times are those of the hardware named, with its threads and number format",)
    return with_columns(Section(f"{board.title}: cost", "measured", (*NAMES[1:], *COST_COLUMNS), rows, notes, "cost"))


def _floors(board: Board) -> Section:
    columns = (
        NAMES[1],
        *(score_column(board, m) for m in _main_metrics(board)),
        Column("partition", "training set", "%"),
    )
    rows = []
    for ranked in board.floors:
        row = identity(ranked.entry) | about(ranked.entry)
        for metric in _main_metrics(board):
            row |= score_cell(board, ranked.entry, metric, ranked.number if metric == board.metric else None)
        rows.append(row)
    note = "a model worse than a floor says something about the data"
    return with_columns(Section(f"{board.title}: floors", "floors", columns, tuple(rows), (note,), "floors"))


def _retired(board: Board) -> Section:
    columns = (*NAMES[1:], score_column(board, board.metric), Column("state", "state", align="left"),
               Column("reason", "reason", align="left"))  # fmt: skip
    rows = tuple(
        {**identity(e), **score_cell(board, e, board.metric), "state": e.state.kind, "reason": e.state.reason}
        for e in board.retired
    )
    title = f"{board.title}: superseded or withdrawn, not ranked"
    return with_columns(Section(title, "retired", columns, rows, (), "retired"))
