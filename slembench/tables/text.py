"""Tables as terminal output, Markdown and LaTeX. Nothing here knows what the numbers mean."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from slembench.tables.cells import Section, grid

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip
_LONGEST = 40
_MARKDOWN = re.compile(r"([\\|_*`<>\[\]])")


def rich_group(sections: Sequence[Section], width: int = 160) -> Group:
    """All sections as one printable object of the library rich.

    Args:
        sections: the tables.
        width: characters a line; a table that is wider is printed in parts, one below the other.
    """
    parts: list[Table | Text] = []
    for section in sections:
        texts, notes = grid(section)
        parts.append(Text(section.title, style="bold"))
        if section.compact:
            parts.append(_compact_table(section, texts, width))
        else:
            parts += [_rich_table(section, texts, chosen) for chosen in column_parts(section, texts, width)]
        parts += [*(Text(note, style="dim") for note in notes), Text("")]
    return Group(*parts)


def to_text(sections: Sequence[Section], width: int = 160) -> str:
    """Plain text of at most ``width`` characters a line, without colours."""
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, highlight=False).print(rich_group(sections, width))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def column_parts(section: Section, texts: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Column numbers of each part of a table that is too wide; every part begins with the columns that name the row.

    Args:
        section: the table.
        texts: its cells.
        width: characters a line.
    """
    widths = _widths(section, texts)
    names = [k for k, column in enumerate(section.columns) if column.names_row]
    # A column takes its width, two blanks and a rule; the last rule closes the table.
    parts, free = [list(names)], width - 1 - sum(widths[k] + 3 for k in names)
    left = free
    for k in range(len(section.columns)):
        if k in names:
            continue
        # A part holds one column at least, however wide: better a line that is too long than a column that is lost.
        if widths[k] + 3 > left and len(parts[-1]) > len(names):
            parts.append(list(names))
            left = free
        parts[-1].append(k)
        left -= widths[k] + 3
    return parts


def to_markdown(sections: Sequence[Section]) -> str:
    """Markdown: a heading, a pipe table and a list of notes for each section."""
    parts = []
    for section in sections:
        _, notes = grid(section)
        lines = [f"## {_markdown(section.title)}", "", markdown_table(section)]
        lines += ["", *(f"- {_markdown(note)}" for note in notes)] if notes else []
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def markdown_table(section: Section) -> str:
    """The pipe table of a section alone.

    Example:
        >>> from slembench.tables.cells import Column, Number
        >>> columns = (Column("model", "model", align="left"), Column("mae", "MAE", "meV"))
        >>> print(markdown_table(Section("x", "measured", columns, ({"model": "slem", "mae": Number(0.6465)},))))
        | model | MAE (meV) |
        |:---|---:|
        | slem | 0.6465 |
    """
    texts, _ = grid(section)
    lines = [_pipes([c.title for c in section.columns])]
    lines += ["|" + "|".join("---:" if c.align == "right" else ":---" for c in section.columns) + "|"]
    return "\n".join([*lines, *map(_pipes, texts)])


def to_latex(sections: Sequence[Section]) -> str:
    """LaTeX tables with the package booktabs, one ``table`` environment for each section."""
    parts = ["% needs \\usepackage{booktabs}"]
    for section in sections:
        texts, notes = grid(section)
        spec = "".join("r" if column.align == "right" else "l" for column in section.columns)
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex_escape(section.title)}}}"]
        lines += [
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            _ampersands([c.title for c in section.columns]),
            r"\midrule",
        ]
        lines += [*(_ampersands(row) for row in texts), r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\footnotesize {latex_escape(note)}" for note in notes]
        parts.append("\n".join([*lines, r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def latex_escape(text: str) -> str:
    r"""Text with every character that LaTeX would read as a command escaped.

    Example:
        >>> latex_escape("mos2_mini: 100 %")
        'mos2\\_mini: 100 \\%'
    """
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_markdown, cells)) + " |"


def _ampersands(cells: Sequence[str]) -> str:
    row = " & ".join(map(latex_escape, cells)) + r" \\"
    return "{}" + row if row.startswith("[") else row  # a bracket after \\ would be read as its argument


def _rich_table(section: Section, texts: Sequence[Sequence[str]], chosen: Sequence[int]) -> Table:
    table, widths = Table(), _widths(section, texts)
    for k in chosen:
        column = section.columns[k]
        heading = "\n".join(textwrap.wrap(column.title, widths[k], break_on_hyphens=False))
        table.add_column(escape(heading), justify=column.align, overflow="fold", width=widths[k])
    for row in texts:
        table.add_row(*(escape(row[k]) for k in chosen))
    return table


def _compact_table(section: Section, texts: Sequence[Sequence[str]], width: int) -> Table:
    """A table without vertical rules; what is still too long for ``width`` is folded in its own column."""
    widths = _widths(section, texts)
    # Two blanks between columns where they fit, else one, before any cell is folded.
    gap = 2 if sum(widths) + 2 * len(widths) <= width else 1
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for k, column in enumerate(section.columns):
        heading = "\n".join(textwrap.wrap(column.title, max(widths[k], 8), break_on_hyphens=False))
        table.add_column(escape(heading), justify=column.align, overflow="fold")
    for row in texts:
        table.add_row(*map(escape, row))
    return table


def _widths(section: Section, texts: Sequence[Sequence[str]]) -> list[int]:
    """Characters each column needs: whole cells up to `_LONGEST`, and the longest word of its heading."""
    headings = [max(map(len, column.title.split()), default=0) for column in section.columns]
    return [max([heading, *(min(len(row[k]), _LONGEST) for row in texts)]) for k, heading in enumerate(headings)]
