"""pytest hooks and fixtures of a session that has a model to test, and the record that is written at its end.

Under pytest-xdist the tests run in worker processes; values that they record travel with their reports, and only the
controller writes the record.
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
from slembench.suite.model_under_test import ModelUnderTest, open_model
from slembench.suite.options import SuiteOptions, read_options
from slembench.suite.record import SuiteRecord, TestResult, write_suite_record
from slembench.tables.cells import format_score

AREAS = ("contract", "physics", "accuracy", "cost")
"""Areas in the order in which they are tested; each is a file ``test_<area>.py``."""

TEST = re.compile(rf"(?:^|/)test_({'|'.join(AREAS)})\.py::(.+)$")
SCRATCH = "slembench_scratch"
CRASHED = "???"
"""Phase that pytest-xdist gives a test whose worker died."""

RecordValue = Callable[[str, str, Any], None]
"""Part of the record, key and value (plain types)."""


@dataclass
class SuiteSession:
    """State of a session.

    Attributes:
        options: what was asked for.
        under_test: the model and its data.
        tests: node id -> result, of tests that ended.
        values: part of the record -> key -> value.
    """

    options: SuiteOptions
    under_test: ModelUnderTest
    tests: dict[str, TestResult] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


SESSION = pytest.StashKey[SuiteSession]()
VALUES = pytest.StashKey[list[tuple[str, str, Any]]]()


def start(config: pytest.Config) -> None:
    """Check the options, open model and data, and register this module as a plug-in.

    Raises:
        pytest.UsageError: whatever is wrong with options, model or data, in one line.
    """
    options = read_options(config)
    try:
        under_test = open_model(options, _scratch(config), first=not _is_worker(config))
    except SlembenchError as error:
        raise pytest.UsageError(str(error)) from error
    except Exception as error:  # importing a model runs its code, which may raise anything
        raise pytest.UsageError(f"{options.subject}: {type(error).__name__}: {error}") from error
    if _is_worker(config):
        _divide_threads(config)
    config.stash[SESSION] = SuiteSession(options, under_test)
    config.addinivalue_line("python_files", "test_*.py")
    config.pluginmanager.register(sys.modules[__name__], "slembench-suite")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _scratch(config: pytest.Config) -> Path:
    """Temporary folder of the session: made and removed by the controller, handed to the workers."""
    if _is_worker(config):
        return Path(config.workerinput[SCRATCH])  # type: ignore[attr-defined]
    folder = Path(tempfile.mkdtemp(prefix="slembench-suite-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def _divide_threads(config: pytest.Config) -> None:
    """Give each worker its share of the threads of torch, unless the environment says how many."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        workers = config.workerinput["workercount"]  # type: ignore[attr-defined]
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the folder of the session."""
    node.workerinput[SCRATCH] = str(node.config.stash[SESSION].under_test.shared.folder)


# -- in the processes that test -------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests over the physics checks, and over the metrics of the gate file."""
    if "physics_check" in metafunc.fixturenames:
        metafunc.parametrize("physics_check", list(LIMITS))
    if "gated_metric" in metafunc.fixturenames:
        metafunc.parametrize("gated_metric", list(metafunc.config.stash[SESSION].options.gate) or [""])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort tests by area, cheap ones first; drop the test of the gate where there is no gate file."""
    gate = config.stash[SESSION].options.gate

    def position(item: pytest.Item) -> int:
        match = TEST.search(item.nodeid) if _is_suite_test(item) else None
        return AREAS.index(match[1]) if match else -1  # other tests of the user come first

    kept = [item for item in items if gate or not (_is_suite_test(item) and item.name == "test_gate[]")]
    items[:] = sorted(kept, key=position)


def _is_suite_test(item: pytest.Item) -> bool:
    return item.path.parent == Path(__file__).parent


@pytest.fixture(scope="session")
def under_test(pytestconfig: pytest.Config) -> ModelUnderTest:
    """The model and its data."""
    return pytestconfig.stash[SESSION].under_test


@pytest.fixture
def record_value(request: pytest.FixtureRequest) -> RecordValue:
    """Function that puts a value into the record, like pytest's ``record_property``."""
    values = request.node.stash.setdefault(VALUES, [])
    return lambda part, key, value: values.append((part, key, value))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Attach the values of a test to its report."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if _is_suite_test(item):
        # an attribute of the report: pytest-xdist serialises it to the controller, which has no access to the stash
        report.slembench = item.stash.get(VALUES, [])  # type: ignore[attr-defined]
    return report  # type: ignore[return-value]


# -- in the process that the user started ---------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Register the recorder in the controller: with pytest-xdist it receives the reports of all workers."""
    if not _is_worker(session.config):
        session.config.pluginmanager.register(_Recorder(session.config), "slembench-recorder")


class _Recorder:
    """Collects the reports of all processes; writes the record and a summary."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session = config.stash[SESSION]
        self.written: Path | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result of a test."""
        match = TEST.search(report.nodeid)
        # three reports a test: set-up, call, tear-down. It passed where its call did; it failed or was skipped wherever
        # one of them says so. A crash of a worker has no phase and no attributes.
        ours = hasattr(report, "slembench") or report.when == CRASHED
        if match is None or not ours or (report.passed and report.when != "call"):
            return
        outcome = "failed" if report.failed else "skipped" if report.skipped else "passed"
        self.session.tests[report.nodeid] = TestResult(
            name=match[2], area=match[1], outcome=outcome, seconds=round(report.duration, 3), note=_reason(report)
        )
        for part, key, value in getattr(report, "slembench", ()):
            self.session.values.setdefault(part, {})[key] = value

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the record where one was asked for and tests of the suite ran."""
        out = self.session.options.out
        whole = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if out is not None and self.session.tests:
            # -x, --maxfail and Ctrl-C end a session before its last test; such a record must not look like a whole one
            complete = whole and not session.shouldstop and not session.shouldfail
            self.written = write_suite_record(self._record(complete), out)

    def _record(self, complete: bool) -> SuiteRecord:
        options, values = self.session.options, self.session.values
        tests = sorted(self.session.tests.values(), key=lambda test: AREAS.index(test.area))
        about = values.get("about", {})
        return SuiteRecord(
            subject=options.subject,
            model=about.get("model"),
            dataset=self.session.under_test.data.name,
            split=options.split,
            complete=complete,
            workers=int(getattr(self.config.option, "numprocesses", None) or 0),
            outcomes={key: sum(t.outcome == key for t in tests) for key in ("passed", "failed", "skipped")},
            tests=tuple(tests),
            contract=values.get("contract", {}),
            physics=values.get("physics", {}),
            gate=values.get("gate", {}),
            run=about.get("run"),
            versions=versions(),
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print official scores, costs, and where the record is."""
        write, options = terminalreporter.write_line, self.session.options
        data = self.session.under_test.data
        terminalreporter.write_sep("-", f"slembench: {options.subject} on {data.name}, split {options.split}")
        if not self.session.tests:
            write("no test of the suite ran; add: --pyargs slembench.suite")
            return
        run = self.session.values.get("about", {}).get("run")
        if run is not None:
            for score in official_scores(data.card, list(run["scores"])):
                write(f"{score}: {format_score(**run['scores'][score])}")
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
