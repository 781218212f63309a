"""The plan of a scaling study: which models are measured on which data sets, at which sizes (``scaling.yaml``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from slembench.core.config import StrictModel, load_yaml
from slembench.core.errors import ConfigError
from slembench.core.files import write_text

SCALING_FILE = "scaling.yaml"


class ScalingPlan(StrictModel):
    """What `slembench.studies.scaling.measure_all` is given, data set by data set.

    Attributes:
        datasets: names or folders.
        models: each ``MODEL`` or ``MODEL@VARIANT``.
        copies: cells in each supercell of a crystal; of molecules as many sizes.
        factors: on the cutoffs, in (0, 1].
        lmaxs: largest angular momenta of the blocks; may be empty.

    Example:
        >>> plan = ScalingPlan(datasets=("mos2-mini",), models=("slem@quickstart",), lmaxs=())
        >>> plan.sizes
        {'copies': (1, 2, 4), 'factors': (1.0, 0.8, 0.6), 'lmaxs': ()}
    """

    datasets: tuple[str, ...]
    models: tuple[str, ...]
    copies: tuple[int, ...] = (1, 2, 4)
    factors: tuple[float, ...] = (1.0, 0.8, 0.6)
    lmaxs: tuple[int, ...] = (2, 4, 6)

    @property
    def sizes(self) -> dict[str, Any]:
        """Keywords of `slembench.studies.scaling.cases`."""
        return {"copies": self.copies, "factors": self.factors, "lmaxs": self.lmaxs}


def write_scaling_plan(plan: ScalingPlan, folder: Path) -> Path:
    """Write ``folder``/scaling.yaml atomically; measurements that are there stay. Returns its path.

    Raises:
        ConfigError: the folder holds something that is no scaling study.
    """
    known = (folder / SCALING_FILE).is_file()
    if not known and (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
        raise ConfigError(f"{folder}: exists and is not a scaling study (no {SCALING_FILE}); choose another --out")
    return write_text(folder / SCALING_FILE, yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False))


def read_scaling_plan(folder: Path) -> ScalingPlan:
    """The plan of a scaling study's folder.

    Raises:
        ConfigError: no such file, or one that cannot be read; names file and key.
    """
    return load_yaml(ScalingPlan, folder / SCALING_FILE)
