"""The rules of the house that a reader relies on: layers, sizes, documentation, no Python among the data."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from .house import is_overload, public

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "slembench"
SOURCES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    "_version", "core", "operators", "tables", "figures", "predictions", "data", "nn", "models", "metrics",
    "evaluation", "training", "inference", "results", "submission", "harness", "leaderboard", "studies", "reports",
    "suite", "cli", "__main__",
)  # fmt: skip
"""Modules and packages in order; each imports only itself and what stands before it."""

PILLARS = {"data": set(), "models": {"data.graph", "data.sample"}, "metrics": set()}
"""The three pillars, and what each may use of another one."""


def module_name(path: Path) -> str:
    """Dotted name below the package: ``data.card``; a package is named like its folder, the root is ''."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in SOURCES}


def imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Modules of the package that a source imports anywhere, dotted names below the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "slembench"):
            assert not node.level, f"{module}: relative import in line {node.lineno}; write the full name"
            base = node.module.removeprefix("slembench").removeprefix(".")
            for alias in node.names:
                submodule = f"{base}.{alias.name}".removeprefix(".")
                yield submodule if submodule in MODULES else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "slembench":
                    yield alias.name.removeprefix("slembench").removeprefix(".")


def violation(module: str, imported: str) -> str | None:
    """What is wrong with ``module`` importing ``imported``, or None."""
    layer, below = module.split(".")[0], imported.split(".")[0]
    if not below or layer == below:
        return None
    if LAYERS.index(below) > LAYERS.index(layer):
        return f"{module} imports {imported}, which lies above it"
    if layer in PILLARS and below in PILLARS and imported not in PILLARS[layer]:
        return f"{module} imports {imported}: data, models and metrics do not know each other"
    return None


def trees() -> Iterator[tuple[Path, str, ast.Module]]:
    for path in SOURCES:
        yield path, module_name(path), ast.parse(path.read_text(), filename=str(path))


def test_every_module_has_a_place_in_the_order():
    assert {name.split(".")[0] for name in MODULES} - {""} <= set(LAYERS)


def test_imports_run_downward():
    found = [violation(module, name) for _, module, tree in trees() if module for name in imports(tree, module)]
    assert not [text for text in found if text]


def test_no_circle_of_imports():
    graph = {module: set(imports(tree, module)) - {module, ""} for _, module, tree in trees() if module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "imported", "wrong"),
    [
        ("data.card", "operators.orbitals", False),
        ("operators.orbitals", "data.card", True),
        ("models.slem.model", "data.graph", False),
        ("models.slem.model", "data.card", True),
        ("metrics.matrix", "data.sample", True),
        ("evaluation", "metrics.matrix", False),
        ("training.loop", "harness", True),
        ("cli.data", "", False),
    ],
)
def test_the_rule_itself(module, imported, wrong):
    assert bool(violation(module, imported)) is wrong


def test_imports_are_found_wherever_they_stand():
    source = "def f():\n    from slembench.data import card, load_dataset\n    import slembench.metrics.matrix\n"
    assert list(imports(ast.parse(source), "x")) == ["data.card", "data", "metrics.matrix"]


def test_no_python_among_the_data():
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_import_datasets_is_hugging_face():
    code = "import datasets; print(datasets.__file__, datasets.Dataset.from_dict.__module__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    file, module = done.stdout.split()
    assert module.startswith("datasets.")
    assert not Path(file).is_relative_to(ROOT / "datasets")


def test_import_of_the_package_loads_no_heavy_library():
    code = "import sys, slembench; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pandas", "datasets", "ase"} & set(done.stdout.split())


def test_public_names_are_documented_and_typed():
    missing = []
    for path, _, tree in trees():
        if not ast.get_docstring(tree):
            missing.append(f"{path}: no docstring of the module")
        for name, node in public(tree.body):
            if not ast.get_docstring(node) and not is_overload(node):
                missing.append(f"{path}:{node.lineno}: {name} has no docstring")
            if not isinstance(node, ast.ClassDef) and node.returns is None:
                missing.append(f"{path}:{node.lineno}: {name} has no return annotation")
    assert not missing, "\n".join(missing)


def test_no_pickle_and_no_unsafe_load():
    found = []
    for path, _, tree in trees():
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {"pickle", "dill", "cloudpickle", "joblib"} & {name.split(".")[0] for name in names}:
                found.append(f"{path}:{node.lineno}: {names}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
                found += [] if safe else [f"{path}:{node.lineno}: torch.load without weights_only=True"]
    assert not found


def test_every_dependency_has_a_tested_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    pinned = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    names = {name.lower().replace("_", "-") for name, _ in pinned}
    missing = {re.split(r"[\[<>=!~;]", name)[0].strip().lower() for name in wanted} - {"slembench"} - names
    assert not missing
