"""The pytest side of a session that has something to test: fixtures, what each test notes, and the record at the end.

Under pytest-xdist the tests run in worker processes; what they note travels with their reports, and the controller
alone writes the record.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slembench.core.errors import SlembenchError
from slembench.evaluation import official_scores
from slembench.harness.scoring import versions
from slembench.metrics.physics import LIMITS
from slembench.suite.options import Options, read_options
from slembench.suite.record import SuiteRecord, TestResult, write_suite_record
from slembench.suite.subject import Subject, open_subject

AREAS = ("contract", "physics", "accuracy", "cost")
"""Areas in the order in which they are tested; each is a file ``test_<area>.py``."""

TEST = re.compile(rf"(?:^|/)test_({'|'.join(AREAS)})\.py::(.+)$")
SCRATCH = "slembench_scratch"
CRASHED = "???"
"""Phase that pytest-xdist gives a test whose worker died."""

Note = Callable[[str, str, Any], None]
"""Part of the record, key and value (plain types)."""


@dataclass
class Session:
    """State of a session.

    Attributes:
        options: what was asked for.
        subject: what is tested.
        tests: name -> result, of those that ended.
        notes: part of the record -> key -> value.
    """

    options: Options
    subject: Subject
    tests: dict[str, TestResult] = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)


SESSION = pytest.StashKey[Session]()
NOTES = pytest.StashKey[list[tuple[str, str, Any]]]()


def start(config: pytest.Config) -> None:
    """Check the options, open model and data, and register this module as a plug-in.

    Raises:
        pytest.UsageError: whatever is wrong with options, model or data, in one line.
    """
    options = read_options(config)
    try:
        subject = open_subject(options, _scratch(config), first=not _is_worker(config))
    except SlembenchError as error:
        raise pytest.UsageError(str(error)) from error
    except Exception as error:  # code of a model of any origin was imported
        raise pytest.UsageError(f"{options.subject}: {type(error).__name__}: {error}") from error
    if _is_worker(config):
        _share_threads(config)
    config.stash[SESSION] = Session(options, subject)
    config.addinivalue_line("python_files", "test_*.py")
    config.pluginmanager.register(sys.modules[__name__], "slembench-suite")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _scratch(config: pytest.Config) -> Path:
    """Folder of the session: made and removed by the first process, told to the workers."""
    if _is_worker(config):
        return Path(config.workerinput[SCRATCH])  # type: ignore[attr-defined]
    folder = Path(tempfile.mkdtemp(prefix="slembench-suite-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def _share_threads(config: pytest.Config) -> None:
    """Each worker's share of the threads of torch, unless the environment says how many."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        workers = config.workerinput["workercount"]  # type: ignore[attr-defined]
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the folder of the session."""
    node.workerinput[SCRATCH] = str(node.config.stash[SESSION].subject.shared.folder)


# -- in the processes that test -------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a physics check, and one a line of the gate file."""
    if "physics_check" in metafunc.fixturenames:
        metafunc.parametrize("physics_check", list(LIMITS))
    if "gated" in metafunc.fixturenames:
        metafunc.parametrize("gated", list(metafunc.config.stash[SESSION].options.gate) or [""])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order of the areas; no gate without a gate file."""
    gate = config.stash[SESSION].options.gate

    def place(item: pytest.Item) -> int:
        found = TEST.search(item.nodeid) if _is_ours(item) else None
        return AREAS.index(found[1]) if found else -1

    kept = [item for item in items if gate or not (_is_ours(item) and item.name == "test_gate[]")]
    items[:] = sorted(kept, key=place)


def _is_ours(item: pytest.Item) -> bool:
    return item.path.parent == Path(__file__).parent


@pytest.fixture(scope="session")
def subject(pytestconfig: pytest.Config) -> Subject:
    """What is tested."""
    return pytestconfig.stash[SESSION].subject


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Function that notes a value for the record."""
    notes = request.node.stash.setdefault(NOTES, [])
    return lambda part, key, value: notes.append((part, key, value))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What the test noted travels with its report."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if _is_ours(item):
        report.slembench = item.stash.get(NOTES, [])  # type: ignore[attr-defined]
    return report  # type: ignore[return-value]


# -- in the process that the user started ---------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Take the reports of this process, unless it is a worker."""
    if not _is_worker(session.config):
        session.config.pluginmanager.register(_Recorder(session.config), "slembench-recorder")


class _Recorder:
    """Gathers the reports of all processes; writes the record and a summary."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session = config.stash[SESSION]
        self.written: Path | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test that ended: called, or failed or skipped before."""
        found = TEST.search(report.nodeid)
        ours = hasattr(report, "slembench") or report.when == CRASHED
        if found is None or not ours or (report.passed and report.when != "call"):
            return
        outcome = "failed" if report.failed else "skipped" if report.skipped else "passed"
        self.session.tests[report.nodeid] = TestResult(
            name=found[2], area=found[1], outcome=outcome, seconds=round(report.duration, 3), note=_reason(report)
        )
        for part, key, value in getattr(report, "slembench", ()):
            self.session.notes.setdefault(part, {})[key] = value

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the record, where tests of the suite ran and a record was asked for."""
        out = self.session.options.out
        whole = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if out is not None and self.session.tests:
            complete = whole and not session.shouldstop and not session.shouldfail
            self.written = write_suite_record(self._record(complete), out)

    def _record(self, complete: bool) -> SuiteRecord:
        options, notes = self.session.options, self.session.notes
        tests = sorted(self.session.tests.values(), key=lambda test: AREAS.index(test.area))
        about = notes.get("about", {})
        return SuiteRecord(
            subject=options.subject,
            model=about.get("model"),
            dataset=self.session.subject.data.name,
            split=options.split,
            complete=complete,
            workers=int(getattr(self.config.option, "numprocesses", None) or 0),
            outcomes={key: sum(t.outcome == key for t in tests) for key in ("passed", "failed", "skipped")},
            tests=tuple(tests),
            contract=notes.get("contract", {}),
            physics=notes.get("physics", {}),
            gate=notes.get("gate", {}),
            run=about.get("run"),
            versions=versions(),
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Official scores and costs, and where the record is."""
        write, options = terminalreporter.write_line, self.session.options
        data = self.session.subject.data
        terminalreporter.write_sep("-", f"slembench: {options.subject} on {data.name}, split {options.split}")
        if not self.session.tests:
            write("no test of the suite ran; add: --pyargs slembench.suite")
            return
        run = self.session.notes.get("about", {}).get("run")
        if run is not None:
            for score in official_scores(data.card, list(run["scores"])):
                write(f"{score}: {run['scores'][score]['value']:.4g} {run['scores'][score]['unit']}")
            budget = run["training"]["budget"] if run["training"] else "given as a checkpoint"
            write(f"{run['cost']['parameters']:,} parameters, trained: {budget}")
        if self.written is not None:
            write(f"record: {self.written}")


def _reason(report: pytest.TestReport) -> str:
    """First line of why a test failed or was skipped, at most 500 characters."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        text = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash is not None else str(report.longrepr)
    return next((line for line in text.splitlines() if line.strip()), "").removeprefix("Failed: ")[:500]
