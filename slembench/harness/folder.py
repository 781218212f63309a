"""The folder of a run: its name, and the check that it belongs to this run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from slembench.core.config import read_yaml
from slembench.core.errors import ConfigError
from slembench.core.files import sha256, write_text
from slembench.harness.recipe import ResolvedRecipe
from slembench.training.checkpoint import find_checkpoint

CONFIG_FILE = "config.yaml"


def run_name(settings: ResolvedRecipe, request: Mapping[str, Any]) -> str:
    """Name of a run: model, variant and the first digits of the sha256 of everything that was asked for.

    Args:
        settings: resolved recipe of the run.
        request: what ``config.yaml`` will hold, without the name.
    """
    # keys sorted: the hash must not depend on the order in which a program puts them into the mapping
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]
    model = Path(settings.source).name.replace(":", "-")
    return "-".join(part for part in (model, settings.variant, digest) if part)


def init_checkpoint_hash(init_from: str | Path | None) -> dict[str, Any]:
    """Entry of the configuration for pretrained initial weights: their sha256; empty for random ones.

    Args:
        init_from: folder of a run or of a checkpoint.

    Raises:
        ConfigError: no checkpoint there.
    """
    if init_from is None:
        return {}
    found = find_checkpoint(Path(init_from))
    if found is None:
        raise ConfigError(f"{init_from}: no checkpoint to start from; give the folder of a run or of a checkpoint")
    # the weights' hash and not the path: folders are moved, and retraining in the same folder gives other weights
    return {"init_from": {"weights_sha256": sha256(found / "model.safetensors")}}


def init_run_dir(folder: Path, request: dict[str, Any], fresh: bool) -> None:
    """Begin a run's folder with its ``config.yaml``, or check that the folder holds this run.

    Args:
        folder: of the run.
        request: everything that was asked for; becomes ``config.yaml``, or must equal it.
        fresh: remove what an earlier run left there.

    Raises:
        ConfigError: it holds a run with other settings, or files of something else.
    """
    path = folder / CONFIG_FILE
    # files with the ending .part are left by writes that a kill interrupted
    strangers = folder.is_dir() and any(not entry.name.endswith(".part") for entry in folder.iterdir())
    if not path.is_file() and (strangers or folder.is_file()):
        raise ConfigError(f"{folder}: exists and is not a run (no {CONFIG_FILE}); choose another --out")
    # never without config.yaml: --fresh --out ~ must not empty a home folder
    if fresh and path.is_file():
        shutil.rmtree(folder)
    if path.is_file():
        stored = read_yaml(path)
        key = _first_difference(stored, request)
        if key:
            raise ConfigError(
                f"{folder}: holds a run with another {key}; begin again with --fresh, or choose another --out or --name"
            )
        return
    write_text(path, yaml.safe_dump(request, sort_keys=False, width=120))


def _first_difference(stored: Any, given: Any, prefix: str = "") -> str:
    """Dotted key of the first value that differs, with both values; "" where none does."""
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in [*given, *(key for key in stored if key not in given)]:
            found = _first_difference(stored.get(key), given.get(key), f"{prefix}.{key}" if prefix else str(key))
            if found:
                return found
        return ""
    return "" if stored == given else f"{prefix} ({stored}, now {given})"
