"""The runner: complete files only, what exists is not made again, failures are kept and tried again."""

import textwrap
import time

import numpy as np
import pytest

from slembench.core.errors import ConfigError
from slembench.data.recipes.runner import Calculation, CalculationPlan, generate

WORKERS = textwrap.dedent("""
    import os, signal
    import numpy as np

    def double(workdir, value):
        with (workdir / "calls.txt").open("a") as stream:
            stream.write(f"{value}\\n")
        return {"value": np.array(2 * value), "threads": np.array(os.environ["OMP_NUM_THREADS"])}

    def fragile(workdir, value):
        if not (workdir / "mended").exists():
            raise ValueError("no convergence")
        return double(workdir, value)

    def killed(workdir, value):
        if not (workdir / "mended").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return double(workdir, value)

    def process(workdir):
        return {"value": np.array(os.getpid())}

    def total(workdir, parts):
        return {"value": sum(np.load(workdir / f"{part}.npz")["value"] for part in parts)}
""")


@pytest.fixture
def workers(tmp_path, monkeypatch):
    """Job functions in a module of their own, which the spawned processes can import."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "recipe_workers.py").write_text(WORKERS)
    monkeypatch.syspath_prepend(str(folder))
    import recipe_workers

    return recipe_workers


def run(plan, workdir, jobs=2):
    return generate(plan, workdir, jobs)


def plan_of(workers, **settings):
    first = (
        Calculation("parts/a", workers.double, {"value": 1}),
        Calculation("parts/b", workers.fragile, {"value": 2}),
        Calculation("parts/c", workers.killed, {"value": 3}),
    )
    second = (
        Calculation(
            "sum", workers.total, {"parts": ("parts/a", "parts/b", "parts/c")}, ("parts/a", "parts/b", "parts/c")
        ),
        Calculation("alone", workers.total, {"parts": ("parts/a",)}, ("parts/a",)),
    )
    return CalculationPlan("toy", settings, (first, second))


def test_failures_are_told_kept_and_made_good_by_the_next_run(workers, tmp_path):
    workdir, plan = tmp_path / "work", plan_of(workers)
    before = run(plan, workdir)
    assert set(before.made) == {"parts/a", "alone"}
    assert before.failed["parts/b"] == "ValueError: no convergence"
    assert "exit code -9" in before.failed["parts/c"]
    assert before.failed["sum"] == "needs parts/b, parts/c, which failed"
    assert "Traceback" in (workdir / "parts/b.failed.txt").read_text()
    assert not list(workdir.rglob("*.part"))

    (workdir / "mended").touch()
    half_written = workdir / "parts" / ".b.npz.0123.part"
    half_written.write_bytes(b"half")
    after = run(plan, workdir)
    assert set(after.present) == {"parts/a", "alone"}
    assert set(after.made) == {"parts/b", "parts/c", "sum"}
    assert not after.failed
    assert not half_written.exists()
    assert not list(workdir.rglob("*.failed.txt"))
    assert sorted((workdir / "calls.txt").read_text().split()) == ["1", "2", "3"]
    result = np.load(workdir / "parts/a.npz")
    assert (result["value"], result["threads"]) == (2, "1")
    assert np.load(workdir / "sum.npz")["value"] == 12


def test_finished_plan_starts_no_process(workers, tmp_path):
    plan = CalculationPlan("toy", {}, ((Calculation("a", workers.double, {"value": 1}),),))
    run(plan, tmp_path)
    stamp = (tmp_path / "a.npz").stat().st_mtime_ns
    began = time.perf_counter()
    assert run(plan, tmp_path).present == ["a"]
    assert time.perf_counter() - began < 1
    assert (tmp_path / "a.npz").stat().st_mtime_ns == stamp


def test_other_settings_in_the_same_work_directory_are_refused(workers, tmp_path):
    run(CalculationPlan("toy", {"h": 0.2, "xc": "PBE"}, ()), tmp_path)
    with pytest.raises(ConfigError, match=r"\(h differ\)"):
        run(CalculationPlan("toy", {"h": 0.15, "xc": "PBE"}, ()), tmp_path)


def test_jobs_must_be_positive(tmp_path):
    with pytest.raises(ConfigError, match="at least 1"):
        generate(CalculationPlan("toy", {}, ()), tmp_path, 0)


def test_short_jobs_share_a_process(workers, tmp_path):
    first = (
        Calculation("a", workers.double, {"value": 1}),
        Calculation("b", workers.fragile, {"value": 2}),
        Calculation("c", workers.double, {"value": 3}),
    )
    second = (
        Calculation("sum", workers.total, {"parts": ("a", "b", "c")}, ("a", "b", "c")),
        Calculation("process", workers.process, {}, ()),
        Calculation("same", workers.process, {}, ()),
    )
    plan = CalculationPlan("toy", {}, (first, second), short=True)
    before = run(plan, tmp_path, jobs=1)
    assert before.failed == {"b": "ValueError: no convergence", "sum": "needs b, which failed"}
    assert set(before.made) == {"a", "c", "process", "same"}
    assert np.load(tmp_path / "process.npz")["value"] == np.load(tmp_path / "same.npz")["value"]
    (tmp_path / "mended").touch()
    assert set(run(plan, tmp_path, jobs=1).made) == {"b", "sum"}
    assert np.load(tmp_path / "sum.npz")["value"] == 12
    assert not list(tmp_path.rglob("*.failed.txt"))


def test_death_of_the_shared_process_is_a_failure_of_one_calculation(workers, tmp_path):
    calculations = (Calculation("c", workers.killed, {"value": 3}), Calculation("d", workers.double, {"value": 4}))
    result = run(CalculationPlan("toy", {}, (calculations,), short=True), tmp_path, jobs=1)
    assert "exit code -9" in result.failed["c"]
    assert "exit code -9" in (tmp_path / "c.failed.txt").read_text()
    assert result.made == ["d"]
