"""Tests of any model that pytest runs: contract, physics, accuracy and cost.

    pytest --pyargs slembench.suite --slembench-model=package.module:Model --slembench-dataset=mos2-mini
    pytest --pyargs slembench.suite --slembench-model=path/to/model --slembench-out=record.yaml
    pytest --pyargs slembench.suite --slembench-checkpoint=runs/mine --slembench-gate=metrics.yaml

Contract and physics pass or fail; scores and costs are measured, and only the limits of a gate file make them pass or
fail. Everything is written to the record (`slembench.suite.record.SuiteRecord`). The plug-in is
`slembench.suite.plugin`.
"""
