"""slembench: a benchmark of machine-learned DFT operators in localised-orbital bases.

The public functions are loaded on first use, so that ``import slembench`` costs nothing::

    import slembench

    records = slembench.run("mos2-mini", "slem", variant="quickstart", out="runs/first")
    print(records["test"].scores["hamiltonian.mae_all.full.pooled"])
    print(slembench.leaderboard("mos2-mini", runs=["runs"]).text())
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slembench.data import load_dataset
    from slembench.evaluate import evaluate
    from slembench.harness import run
    from slembench.inference import predict
    from slembench.leaderboard import leaderboard
    from slembench.training import train

__version__ = "0.1.0"

__all__ = ["__version__", "evaluate", "leaderboard", "load_dataset", "predict", "run", "train"]

_PUBLIC = {
    "load_dataset": "slembench.data",
    "evaluate": "slembench.evaluate",
    "run": "slembench.harness",
    "predict": "slembench.inference",
    "leaderboard": "slembench.leaderboard",
    "train": "slembench.training",
}


class _Package(ModuleType):
    """Type of this module: a public function stays visible when a submodule has the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'slembench' has no attribute {name!r}")
        function = getattr(import_module(_PUBLIC[name]), name)
        setattr(self, name, function)
        return function

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_PUBLIC})


sys.modules[__name__].__class__ = _Package
