"""The metrics as data: unit, direction, needs and definition of every name, from ``catalogue.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from slembench.core.errors import ConfigError
from slembench.operators import OPERATORS

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Need = Literal["H", "S", "D", "k-points", "electrons", "challenging", "PySCF", "model", "ensemble"]
"""What a metric may need: operators, the card's k mesh or challenging sets, PySCF, a model to call, several models."""


class Metric(BaseModel):
    """One metric.

    Attributes:
        title: one line for a table.
        formula: definition in words and symbols.
        unit: ``operator`` (energy for H, 1 for S and D), ``energy``, ``1``, or a word of its own such as ``ms``.
        direction: which way is better.
        needs: what it takes besides the predicted operator.
        form: ``elements`` has a value for each counting and average, ``structures`` one value a structure, ``split``
            one for the whole split, ``table`` a table, ``check`` a measured value of a model (`RunRecord.physics`),
            ``run`` a value of a run (`RunRecord.cost`), ``study`` one of several runs.
        over: how the values of structures become one score; only with form ``structures``.
        operators: operators that it is defined for.
        systems: kinds of system that it is defined for.
        option: option of ``slembench evaluate`` that computes it; empty: always computed.
        function: module and function that define it.
        source: where the definition comes from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    formula: str
    unit: Literal["operator", "energy", "1", "s", "ms", "bytes"]
    direction: Literal["lower", "higher", "none"]
    needs: tuple[Need, ...]
    form: Literal["elements", "structures", "split", "table", "check", "run", "study"]
    over: Literal["mean", "min", "max", "sum", "ratio"] | None = None
    operators: tuple[str, ...] = OPERATORS
    systems: tuple[Literal["molecules", "crystals"], ...] = ("molecules", "crystals")
    option: str = ""
    function: str
    source: str

    @model_validator(mode="after")
    def _consistent(self) -> Metric:
        if (self.over is not None) != (self.form == "structures"):
            raise ValueError("'over' belongs to the form 'structures', and only to it")
        return self

    def unit_of(self, operator: str, energy_unit: str) -> str:
        """Unit word of this metric for one operator, given the energy unit of the data ("1": dimensionless)."""
        if self.unit not in ("operator", "energy"):
            return self.unit
        return energy_unit if self.unit == "energy" or operator == "hamiltonian" else "1"

    def score_names(self, name: str, operator: str) -> list[str]:
        """Names of the scores of this metric, such as ``hamiltonian.mae_all.full.pooled``; none where it makes none.

        Args:
            name: of the metric.
            operator: hamiltonian, overlap or density.
        """
        if operator not in self.operators or self.form in ("table", "check", "run", "study"):
            return []
        if self.form in ("structures", "split"):
            return [f"{operator}.{name}"]
        forms = [(counting, average) for counting in ("full", "reduced") for average in ("per_structure", "pooled")]
        return [f"{operator}.{name}.{counting}.{average}" for counting, average in forms]


def read_catalogue(path: Path) -> dict[str, Metric]:
    """Metrics of a catalogue file, name -> metric, in the order of the file.

    Raises:
        ConfigError: not YAML, an unknown or missing key, or a wrong value; names file, metric and key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, Metric]).validate_python(content)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: key {'.'.join(map(str, first['loc']))!r}: {first['msg']}") from error


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Metric]:
    """The metrics of this package (do not change the mapping)."""
    return read_catalogue(CATALOGUE)


def find_metric(score: str) -> tuple[str, Metric]:
    """Operator and metric of a score name.

    Args:
        score: such as ``hamiltonian.mae_all.full.pooled`` or ``hamiltonian.band_mae_occ``.

    Raises:
        ConfigError: no score of that name can exist.
    """
    operator, _, rest = score.partition(".")
    name = rest.split(".")[0]
    metric = catalogue().get(name)
    if metric is None or score not in metric.score_names(name, operator):
        raise ConfigError(
            f"no score {score!r}; a score is operator.metric[.counting.average], metrics: {', '.join(catalogue())}"
        )
    return operator, metric
