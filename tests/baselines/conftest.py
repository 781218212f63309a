import pytest
import torch


@pytest.fixture(autouse=True)
def double():
    """Models in float64, as the contract is checked."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
