"""The Ray engine on a real cluster of two nodes on this machine, one of which is killed in the middle."""

import os

import pytest

from slembench.core.errors import ConfigError
from slembench.studies import run_study
from slembench.studies.engines.worker import Task
from slembench.studies.report import write_report

pytest.importorskip("ray", reason="Ray is not installed (extra 'ray')")


@pytest.fixture(scope="module")
def cluster():
    """A head without processors for work, and what adds and removes nodes."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    memory = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **memory})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster, memory
    ray.shutdown()
    cluster.shutdown()


def test_a_killed_node_loses_nothing_that_had_finished(cluster, small_plan, whole, helpers, tmp_path):
    from slembench.studies.engines.ray import RayEngine

    nodes, memory = cluster
    doomed, folder, keys = nodes.add_node(num_cpus=1, **memory), tmp_path / "study", list(small_plan.keyed)
    state, lines, seen = {"node": doomed}, [], []

    def show(progress):
        """Once the first run is finished and the second one is under way its node goes; another one comes."""
        seen.append(progress)
        if state["node"] is not None and progress.finished == 1 and helpers["steps_of"](folder, keys[1]) >= 30:
            state["first"] = (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns
            nodes.remove_node(state["node"], allow_graceful=False)
            state["node"] = None
            nodes.add_node(num_cpus=1, **memory)

    result = run_study(small_plan, folder, RayEngine(), tell=lines.append, show=show)
    assert (result.done_now, result.failed, state["node"]) == (3, {}, None)
    assert sum("was lost" in line for line in lines) == 1
    assert (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns == state["first"]
    assert any("step" in words for progress in seen for _, words in progress.active.values())
    write_report(small_plan, folder)
    assert helpers["contents"](folder) == whole


def test_a_worker_that_does_not_see_the_folder_sends_the_run(cluster, small_plan, tmp_path):
    """The same task with another token, as on a machine without the study's folder."""
    import ray

    from slembench.core.ray import unpack
    from slembench.studies.engines.ray import Board, work_on

    key, run = next(iter(small_plan.keyed.items()))
    task = Task(key, run, None, tmp_path / "study")
    board = ray.remote(num_cpus=0)(Board).remote()
    kind, text, content = ray.get(ray.remote(work_on).remote(task, "token", b"", board))
    assert (kind, text) == ("done", "")
    assert not task.run_folder.exists()
    unpack(content, task.run_folder)
    assert task.finished
    assert not list(task.run_folder.rglob("predictions.h5"))
    assert list(task.run_folder.glob("checkpoint/best/step-*/model.safetensors"))


def test_without_ray_the_error_says_what_to_do(monkeypatch):
    import sys

    from slembench.core.ray import import_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'slembench\[ray\]'"):
        import_ray()
