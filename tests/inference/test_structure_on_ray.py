"""A large structure predicted by the workers of a Ray cluster equals what one process predicts."""

import importlib.util
from pathlib import Path

import pytest
import torch

from slembench.core.errors import PredictionError
from slembench.inference import structure
from slembench.inference.structure import StructureRequest, predict_structure
from slembench.models.lem.model import Lem
from slembench.models.slem.model import Slem
from slembench.predictions import read_predictions

pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")


@pytest.fixture(scope="module")
def whole():
    """The structures and models of the tests of parts in local processes."""
    spec = importlib.util.spec_from_file_location(
        "slembench_tests_parts", Path(__file__).with_name("test_structure.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ray():
    import ray

    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.parametrize("kind", [Slem, Lem])
def test_parts_of_a_cluster_equal_the_whole(ray, whole, kind, tmp_path, logged):
    """The workers see neither the folder of the parts nor the checkpoint's."""
    atoms, checkpoint = whole.crystal(), whole.save_model(tmp_path / "model", kind, torch.float64)
    expected = whole.whole(checkpoint, atoms)
    request = StructureRequest(checkpoint, "x", atoms, "hash", max_pairs=200)
    cost = predict_structure(request, tmp_path / "p.h5", parts=3, on_ray=True)
    assert cost.parts == 3
    assert [f"part-0000{n}.h5 is finished" in logged.text for n in range(4)] == [True, True, True, False]
    with read_predictions(tmp_path / "p.h5") as found:
        for operator, matrix in expected.items():
            assert whole.difference(found["x"][operator], matrix) < 1e-12
    assert not (tmp_path / "p.h5.parts").exists()


def test_a_part_that_fails_is_named(ray, whole, tmp_path, monkeypatch):
    """What a worker raises ends the prediction at once, and names the part."""
    request = StructureRequest(whole.save_model(tmp_path / "model", Slem, torch.float64), "x", whole.crystal(), "hash")
    monkeypatch.setattr(structure, "packed", lambda folder: b"no archive")
    with pytest.raises(PredictionError, match=r"part-0000\d.h5 was not predicted .*BadZipFile.*0 of 2 parts"):
        predict_structure(request, tmp_path / "p.h5", parts=2, on_ray=True)
