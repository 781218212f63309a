"""Figures of the source, package by package: ``python tests/house.py [FOLDER ...]`` prints them.

`tests/test_architecture.py` holds the limits. Comments are ``#`` tokens, lines are those that are neither blank nor
only a comment, and an example is a public docstring with ``>>>``.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE_FOLDERS = ("slembench", "baselines")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Figures:
    """Counts of one or more files."""

    files: int = 0
    lines: int = 0
    comments: int = 0
    public: int = 0
    documented: int = 0
    functions: int = 0
    typed: int = 0
    examples: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, f) + getattr(other, f) for f in self.__dataclass_fields__))

    @property
    def comments_per_100_lines(self) -> float:
        return 100 * self.comments / max(1, self.lines)


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public functions, classes and their public methods."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def is_overload(node: Definition) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)


def figures_of(path: Path) -> Figures:
    """Counts of one Python file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    with path.open("rb") as stream:
        comments = sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(stream.readline))
    nodes = [node for _, node in public(tree.body) if not is_overload(node)]
    functions = [node for node in nodes if not isinstance(node, ast.ClassDef)]
    texts = [ast.get_docstring(node) or "" for node in nodes]
    return Figures(
        files=1,
        lines=lines,
        comments=comments,
        public=len(nodes),
        documented=sum(bool(text) for text in texts),
        functions=len(functions),
        typed=sum(node.returns is not None for node in functions),
        examples=sum(">>>" in text for text in [*texts, ast.get_docstring(tree) or ""]),
    )


def total(paths: Iterable[Path]) -> Figures:
    """Counts of all Python files below some folders."""
    files = (file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py"))))
    return sum(map(figures_of, files), Figures())


def main(names: list[str]) -> None:
    """Print a row a package, or a row for each folder that is named."""
    folders = [Path(name) for name in names]
    if not folders:
        folders = [p for p in sorted((ROOT / "slembench").iterdir()) if p.is_dir() and any(p.rglob("*.py"))]
        folders.append(ROOT / "baselines")
    print(
        f"{'folder':24} {'files':>6} {'lines':>6} {'comments/100':>13} {'documented':>11} {'typed':>6} {'examples':>9}"
    )
    rows = [(folder.name, total([folder])) for folder in folders]
    for name, row in [*rows, ("all", sum((row for _, row in rows), Figures()))]:
        documented, typed = row.documented / max(1, row.public), row.typed / max(1, row.functions)
        print(
            f"{name:24} {row.files:6} {row.lines:6} {row.comments_per_100_lines:13.2f} {documented:11.1%} {typed:6.1%} "
            f"{row.examples:9}"
        )
    tests = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in (ROOT / "tests").rglob("*.py"))
    source = sum(
        len(p.read_text(encoding="utf-8").splitlines()) for f in SOURCE_FOLDERS for p in (ROOT / f).rglob("*.py")
    )
    print(f"tests : source {tests / source:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
