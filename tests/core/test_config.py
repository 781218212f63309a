"""Everything that can be wrong in a YAML file ends in one error of the wanted class that names file and key."""

import pytest
from pydantic import Field

from slembench.core.config import MAX_PROBLEMS, StrictModel, load_yaml, parse_config, read_yaml
from slembench.core.errors import ConfigError, DataError, SlembenchError, SubmissionError


class Limits(StrictModel):
    max: float = Field(gt=0)
    unit: str = "eV"


class Gate(StrictModel):
    metrics: dict[str, Limits]
    limits: Limits | None = None
    runs: tuple[Limits, ...] = ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics: {mae: {max: -1}}", "key 'metrics.mae.max': Input should be greater than 0"),
        ("metrics: {mae: {}}", "key 'metrics.mae.max': missing; add it"),
        ("{}", "key 'metrics': missing; add it"),
        ("{metrics: {}, metric: 1}", "key 'metric': unknown key; remove it or correct its spelling (known: metrics, "),
        ("metrics: {mae: {max: 1, units: eV}}", "key 'metrics.mae.units': unknown key; remove it or correct its spell"),
        ("metrics: {mae: {max: 1, units: eV}}", "(known: max, unit)"),
        ("{metrics: {}, limits: {least: 1, max: 1}}", "(known: max, unit)"),
        (
            "{metrics: {}, runs: [{max: 1}, {max: 1, min: 0}]}",
            "key 'runs.1.min': unknown key; remove it",
        ),
        ("{metrics: {}, runs: [{max: 1}, {max: 1, min: 0}]}", "(known: max, unit)"),
        ("- 1", "gate.yaml: Input should be a valid dictionary"),
        ("", "gate.yaml: Input should be a valid dictionary"),
        ("metrics: {", "not readable as YAML: while parsing"),
        ("metrics: !!python/name:os.system {}", "not readable as YAML: could not determine a constructor"),
        (b"\xff\xfe\x00", "not readable as YAML: 'utf-8' codec"),
        (None, "not readable as YAML: [Errno 2] No such file"),
    ],
)
@pytest.mark.parametrize("error", [ConfigError, DataError, SubmissionError])
def test_every_mistake_names_file_and_key(tmp_path, text, message, error):
    file = tmp_path / "gate.yaml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SlembenchError) as caught:
        load_yaml(Gate, file, error)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_mistakes_at_once_but_not_a_thousand():
    with pytest.raises(ConfigError) as caught:
        parse_config(Gate, {"metrics": {"a": {"max": 0}, "b": {"max": 0}}, "c": 1}, "here")
    assert str(caught.value).count("key '") == 3
    with pytest.raises(ConfigError, match="; and 990 more$") as caught:
        parse_config(list[int], ["x"] * 1000, "here")
    assert str(caught.value).count("key '") == MAX_PROBLEMS


def test_right_content(tmp_path):
    file = tmp_path / "gate.yaml"
    file.write_text("metrics: {mae: {max: 2}}")
    gate = load_yaml(Gate, file)
    assert gate == Gate(metrics={"mae": Limits(max=2.0)})
    assert read_yaml(file) == {"metrics": {"mae": {"max": 2}}}
    with pytest.raises(ValueError, match="frozen"):
        gate.metrics = {}
