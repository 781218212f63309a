"""The whole way from run folders to tables and files; measured, floors and published stay apart."""

import csv
import json

import pytest
from typer.testing import CliRunner

import slembench
from slembench.cli import app
from slembench.core.errors import ConfigError
from slembench.data import load_card
from slembench.leaderboard.boards import Official, build_boards, official_of
from slembench.leaderboard.published import published_section
from slembench.leaderboard.runs import collect_runs
from slembench.results.published import RelatedSet, load_published


@pytest.fixture
def board(add_run):
    add_run("slem-a", [0.010, 0.020])
    add_run("slem_b", [0.040, 0.040], model="other%")
    add_run("zero", [1.0, 2.0], kind="floor", model="floor-zero")
    add_run("mean", [0.3, 0.3], kind="floor", model="floor-irreps-mean")
    return lambda **options: slembench.board("mos2-mini", runs=[add_run.root], committed=False, **options)


def test_sections_stand_apart_in_the_official_form(board):
    sections = board().sections()
    assert [section.kind for section in sections] == ["measured", "floors", "published"]
    measured, floors, published = sections
    assert [row["name"] for row in measured.rows] == ["slem-a", "slem_b"]
    assert [row["name"] for row in floors.rows] == ["mean", "zero"]
    assert measured.title == "mos2-mini r1, test, hamiltonian (full, pooled, official): measured here"
    assert published.title.startswith("MoS2: published by others, not comparable")
    assert {row["system"] for row in published.rows} >= {"SLEM", "DeepH-E3"}


def test_values_units_and_share_of_the_floor(board):
    measured, floors, _ = board().sections()
    first = measured.rows[0]
    assert first["mae_all"].value == pytest.approx(15.0)
    assert first["mae_diag"].value == pytest.approx(30.0)
    assert first["of_floor"].value == pytest.approx(5.0)
    titles = [column.title for column in measured.columns]
    assert titles[:7] == ["rank", "run", "model", "trained for", "MAE all (meV)", "of best floor (%)", "vs. row above"]
    assert "rank" not in [column.key for column in floors.columns]
    assert first["band_mae_occ"].reason == "the data set has no overlap"
    assert measured.notes[0].startswith("n/a in every row: occ. levels, occ. bands")


def test_everything_shows_every_counting_and_average(board):
    titles = [section.title for section in board().sections(everything=True) if section.kind == "measured"]
    forms = [(counting, how) for counting in ("full", "reduced") for how in ("pooled", "per_structure")]
    assert len(titles) == 4
    assert titles[0].endswith("(full, pooled, official): measured here")
    assert all(any(f"({counting}, {how}" in title for title in titles) for counting, how in forms)


@pytest.mark.parametrize(
    ("code", "basis", "theory", "flag"),
    [
        (
            "GPAW (LCAO mode), with more",
            "dzp; Mo within 7 Bohr",
            "GPAW 7.3 (LCAO mode), with more, PBE, dzp",
            "GPAW, PBE",
        ),
        ("Quantum ESPRESSO", "6-31G(2df,p)", "Quantum ESPRESSO 7.3, PBE, 6-31G(2df,p)", "Quantum ESPRESSO, PBE"),
        ("FHI-aims; tight", "NAO (tier 1)", "FHI-aims 7.3; tight, PBE, NAO", "FHI-aims, PBE"),
        ("PySCF, GPU", "def2-SVP", "PySCF 7.3, GPU, PBE, def2-SVP", "PySCF, PBE"),
    ],
)
def test_level_of_theory_in_one_line(code, basis, theory, flag):
    card = load_card("mos2-mini")
    changes = {"code": code, "version": "7.3", "functional": "PBE", "basis": basis, "pseudopotential": "x"}
    level = card.level_of_theory.model_copy(update=changes)
    found = official_of(card.model_copy(update={"level_of_theory": level}))
    assert (found.theory, found.flag) == (f"{theory}, x", flag)


def test_folders_of_results_that_are_not_there_are_named(tmp_path):
    for command in (["board"], ["board", "--html", str(tmp_path / "s")]):
        done = CliRunner().invoke(app, [*command, "--results", str(tmp_path / "none")])
        assert (done.exit_code, done.stderr) == (1, f"error: {tmp_path / 'none'}: no such folder of results\n")
    with pytest.raises(ConfigError, match=r"searched .* \(no runs, submissions, floors in it\)"):
        slembench.board(runs=(), results=tmp_path)


