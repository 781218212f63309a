"""Studies that are killed and resumed, whose workers die, that grow, and that fail."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from slembench.core.errors import ConfigError
from slembench.core.jobs import Outcome
from slembench.studies import StudyPlan, local_backend, read_plan, run_study, start_study, write_plan
from slembench.studies.run import tasks_of

ROOT = Path(__file__).parents[2]


def start(folder):
    command = [sys.executable, "-m", "slembench", "study", "run", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(condition, process=None):
    deadline = time.monotonic() + 600
    while not condition():
        assert process is None or process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_twice_and_resumed_gives_the_same_report(small_plan, whole, helpers, tmp_path):
    """SIGKILL in the middle of the first and of the second run; the workers end with their parent."""
    folder, keys = tmp_path / "study", list(small_plan.keyed)
    write_plan(small_plan, folder)
    for key in keys[:2]:
        process = start(folder)
        wait_for(lambda key=key: helpers["steps_of"](folder, key) >= 30, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert workers
        wait_for(lambda workers=workers: not any(worker.is_running() for worker in workers))
        assert not (folder / "runs" / key / "test" / "record.yaml").exists()
    first = (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns
    process = start(folder)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()
    assert "3 runs, 1 of them finished already" in errors.decode()
    assert (folder / "runs" / keys[0] / "test" / "record.yaml").stat().st_mtime_ns == first
    assert helpers["contents"](folder) == whole
    assert "train_cpu_s" in (folder / "cost.csv").read_text()
    log = (folder / "runs" / keys[1] / "log.jsonl").read_text()
    assert '"event": "resume"' in log


def test_a_killed_worker_is_begun_again_where_it_was(small_plan, whole, helpers, tmp_path, logged):
    from slembench.studies.report import write_report

    folder, keys, engine = tmp_path / "study", list(small_plan.keyed), local_backend(2)

    def kill():
        wait_for(lambda: helpers["steps_of"](folder, keys[1]) >= 30)
        os.kill(engine.processes[keys[1]].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = run_study(small_plan, folder, engine)
    killer.join()
    assert (len(result.made), result.failed) == (3, {})
    assert sum("was lost" in line for line in logged.messages) == 1
    assert '"event": "resume"' in (folder / "runs" / keys[1] / "log.jsonl").read_text()
    write_report(small_plan, folder)
    assert helpers["contents"](folder) == whole


class FakeEngine:
    """Ends every run at once, as it is told to."""

    remote = False

    def __init__(self, ends, folder):
        self.ends, self.folder = ends, folder
        self.begun, self.waiting = [], []

    def free(self):
        return 1 - len(self.waiting)

    def start(self, job):
        self.begun.append(job.id)
        self.waiting.append(job.arguments["task"])

    def wait(self, seconds):
        ended, self.waiting = self.waiting, []
        return [self.outcome(task) for task in ended]

    def outcome(self, task):
        kinds = self.ends.get(task.key, [])
        kind = kinds.pop(0) if kinds else "done"
        if kind == "done":
            for split in task.run.splits:
                (task.run_folder / split).mkdir(parents=True)
                (task.run_folder / split / "record.yaml").write_text("")
        return Outcome(task.key, kind, "" if kind == "done" else f"it was {kind}")

    def status(self):
        return {}

    def close(self):
        self.waiting = []


def tuned(plan):
    """The plan with a fourth run that starts from the first one."""
    first = next(iter(plan.keyed))
    return StudyPlan(
        study=plan.study, runs=(*plan.runs, plan.runs[0].model_copy(update={"init_from": first, "seed": 7}))
    )


def test_lost_runs_are_begun_again_and_hopeless_ones_named(small_plan, tmp_path):
    plan = tuned(small_plan)
    a, b, c, d = plan.keyed
    engine = FakeEngine({a: ["lost", "lost", "lost"], b: ["lost", "done"], c: ["error"]}, tmp_path)
    result = run_study(plan, tmp_path, engine, retries=2)
    assert engine.begun == [a, a, a, b, b, c]
    assert result.failed == {a: "it was lost", c: "it was error", d: f"needs {a}, which failed"}
    assert result.finished == [b]
    assert (tmp_path / "runs" / f"{c}.error").read_text() == "it was error\n"
    again = FakeEngine({}, tmp_path)
    assert run_study(plan, tmp_path, again).finished == [a, b, c, d]
    assert again.begun == [a, c, d]
    assert not list(tmp_path.rglob("*.error"))


def test_a_longer_plan_redoes_nothing(small_plan, tmp_path):
    run_study(small_plan, tmp_path, FakeEngine({}, tmp_path))
    engine = FakeEngine({}, tmp_path)
    longer = tuned(small_plan)
    assert len(run_study(longer, tmp_path, engine).made) == 1
    assert engine.begun == [list(longer.keyed)[3]]


def test_a_run_that_cannot_be_is_not_tried_again(small_plan, tmp_path):
    """The recipe is not the one that the plan was made with."""
    wrong = StudyPlan(study=small_plan.study, runs=(small_plan.runs[0].model_copy(update={"settings": "0" * 16}),))
    result = run_study(wrong, tmp_path, local_backend())
    (reason,) = result.failed.values()
    assert "changed since the plan was made; make it again" in reason
    assert not any(task.finished for task in tasks_of(wrong, tmp_path).values())


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_folders_of_a_task(small_plan, tmp_path, threads):
    for key, task in tasks_of(small_plan, tmp_path, threads).items():
        assert task.threads == threads
        assert task.run_folder == tmp_path / "runs" / key


def mark_finished(plan, folder, number):
    """Make the first runs of a plan look finished."""
    for task in list(tasks_of(plan, folder).values())[:number]:
        for split in task.run.splits:
            (task.run_folder / split).mkdir(parents=True)
            (task.run_folder / split / "record.yaml").touch()


def test_a_plan_that_loses_finished_runs_is_refused(small_plan, tmp_path):
    folder, runs = tmp_path / "study", small_plan.runs

    def plan_of(chosen):
        return StudyPlan(study=small_plan.study, runs=tuple(chosen))

    start_study(plan_of(runs[:2]), folder)
    mark_finished(read_plan(folder), folder, 1)
    before = (folder / "plan.yaml").read_bytes()
    other = plan_of(run.model_copy(update={"seed": 5}) for run in runs)
    for plan in (other, plan_of(runs[1:])):
        with pytest.raises(
            ConfigError, match=r"study: 1 finished run of .* choose another --out.*`slembench study run"
        ):
            start_study(plan, folder)
        assert (folder / "plan.yaml").read_bytes() == before
    start_study(small_plan, folder)
    start_study(plan_of(runs[:1]), folder)  # the second one is not finished
    assert len(read_plan(folder).runs) == 1
    mark_finished(small_plan, tmp_path / "new", 1)
    with pytest.raises(ConfigError, match="is not a study"):
        start_study(small_plan, tmp_path / "new")
