"""A table of jobs: resumed by results that are there, failures kept apart, killed workers, threads, reuse."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from slembench.core.errors import ConfigError, DataError
from slembench.core.jobs import Job, LocalProcesses, Outcome, output_to, run_jobs

WORKERS = textwrap.dedent("""
    import os, signal, sys, time
    from pathlib import Path
    from slembench.core.errors import DataError
    from slembench.core.jobs import output_to

    def write(path, text="x"):
        Path(path).write_text(text)
        return os.getpid()

    def refuse():
        raise DataError("card.yaml: key 'basis' is missing")

    def crash(log):
        with output_to(Path(log)):
            print("so far so good")
            raise ValueError("no convergence")

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(mark):
        if not Path(mark).exists():
            Path(mark).touch()
            die()
        return "survived"

    def threads():
        import torch
        return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()

    def sleep(path):
        Path(path).touch()
        time.sleep(600)

    def how_far(path):
        return 0.5, "half-way"
""")


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """Job functions in a module of their own, which the processes can import."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "core_workers.py").write_text(WORKERS)
    monkeypatch.syspath_prepend(str(folder))
    import core_workers

    yield core_workers
    del sys.modules["core_workers"]


@pytest.mark.parametrize("reuse", [False, True])
def test_failures_stand_beside_results_and_are_made_good_by_the_next_call(workers, tmp_path, reuse, logged):
    file, log, errors = tmp_path / "result", tmp_path / "logs" / "crash.log", tmp_path / "errors"
    pids = []

    def table(refuse=workers.refuse):
        return [
            Job("refused", refuse, error_file=errors / "refused.txt"),
            Job("crashed", workers.crash, {"log": str(log)}, error_file=errors / "crashed.txt"),
            Job("killed", workers.die),
            Job("needy", workers.write, {"path": file}, needs=("first", "killed", "refused")),
            Job("needier", workers.write, {"path": file}, needs=("needy",)),
            Job("first", workers.write, {"path": file}, is_done=file.is_file, receive=pids.append),
            Job("second", workers.write, {"path": tmp_path / "other"}, needs=("first",), receive=pids.append),
        ]

    result = run_jobs(table(), LocalProcesses(1, reuse=reuse), what="files")
    assert (result.finished, result.made, result.present) == (["first", "second"], ["first", "second"], [])
    assert (len(set(pids)), os.getpid() in pids) == (1 if reuse else 2, False)
    assert result.failed == {
        "refused": "card.yaml: key 'basis' is missing",
        "crashed": f"ValueError: no convergence; see {log}",
        "killed": "its process was killed or died (exit code -9)",
        "needy": "needs killed, refused, which failed",
        "needier": "needs needy, which failed",
    }
    assert "so far so good\nTraceback" in log.read_text()
    assert (errors / "crashed.txt").read_text().startswith("ValueError: no convergence; see ")
    assert "Traceback" in (errors / "crashed.txt").read_text()
    assert logged.messages[0] == "7 files, 0 of them finished already"

    stamp = file.stat().st_mtime_ns
    again = run_jobs(table(refuse=os.getpid), LocalProcesses(2, reuse=reuse))
    assert (again.present, sorted(again.made)) == (["first"], ["refused", "second"])
    assert file.stat().st_mtime_ns == stamp
    assert [path.name for path in errors.iterdir()] == ["crashed.txt"]


def test_a_circle_of_needs_is_refused(workers):
    jobs = [Job("a", os.getpid, needs=("b",)), Job("b", os.getpid, needs=("a",))]
    with pytest.raises(ConfigError, match="need each other in a circle: . <- . <- ."):
        run_jobs(jobs, LocalProcesses(1))


def test_a_lost_job_is_begun_again_and_a_hopeless_one_is_not(workers, tmp_path, logged):
    values = []
    jobs = [
        Job("lost", workers.die_once, {"mark": str(tmp_path / "mark")}, receive=values.append),
        Job("refused", workers.refuse),
    ]
    result = run_jobs(jobs, LocalProcesses(1), retries=1)
    assert (result.made, values, list(result.failed)) == (["lost"], ["survived"], ["refused"])
    assert sum("was lost" in line for line in logged.messages) == 1


