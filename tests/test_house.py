"""Limits of the figures that `tests/house.py` prints, and the order of folders."""

import subprocess
import sys

from .house import ROOT, SOURCE_FOLDERS, figures_of, total

PACKAGE = ROOT / "slembench"
SOURCES = [ROOT / folder for folder in SOURCE_FOLDERS]


def packages(folder):
    return {path.name for path in folder.iterdir() if (path / "__init__.py").is_file()}


def test_at_most_twenty_packages_and_no_loose_modules():
    assert len(packages(PACKAGE)) <= 20
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "_version.py"}


def test_tests_mirror_the_package():
    """Every folder of tests is named like the package whose modules it tests; `baselines` is a folder of its own."""
    ours = {p.parent.relative_to(ROOT / "tests") for p in (ROOT / "tests").rglob("test_*.py")}
    known = {p.parent.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py")} | {p.relative_to(ROOT) for p in SOURCES[1:]}
    assert not sorted(map(str, ours - known))


def test_comments():
    assert total(SOURCES).comments_per_100_lines >= 2


def test_examples():
    assert total(SOURCES).examples >= 60


def test_documented_and_typed():
    figures = total(SOURCES)
    assert figures.documented >= 0.98 * figures.public
    assert figures.typed >= 0.98 * figures.functions


def test_as_many_lines_of_tests_as_half_of_the_source():
    lines = {
        folder: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in (ROOT / folder).rglob("*.py"))
        for folder in (*SOURCE_FOLDERS, "tests")
    }
    assert lines["tests"] >= 0.5 * sum(lines[folder] for folder in SOURCE_FOLDERS)


def test_figures_are_counted_right(tmp_path):
    file = tmp_path / "x.py"
    file.write_text('"""Doc."""\n\n# why\ndef f(x):  # and this\n    """Do.\n\n    >>> f(1)\n    """\n    return "#"\n')
    figures = figures_of(file)
    assert (figures.lines, figures.comments, figures.examples) == (6, 2, 1)
    assert (figures.public, figures.documented, figures.functions, figures.typed) == (1, 1, 1, 0)


def test_the_table_is_printed():
    done = subprocess.run([sys.executable, ROOT / "tests" / "house.py"], capture_output=True, text=True, check=True)
    assert "comments/100" in done.stdout
    assert "tests : source" in done.stdout