def test_other_data_or_split_is_never_ranked_together(add_run):
    add_run("a", [0.1])
    add_run("b", [0.2], model="b", dataset_fingerprint="e" * 64)
    add_run("c", [0.3], model="c", split_hash="b" * 64)
    boards = build_boards(collect_runs([add_run.root]), {"mos2-mini": Official(counting="reduced")})
    official = [board for board in boards if board.is_official]
    assert [len(board.models) for board in official] == [1, 1, 1]
    assert {board.key.counting for board in official} == {"reduced"}
    assert boards[: len(official)] == official


def test_files(board, tmp_path):
    paths = board().write(tmp_path / "out")
    assert [path.name for path in paths] == [f"leaderboard.{end}" for end in ("md", "tex", "csv", "json")]
    assert sorted(tmp_path.joinpath("out").iterdir()) == sorted(paths)
    rows = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    first = next(row for row in rows if (row["run"], row["metric"], row["official"]) == ("slem-a", "mae_all", True))
    assert first["value"] == pytest.approx(0.015)
    assert first["evidence"] == "recomputed"
    assert next(row for row in rows if row["metric"] == "band_mae_occ")["value"] is None
    markdown, latex = ((tmp_path / "out" / f"leaderboard.{end}").read_text() for end in ("md", "tex"))
    assert r"| 2 | slem\_b | other% | 9 steps | 40 \[40, 40\] |" in markdown
    assert r"2 & slem\_b & other\% & 9 steps & 40 [40, 40] &" in latex
    assert latex.count(r"\begin{table}") == 6
    with (tmp_path / "out" / "leaderboard.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["kind"] for row in rows} == {"measured", "floor"}
    (found,) = [
        row for row in rows
        if (row["run"], row["metric"], row["counting"], row["average"]) == ("slem-a", "mae_all", "full", "pooled")
    ]  # fmt: skip
    assert float(found["value"]) == pytest.approx(0.015)
    assert found["unit"] == "eV"
    missing = [row for row in rows if row["metric"] == "band_mae_occ"]
    assert all(row["value"] == "" and row["not_available"] == "the data set has no overlap" for row in missing)


def test_published_rows_keep_text_spread_and_operator():
    rows = load_published()
    related = RelatedSet(set="QH9", comparable=True, note="same")
    section = published_section(rows, related, ["hamiltonian"])
    assert section.title == "QH9: published by others, comparable"
    assert len(section.rows) == ((rows["dataset"] == "QH9") & (rows["target"] != "D all")).sum() == 233
    assert [row["value"] for row in section.rows if isinstance(row["value"], str)] == ["3.3-4"]
    assert sum(row["value"].spread == 0.004 for row in section.rows if not isinstance(row["value"], str)) == 2
    assert published_section(rows, RelatedSet(set="MoS2", comparable=False, note="x"), ["overlap"]) is None
    overlap = published_section(rows, RelatedSet(set="Si", comparable=False, note="x"), ["overlap"])
    assert {row["target"] for row in overlap.rows} == {"S"}


def test_floors_of_other_training_sets_are_told_apart(add_run):
    for partition in (100, 20):
        config = {"partition": partition}
        add_run(f"mean-{partition}", [0.3], kind="floor", model="floor-irreps-mean", config=config)
    floors, _ = slembench.board("mos2-mini", runs=[add_run.root], committed=False).sections()
    assert [row["partition"] for row in floors.rows] == ["100", "20"]
    assert "training set (%)" in [column.title for column in floors.columns]


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"no run of data set 'x' found .*slembench run"):
        slembench.board("x", runs=[tmp_path], committed=False)


def test_command(board, add_run, tmp_path):
    runner = CliRunner()
    options = ["board", "--runs", str(add_run.root), "--no-committed"]
    done = runner.invoke(app, [*options, "--dataset", "mos2-mini", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "mos2-mini r1, test, hamiltonian" in done.output
    assert "published by others" in (tmp_path / "out" / "leaderboard.md").read_text()
    done = runner.invoke(app, [*options, "--dataset", "nothing"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: no run of data set 'nothing'")
    assert done.stderr.count("\n") == 1


def test_default_folder_is_runs_here(add_run, monkeypatch):
    add_run("a", [0.1])
    monkeypatch.chdir(add_run.root.parent)
    assert len(slembench.board(committed=False).boards) == 4