@pytest.mark.parametrize(("preload", "threads"), [((), 1), ((), 2), (("torch",), 2)])
def test_a_job_computes_with_its_own_number_of_threads(workers, preload, threads):
    values, before = [], dict(os.environ)
    run_jobs([Job("a", workers.threads, threads=threads, receive=values.append)], LocalProcesses(1, preload))
    assert values == [(str(threads), threads)]
    assert dict(os.environ) == before


def test_nothing_is_begun_after_a_failure_where_that_is_wanted(workers, tmp_path):
    jobs = [Job("refused", workers.refuse), Job("next", workers.write, {"path": str(tmp_path / "x")})]
    result = run_jobs(jobs, LocalProcesses(1), stop_at_failure=True)
    assert (result.finished, list(result.failed)) == ([], ["refused"])
    assert not (tmp_path / "x").exists()


def test_late_arguments_are_made_when_the_needed_job_has_ended(workers, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    jobs = [
        Job("second", workers.write, {"path": second}, lambda: {"text": first.read_text() * 2}, ("first",)),
        Job("first", workers.write, {"path": first, "text": "ab"}),
    ]
    assert run_jobs(jobs, LocalProcesses(2)).finished == ["second", "first"]
    assert second.read_text() == "abab"


def test_the_status_of_a_running_job(workers, tmp_path):
    processes, mark = LocalProcesses(1), tmp_path / "mark"
    processes.start(Job("a", workers.sleep, {"path": str(mark)}, status=workers.how_far))
    try:
        assert processes.status() == {"a": (0.5, "half-way")}
        assert processes.free() == 0
    finally:
        pid = processes.processes["a"].pid
        processes.close()
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("preload", [(), ("json",)])
def test_workers_end_with_a_parent_that_is_killed(workers, tmp_path, preload):
    mark, modules = tmp_path / "mark", Path(workers.__file__).parent
    code = textwrap.dedent(f"""
        import sys
        if __name__ == "__main__":
            sys.path.insert(0, {str(modules)!r})
            import core_workers
            from slembench.core.jobs import Job, LocalProcesses, run_jobs
            run_jobs([Job("a", core_workers.sleep, {{"path": {str(mark)!r}}})], LocalProcesses(1, {preload!r}))
    """)
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 120
    while not mark.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_tables_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="'a' stands twice"):
        run_jobs([Job("a", print), Job("a", print)], LocalProcesses())
    with pytest.raises(ConfigError, match="'a' needs 'b', which is not in the table"):
        run_jobs([Job("a", print, needs=("b",))], LocalProcesses())
    with pytest.raises(ConfigError, match="at least 1"):
        LocalProcesses(0)


class Instant:
    """A backend whose jobs end at once, and that says whether it was closed."""

    remote = False

    def __init__(self, error=None):
        self.error, self.started, self.closed = error, [], False

    def free(self):
        return 3

    def start(self, job):
        self.started.append(job.id)

    def wait(self, seconds):
        if self.error:
            raise self.error
        ended, self.started = self.started, []
        return [Outcome(name, "done") for name in ended]

    def status(self):
        return dict.fromkeys(self.started, (0.1, "begins"))

    def close(self):
        self.closed = True


def test_the_backend_is_closed_whatever_happens():
    backend = Instant(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_jobs([Job("a", print)], backend)
    assert backend.closed


def test_output_goes_to_the_log_and_known_errors_need_no_traceback(tmp_path):
    code = f"""
from pathlib import Path
from slembench.core.jobs import output_to
from slembench.core.errors import DataError
import logging, os
try:
    with output_to(Path({str(tmp_path / "a" / "x.log")!r})):
        print("printed", flush=True)
        os.write(2, b"from C\\n")
        logging.getLogger("slembench.data").info("logged")
        raise DataError("known")
except DataError as error:
    assert not hasattr(error, "__notes__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "a" / "x.log").read_text() == "printed\nfrom C\nlogged\n"
    assert issubclass(DataError, Exception)
    assert callable(output_to)
