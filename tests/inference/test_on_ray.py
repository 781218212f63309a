"""A large structure predicted by the workers of a Ray cluster equals what one process predicts."""

import importlib.util
from pathlib import Path

import pytest
import torch

from slembench.core.errors import ConfigError, PredictionError
from slembench.inference.on_ray import predict_parts
from slembench.inference.structure import StructureJob, predict_structure
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
def test_parts_of_a_cluster_equal_the_whole(ray, whole, kind, tmp_path):
    """The workers see neither the folder of the parts nor the checkpoint's."""
    atoms, checkpoint = whole.crystal(), whole.save_model(tmp_path / "model", kind, torch.float64)
    expected = whole.whole(checkpoint, atoms)
    seen = []

    def progress(items, total):
        for item in items:
            seen.append((item.name, total))
            yield item

    job = StructureJob(checkpoint, "x", atoms, "hash", max_pairs=200)
    cost = predict_structure(job, tmp_path / "p.h5", parts=3, on_ray=True, progress=progress)
    assert (cost.parts, len(seen), {total for _, total in seen}) == (3, 3, {3})
    with read_predictions(tmp_path / "p.h5") as found:
        for operator, matrix in expected.items():
            assert whole.difference(found["x"][operator], matrix) < 1e-12
    assert not (tmp_path / "p.h5.parts").exists()


def _fail(job, own, path):
    raise ConfigError(f"not these {len(own)} atoms")


def test_a_part_that_fails_is_named(ray, whole, tmp_path):
    job = StructureJob(whole.save_model(tmp_path / "model", Slem, torch.float64), "x", whole.crystal(), "hash")
    with pytest.raises(PredictionError, match=r"part-7.h5 was not predicted .*0 of 1 parts are finished"):
        list(predict_parts(_fail, job, {tmp_path / "part-7.h5": [1, 2, 3]}))
