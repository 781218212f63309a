"""Studies: a table of runs, worked through on one machine or a cluster, and a report of their results."""

from slembench.studies.plan import Derived, PlannedRun, StudyPlan, read_plan, write_plan
from slembench.studies.run import local_backend, ray_backend, run_study, start_study

__all__ = [
    "Derived", "PlannedRun", "StudyPlan", "local_backend", "ray_backend", "read_plan", "run_study", "start_study",
    "write_plan",
]  # fmt: skip
