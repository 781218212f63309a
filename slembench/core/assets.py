"""Files that travel with the package: cards and mini data, baselines, published and measured results.

In a source checkout they are the top-level folders ``datasets/``, ``baselines/`` and ``results/``;
in a wheel the same folders lie under ``slembench/_assets/``.
"""

from __future__ import annotations

import os
from pathlib import Path

from slembench.core.errors import DataError

KINDS = ("datasets", "baselines", "results")
"""Kinds of assets, each one top-level folder."""

USER_DATA_VARIABLE = "SLEMBENCH_DATA"
"""Environment variable with the user's folders of data sets, separated as in PATH; new ones go into the first."""

_PACKAGE = Path(__file__).resolve().parents[1]  # the folder slembench/ of a checkout or of site-packages


def asset_roots(kind: str) -> list[Path]:
    """Folders searched for assets of one kind, in order; the shipped folder is the first.

    Args:
        kind: one of `KINDS`. For ``datasets`` the folders of the environment variable
            SLEMBENCH_DATA (see `user_data_folder`) follow the shipped one, so a shipped file is never hidden by
            a user's.

    Returns:
        Absolute folders; the user's own exist, the shipped one may not.

    Raises:
        DataError: an unknown kind, or a folder in SLEMBENCH_DATA that does not exist.
    """
    if kind not in KINDS:
        raise DataError(f"unknown kind of asset {kind!r}; use one of {', '.join(KINDS)}")
    shipped = _PACKAGE / "_assets"  # there in a wheel only
    roots = [(shipped if shipped.is_dir() else _PACKAGE.parent) / kind]
    if kind == "datasets":
        roots += _user_folders() or [folder for folder in [user_data_folder()] if folder.is_dir()]
    return roots


def asset_path(kind: str, *parts: str) -> Path:
    """Path of one shipped file or folder, e.g. ``asset_path("datasets", "mos2-mini", "card.yaml")``.

    Args:
        kind: one of `KINDS`.
        parts: path below the kind's folder, one component each.

    Returns:
        Absolute path of the first match in `asset_roots`; it exists.

    Raises:
        DataError: nothing there; the message names the places that were searched.

    Example:
        >>> asset_path("datasets", "mos2-mini", "card.yaml").read_text().splitlines()[0]
        'name: mos2-mini'
    """
    roots = asset_roots(kind)
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    searched = ", ".join(str(root) for root in roots)
    hint = f"; set {USER_DATA_VARIABLE} to search your own folder too" if kind == "datasets" else ""
    raise DataError(f"{'/'.join((kind, *parts))} does not exist (searched {searched}){hint}")


def list_assets(kind: str) -> list[str]:
    """Names of the asset folders of one kind, sorted, without duplicates.

    Args:
        kind: one of `KINDS`.

    Raises:
        DataError: an unknown kind, or a folder in SLEMBENCH_DATA that does not exist.
    """
    found = (entry for root in asset_roots(kind) if root.is_dir() for entry in root.iterdir())
    return sorted({entry.name for entry in found if entry.is_dir() and not entry.name.startswith((".", "_"))})


def user_data_folder() -> Path:
    """Folder where downloaded and imported data sets are kept: the first one of SLEMBENCH_DATA.

    Where the variable is not set it is the user's data folder of the operating system, such as
    ``~/.local/share/slembench/datasets``; that one may not exist yet.

    Raises:
        DataError: a folder in SLEMBENCH_DATA that does not exist.
    """
    from platformdirs import user_data_path

    folders = _user_folders()
    return folders[0] if folders else user_data_path("slembench") / "datasets"


def _user_folders() -> list[Path]:
    parts = os.environ.get(USER_DATA_VARIABLE, "").split(os.pathsep)
    folders = [Path(part).expanduser().resolve() for part in parts if part]
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{USER_DATA_VARIABLE}: {folder} is not a folder")
    return folders
