"""Where models come from: reference models, baseline folders, anybody's folder or class, installed packages.

One public door for all: a model is a subclass of `OperatorModel`, named by

* the name of a folder with a ``model.py`` under ``slembench/models`` (``slem``) or under ``baselines/`` (``deeph-e3``
  is the folder ``deeph_e3``: a dash in a name may be an underscore in the folder's);
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
from typing import TYPE_CHECKING

from slembench.core.assets import asset_path, list_assets
from slembench.core.errors import ConfigError

if TYPE_CHECKING:
    from slembench.models.contract import OperatorModel

REFERENCE = Path(__file__).resolve().parent
"""Folder of the reference models, ``slembench/models``: every folder in it that holds a ``model.py`` is one."""


def load_model_class(name: str) -> type[OperatorModel]:
    """Model class by name, folder, ``module:Class`` or entry point.

    Args:
        name: see the module's text.

    Example:
        >>> kind = load_model_class("slem")
        >>> kind.__name__, kind.Config(n_layers=2).n_layers
        ('Slem', 2)
        >>> load_model_class("deeph-e3").Config().irreps_mid
        '64x0e+32x1o+16x2e+8x3o+8x4e'

    Raises:
        ConfigError: nothing of that name, a folder without ``model.py``, or no single model class in it.
    """
    folder = model_folder(name)
    if folder is not None:
        return _from_reference_folder(folder) if folder.parent == REFERENCE else _from_folder(folder)
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
    """Names that `load_model_class` knows without a path: reference models, baselines and entry points, sorted.

    Nothing is imported: the names are those of the folders.

    Example:
        >>> {"slem", "lem", "harmose", "deeph-e3", "qhnet", "hamgnn"} <= set(model_names())
        True
    """
    return sorted({*shipped_folders(), *(e.name for e in entry_points(group="slembench.models"))})


def shipped_folders() -> dict[str, Path]:
    """Name -> folder of every model that ships: those of ``slembench/models``, then those of ``baselines/``."""
    baselines = [asset_path("baselines", name) for name in list_assets("baselines")]
    folders = [folder for folder in (*sorted(REFERENCE.iterdir()), *baselines) if _has_model(folder)]
    # reversed: where two folders have one name, the first of the list wins
    return {folder.name.replace("_", "-"): folder for folder in reversed(folders)}


def model_folder(name: str) -> Path | None:
    """Folder of a model: of a shipped one by its name (a dash may be an underscore), or a path; None if there is none.

    Raises:
        ConfigError: a folder without ``model.py``.
    """
    shipped = shipped_folders().get(name.replace("_", "-"))
    if shipped is not None:
        return shipped
    path = Path(name)
    if not path.is_dir():
        return None
    if not _has_model(path):
        raise ConfigError(f"{path}: a model folder needs a model.py")
    return path


def _has_model(folder: Path) -> bool:
    return (folder / "model.py").is_file()


def _from_reference_folder(folder: Path) -> type[OperatorModel]:
    """Class of a reference model, which is an ordinary package of slembench."""
    return _only_model(importlib.import_module(f"slembench.models.{folder.name}.model"), str(folder / "model.py"))


def _from_folder(folder: Path) -> type[OperatorModel]:
    """Class of a folder, imported afresh as a package of its own, under a name made of its path."""
    folder = folder.resolve()
    file = folder / "model.py"
    package = f"slembench_model_{folder.name}_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    _forget(package)
    # a package without __init__.py, so that `from .layers import Block` finds the files of the folder
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
    from slembench.models.contract import OperatorModel

    if hasattr(module, "MODEL"):
        return _checked(module.MODEL, where)
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, OperatorModel)
        # classes that model.py merely imports, such as a base class, are not its own
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
    from slembench.models.contract import OperatorModel  # loads torch, which names and folders do not need

    if not (inspect.isclass(value) and issubclass(value, OperatorModel)):
        raise ConfigError(f"{where}: is not a subclass of slembench.models.contract.OperatorModel")
    return value
