import pytest

from slembench.core.config import parse_config
from slembench.core.errors import ConfigError
from slembench.training.config import OptimizerConfig, TrainConfig


def test_a_budget_is_needed():
    with pytest.raises(ConfigError, match=r"recipe: training: .*max_steps, max_wall_s or max_cpu_s"):
        parse_config(TrainConfig, {"seed": 1}, "recipe: training")


def test_unknown_and_wrong_keys_are_named_together():
    values = {"max_steps": 10, "optimizer": {"lr": -1.0, "learning_rate": 1e-3}, "batchsize": 2}
    with pytest.raises(ConfigError) as caught:
        parse_config(TrainConfig, values, "x.yaml")
    text = str(caught.value)
    assert text.startswith("x.yaml: ")
    assert "key 'optimizer.lr': Input should be greater than 0" in text
    assert "key 'optimizer.learning_rate': unknown key" in text
    assert "key 'batchsize': unknown key" in text
    assert "batch_size" in text  # the known keys are listed


def test_round_trip_through_json_values():
    config = TrainConfig(max_steps=5, loss={"operators": {"overlap": {"weight": 0.5, "onsite_share": None}}})
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config


def test_sections_are_immutable():
    with pytest.raises(ValueError, match="frozen"):
        OptimizerConfig().lr = 1.0
