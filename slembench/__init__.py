"""slembench: a benchmark of machine-learned DFT operators in localised-orbital bases.

The public functions are loaded on first use, so that ``import slembench`` costs nothing::

    import slembench

    records = slembench.run("mos2-mini", "slem", variant="quickstart", out="runs/first")
    print(records["test"].scores["hamiltonian.mae_all.full.pooled"])
    print(slembench.board("mos2-mini", runs=["runs"]).text())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from slembench._version import __version__

if TYPE_CHECKING:
    from slembench.data import load_dataset
    from slembench.evaluation import evaluate
    from slembench.harness import run
    from slembench.inference import predict
    from slembench.leaderboard import board
    from slembench.training import train

__all__ = ["__version__", "board", "evaluate", "load_dataset", "predict", "run", "train"]

_PUBLIC = {
    "load_dataset": "slembench.data",
    "evaluate": "slembench.evaluation",
    "run": "slembench.harness",
    "predict": "slembench.inference",
    "board": "slembench.leaderboard",
    "train": "slembench.training",
}
"""Public function -> package that defines it. No package or module directly below slembench has one of these names."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'slembench' has no attribute {name!r}")
    function = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = function  # the next look-up finds it directly
    return function


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
