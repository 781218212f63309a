"""What the renderers write, to the letter, and the escaping of characters that mean something to a format."""

import math

import pytest

from slembench.tables.cells import Column, Number, Section
from slembench.tables.text import latex_escape, to_latex, to_markdown, to_text

SECTION = Section(
    "mos2_mini: 100% of H",
    "measured",
    (Column("name", "run", align="left"), Column("mae", "MAE all", "meV"), Column("band", "occ. bands", "meV")),
    (
        {"name": "slem_a|b", "mae": Number(1.5, 1.25, 1.75), "band": Number(0.057, spread=0.004)},
        {"name": "x & y", "mae": Number(20.0), "band": Number(math.nan, reason="no k mesh")},
    ),
    ("rows with one seed resolve nothing",),
)

TEXT = """\
mos2_mini: 100% of H
┏━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃          ┃                  ┃    occ. bands ┃
┃ run      ┃    MAE all (meV) ┃         (meV) ┃
┡━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ slem_a|b │ 1.5 [1.25, 1.75] │ 0.057 ± 0.004 │
│ x & y    │               20 │       n/a [1] │
└──────────┴──────────────────┴───────────────┘
[1] n/a: no k mesh
rows with one seed resolve nothing

"""

MARKDOWN = r"""## mos2\_mini: 100% of H

| run | MAE all (meV) | occ. bands (meV) |
|:---|---:|---:|
| slem\_a\|b | 1.5 \[1.25, 1.75\] | 0.057 ± 0.004 |
| x & y | 20 | n/a \[1\] |

- \[1\] n/a: no k mesh
- rows with one seed resolve nothing
"""

LATEX = r"""% needs \usepackage{booktabs}

\begin{table}
\centering
\caption{mos2\_mini: 100\% of H}
\begin{tabular}{lrr}
\toprule
run & MAE all (meV) & occ. bands (meV) \\
\midrule
slem\_a$|$b & 1.5 [1.25, 1.75] & 0.057 $\pm$ 0.004 \\
x \& y & 20 & n/a [1] \\
\bottomrule
\end{tabular}
\par\footnotesize [1] n/a: no k mesh
\par\footnotesize rows with one seed resolve nothing
\end{table}
"""


@pytest.mark.parametrize(
    ("render", "expected"), [(to_text, TEXT), (to_markdown, MARKDOWN), (to_latex, LATEX)], ids=["text", "md", "tex"]
)
def test_to_the_letter(render, expected):
    assert render([SECTION]) == expected


def test_a_narrow_terminal_gets_the_table_in_parts():
    names = Column("name", "run", align="left", names_row=True)
    section = Section("t", "measured", (names, *(Column(f"c{k}", f"C{k}") for k in range(9))), (
        {"name": "x", **{f"c{k}": Number(1.25 + k) for k in range(9)}},
    ))  # fmt: skip
    text = to_text([section], width=30)
    assert max(map(len, text.splitlines())) <= 30
    assert text.count("│ x   │") == 3
    for k in range(9):
        assert f" C{k} " in text
        assert f" {1.25 + k} " in text


def test_long_cells_are_folded_and_lose_nothing():
    section = Section("t", "published", (Column("source", "source", align="left"),), ({"source": "word " * 30},))
    text = to_text([section], width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("word") == 30


def test_brackets_are_no_markup_for_rich():
    section = Section("[bold]t[/bold]", "measured", (Column("a", "[red]A"),), ({"a": "[x]"},))
    assert all(word in to_text([section]) for word in ("[bold]t[/bold]", "[red]A", "[x]"))


def test_latex_escapes_every_special_character():
    assert latex_escape(r"\&%$#_{}~^") == (r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}")
    assert latex_escape("plain text 1.5 [a]") == "plain text 1.5 [a]"


def test_an_empty_leaderboard_is_empty():
    assert to_markdown([]) == "\n"
    assert "tabular" not in to_latex([])


def test_a_row_that_starts_with_a_bracket_is_no_latex_option():
    section = Section("t", "measured", (Column("a", "A"),), ({"a": "x"}, {"a": "[y]"}))
    latex = to_latex([section])
    assert r"\\" + "\n{}[y]" in latex
    assert r"\\" + "\n[y]" not in latex
