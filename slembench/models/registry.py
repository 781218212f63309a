"""Where models come from: shipped ones, baseline folders, anybody's folder or class, installed packages.

One public door for all: a model is a subclass of `OperatorModel`, named by

* the name of a shipped model (``slem``) or of a folder under ``baselines/`` with a ``model.py`` (``deeph-e3`` is
  the folder ``deeph_e3``: a dash in a name may be an underscore in the folder's);
* the path of any such folder; its ``model.py`` defines one subclass, or names it in ``MODEL``, and may import other
  files of the folder relatively (``from .layers import Block``);
* ``package.module:Class``;
* the name of an entry point in the group ``slembench.models`` of an installed package.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from slembench.assets import asset_path, list_assets
from slembench.errors import ConfigError
from slembench.models.contract import OperatorModel

SHIPPED = {
    "slem": "slembench.models.slem:Slem",
    "lem": "slembench.models.lem:Lem",
    "harmose": "slembench.models.harmose:Harmose",
}
"""Name -> class of the models inside the package; imported only when asked for."""


def load_model_class(name: str) -> type[OperatorModel]:
    """Model class by name, folder, ``module:Class`` or entry point.

    Args:
        name: see the module's text.

    Raises:
        ConfigError: nothing of that name, a folder without ``model.py``, or no single model class in it.
    """
    if name in SHIPPED:
        return _from_reference(SHIPPED[name])
    folder = _model_folder(name)
    if folder is not None:
        return _from_folder(folder)
    if ":" in name:
        return _from_reference(name)
    found = entry_points(group="slembench.models", name=name)
    if found:
        return _checked(next(iter(found)).load(), f"entry point {name!r}")
    raise ConfigError(
        f"no model {name!r}: not one of {', '.join(model_names())}, not a folder with a model.py, "
        "not package.module:Class, and no installed package offers it (entry point group 'slembench.models')"
    )


def model_names() -> list[str]:
    """Names that `load_model_class` knows without a path: shipped, baselines and entry points, sorted."""
    folders = [name for name in list_assets("baselines") if _has_model(asset_path("baselines", name))]
    names = {name.replace("_", "-") for name in folders}
    return sorted({*SHIPPED, *names, *(e.name for e in entry_points(group="slembench.models"))})


def baseline_folder(name: str) -> Path | None:
    """Folder under ``baselines/`` of a model's name, with dashes or underscores; None where there is none."""
    for folder in (name, name.replace("-", "_")):
        if folder in list_assets("baselines"):
            return asset_path("baselines", folder)
    return None


def _model_folder(name: str) -> Path | None:
    baseline = baseline_folder(name)
    if baseline is not None and _has_model(baseline):
        return baseline
    path = Path(name)
    if not path.is_dir():
        return None
    if not _has_model(path):
        raise ConfigError(f"{path}: a model folder needs a model.py")
    return path


def _has_model(folder: Path) -> bool:
    return (folder / "model.py").is_file()


def _from_folder(folder: Path) -> type[OperatorModel]:
    """Class of a folder, imported afresh as a package of its own, under a name made of its path."""
    folder = folder.resolve()
    file = folder / "model.py"
    package = f"slembench_model_{folder.name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    _forget(package)
    parent = ModuleType(package)
    parent.__path__ = [str(folder)]
    sys.modules[package] = parent
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(f"{package}.model")
    except Exception as error:
        _forget(package)
        raise ConfigError(f"{file}: cannot be imported: {type(error).__name__}: {error}") from error
    return _only_model(module, str(file))


def _forget(package: str) -> None:
    """Drop a package and its modules from those that are imported."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _only_model(module: ModuleType, where: str) -> type[OperatorModel]:
    if hasattr(module, "MODEL"):
        return _checked(module.MODEL, where)
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, OperatorModel)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if len(own) != 1:
        names = ", ".join(c.__name__ for c in own) or "none"
        raise ConfigError(f"{where}: needs exactly one OperatorModel subclass, or MODEL = <class>; found {names}")
    return own[0]


def _from_reference(reference: str) -> type[OperatorModel]:
    module_name, _, attribute = reference.partition(":")
    try:
        return _checked(getattr(importlib.import_module(module_name), attribute), reference)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"model {reference!r}: {error}") from error


def _checked(value: object, where: str) -> type[OperatorModel]:
    if not (inspect.isclass(value) and issubclass(value, OperatorModel)):
        raise ConfigError(f"{where}: is not a subclass of slembench.models.contract.OperatorModel")
    return value
