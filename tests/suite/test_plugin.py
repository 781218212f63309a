"""The plug-in in projects that do not test a model: nothing is imported, collected or changed."""

import pytest

pytest_plugins = "pytester"

PLUGIN = ["-p", "slembench.suite.plugin"]


@pytest.fixture
def project(pytester, monkeypatch):
    """A project of somebody else, in which no plug-in is loaded but those that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def test_another_project_is_left_alone(project, monkeypatch):
    import slembench

    project.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_there():
            assert "slembench.suite.plugin" in sys.modules
            assert not {"torch", "numpy", "yaml", "pydantic"} & set(sys.modules)
            light = {"slembench", "slembench._version", "slembench.suite", "slembench.suite.plugin"}
            assert {name for name in sys.modules if name.partition(".")[0] == "slembench"} == light
        """
    )
    monkeypatch.setenv("PYTHONPATH", slembench.__path__[0].removesuffix("/slembench"))
    done = project.runpytest_subprocess(*PLUGIN)
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("*slembench*")


def test_the_suite_without_a_model_is_deselected(project):
    done = project.runpytest_inprocess(*PLUGIN, "--pyargs", "slembench.suite")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    done.stdout.fnmatch_lines(
        [
            "slembench.suite: nothing to test; say what with --slembench-model or --slembench-checkpoint",
            "*deselected*",
        ]
    )


def test_own_tests_beside_the_suite_run(project):
    project.makepyfile("def test_mine():\n    pass\n")
    done = project.runpytest_inprocess(*PLUGIN, "--pyargs", "slembench.suite", ".")
    assert done.parseoutcomes()["passed"] == 1


def test_options_are_explained(project):
    done = project.runpytest_inprocess(*PLUGIN, "--help")
    text = done.stdout.str()
    for option in ("--slembench-model=MODEL", "--slembench-gate=GATE", "--slembench-set=KEY=VALUE"):
        assert option in text
