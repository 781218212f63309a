"""The metrics as data: unit, direction, needs and definition of every name, from ``catalogue.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from slembench.errors import ConfigError

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class Metric(BaseModel):
    """One metric.

    Attributes:
        title: one line for a table.
        formula: definition in words and symbols.
        unit: ``operator`` (energy for H, 1 for S and D), ``energy`` or ``1``.
        direction: which way is better.
        needs: what it takes besides the predicted operator.
        form: ``elements`` has a value for each counting and average, ``structures`` one value a structure, ``table`` a
            table.
        over: how the values of structures become one score; only with form ``structures``.
        function: module and function that define it.
        source: where the definition comes from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    formula: str
    unit: Literal["operator", "energy", "1"]
    direction: Literal["lower", "higher", "none"]
    needs: tuple[Literal["H", "S", "D", "k-points", "electrons"], ...]
    form: Literal["elements", "structures", "table"]
    over: Literal["mean", "min", "sum"] | None = None
    function: str
    source: str

    @model_validator(mode="after")
    def _consistent(self) -> Metric:
        if (self.over is not None) != (self.form == "structures"):
            raise ValueError("'over' belongs to the form 'structures', and only to it")
        return self

    def unit_of(self, operator: str, energy_unit: str) -> str:
        """Unit word of this metric for one operator, given the energy unit of the data ("1": dimensionless)."""
        energy = self.unit == "energy" or (self.unit == "operator" and operator == "hamiltonian")
        return energy_unit if energy else "1"

    def score_names(self, name: str, operator: str) -> list[str]:
        """Names of the scores of this metric, such as ``hamiltonian.mae_all.full.pooled``; none for a table.

        Args:
            name: of the metric.
            operator: hamiltonian, overlap or density.
        """
        if self.form == "table":
            return []
        if self.form == "structures":
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
