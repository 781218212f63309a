"""Gate files: limits of scores, costs and physics checks, beyond which the suite fails.

YAML, metric -> limits::

    hamiltonian.mae_all.full.pooled: {max: 0.05, unit: eV}
    rotation: {max: 1.0e-10}
    inference_ms_per_atom: {max: 20}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from slembench.core.config import StrictModel, parse_config, read_yaml
from slembench.core.errors import ConfigError
from slembench.metrics.catalogue import catalogue
from slembench.metrics.scores import ScoreName, score_names

Limit = Annotated[float, Field(allow_inf_nan=False)]


class Threshold(StrictModel):
    """Smallest and largest accepted value of one metric.

    Example:
        >>> limit = Threshold(max=0.05, unit="eV")
        >>> limit.violation(0.07, "eV"), limit.violation(0.03, "eV")
        ('0.07 eV is above the limit of 0.05', '')
        >>> limit.violation(0.001, "Hartree")
        'the limit is in eV, the value in Hartree; write the limit in Hartree'

    Attributes:
        min: smallest value that is passed; max: largest one. One of them at least.
        unit: unit word of the limits; where it is given it must be that of the value.
    """

    min: Limit | None = None
    max: Limit | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _some(self) -> Threshold:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def violation(self, value: float, unit: str) -> str:
        """Why a value is refused; "" where it is accepted.

        Args:
            value: of the metric.
            unit: unit word of the value ("1": dimensionless).
        """
        if self.unit is not None and self.unit != unit:
            return f"the limit is in {self.unit}, the value in {unit}; write the limit in {unit}"
        shown = f"{value:.6g}" if unit == "1" else f"{value:.6g} {unit}"
        # "not <=", so that NaN is refused by either limit
        if self.max is not None and not value <= self.max:
            return f"{shown} is above the limit of {self.max:g}"
        if self.min is not None and not value >= self.min:
            return f"{shown} is below the limit of {self.min:g}"
        return ""


def read_gate(path: Path) -> dict[str, Threshold]:
    """Metric -> threshold of a gate file, in its order.

    Raises:
        ConfigError: no such file, not YAML, no such metric, or limits that are none; names file and key.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"gate {path}: must map metrics to limits, such as 'rotation: {{max: 1.0e-8}}'")
    return {str(name): _threshold(path, str(name), limits) for name, limits in content.items()}


def _threshold(path: Path, name: str, limits: Any) -> Threshold:
    try:
        metric = catalogue().get(name) or ScoreName.parse(name).definition
    except ConfigError as error:
        raise ConfigError(f"gate {path}: key {name!r}: {error}") from error
    if metric.form not in ("check", "run") and name in catalogue():
        scores = [score for op in metric.operators for score in score_names(metric, op)]
        wanted = f"; name one score, such as {scores[0]}" if scores else ", which is no single number"
        raise ConfigError(f"gate {path}: key {name!r}: is a metric with the form {metric.form!r}{wanted}")
    return parse_config(dict[str, Threshold], {name: limits}, f"gate {path}")[name]
