"""Studies: a table of runs, worked through by an engine on one machine or many, and a report of what came out."""

from slembench.studies.plan import Derived, Plan, PlannedRun, read_plan, write_plan
from slembench.studies.run import Progress, StudyResult, begin_study, run_study

__all__ = [
    "Derived", "Plan", "PlannedRun", "Progress", "StudyResult", "begin_study", "read_plan", "run_study", "write_plan",
]  # fmt: skip
