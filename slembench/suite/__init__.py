"""Tests of any model that pytest runs: contract, physics, accuracy and cost.

    pytest --pyargs slembench.suite --slembench-model=package.module:Model --slembench-dataset=mos2-mini
    pytest --pyargs slembench.suite --slembench-model=path/to/model --slembench-out=record.yaml
    pytest --pyargs slembench.suite --slembench-checkpoint=runs/mine --slembench-gate=metrics.yaml

Contract and physics are passed or failed; scores and costs are data, which only a gate file turns into passed or
failed. Everything is noted in the record (`slembench.suite.record.SuiteRecord`). The plug-in is
`slembench.suite.plugin`.
"""
