"""The Ray engine on a real cluster of two nodes on this machine, one of which is killed in the middle."""

import os

import pytest

from slembench.core.errors import ConfigError
from slembench.core.ray import Board, RayTasks, run_call
from slembench.studies import run_study
from slembench.studies.report import write_report
from slembench.studies.run import PRELOAD
from slembench.studies.task import Task, run_task_anywhere, task_status_anywhere

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


def test_a_killed_node_loses_nothing_that_had_finished(cluster, small_plan, whole, helpers, tmp_path, logged):
    nodes, memory = cluster
    doomed, folder, keys = nodes.add_node(num_cpus=1, **memory), tmp_path / "study", list(small_plan.keyed)
    state, seen = {"node": doomed}, []

    class Watched(RayTasks):
        """Once the first run is finished and the second one is under way its node goes; another one comes."""

        def wait(self, seconds):
            seen.append(self.status())
            finished = sum("is finished" in message for message in logged.messages)
            if state["node"] is not None and finished == 1 and helpers["steps_of"](folder, keys[1]) >= 30:
                kill()
            return super().wait(seconds)

    def kill():
        state["first"] = (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns
        nodes.remove_node(state["node"], allow_graceful=False)
        state["node"] = None
        nodes.add_node(num_cpus=1, **memory)

    result = run_study(small_plan, folder, Watched(preload=PRELOAD))
    assert (len(result.made), result.failed, state["node"]) == (3, {}, None)
    assert sum("was lost" in line for line in logged.messages) == 1
    assert (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns == state["first"]
    assert any("step" in words for status in seen for _, words in status.values())
    write_report(small_plan, folder)
    assert helpers["contents"](folder) == whole


def test_a_worker_that_does_not_see_the_folder_sends_the_run(cluster, small_plan, tmp_path):
    """The same task with another token, as on a machine without the study's folder."""
    import ray

    from slembench.core.jobs import Call
    from slembench.core.ray import unpack

    key, run = next(iter(small_plan.keyed.items()))
    task = Task(key, run, None, tmp_path / "study")
    board = ray.remote(num_cpus=0)(Board).remote()
    call = Call(run_task_anywhere, {"task": task, "token": "token"}, task_status_anywhere, 1)
    outcome = ray.get(ray.remote(run_call).remote(key, call, {}, board))
    assert (outcome.id, outcome.kind, outcome.text) == (key, "done", "")
    assert not task.run_folder.exists()
    unpack(outcome.value, task.run_folder)
    assert task.finished
    assert not list(task.run_folder.rglob("predictions.h5"))
    assert list(task.run_folder.glob("checkpoint/best/step-*/model.safetensors"))


def test_without_ray_the_error_says_what_to_do(monkeypatch):
    import sys

    from slembench.core.ray import import_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'slembench\[ray\]'"):
        import_ray()
