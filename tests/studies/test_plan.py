"""Plans: keys, files, and what is refused; what the designs put into them."""

import pytest

from slembench.core.errors import ConfigError
from slembench.studies import Derived, StudyPlan, read_plan, write_plan
from slembench.studies.designs import ModelSpec, Options, data_efficiency, locality, seeds
from slembench.studies.transfer import SCRATCH, domains, transfer


@pytest.fixture
def options(toy_model):
    return Options((ModelSpec(toy_model), ModelSpec(toy_model, "wide")), steps=20)


def test_a_key_stands_for_what_decides_the_result(small_plan):
    run = small_plan.runs[0]
    key = small_plan.key(run)
    for change in ({"seed": 1}, {"partition": 60}, {"settings": "x"}, {"fingerprint": "x"}, {"splits": ("val",)}):
        assert small_plan.key(run.model_copy(update=change)) != key
    assert small_plan.key(run.model_copy(update={"labels": {"model": "another word"}})) == key
    other = StudyPlan(
        study=small_plan.study, derived={run.dataset: Derived(source="x", cutoff_factor=0.5)}, runs=(run,)
    )
    assert other.key(run) != key


def test_the_file_reads_back_and_names_what_is_wrong(small_plan, tmp_path):
    path = write_plan(small_plan, tmp_path)
    assert read_plan(tmp_path) == small_plan
    assert all(f"# {key}" in path.read_text() for key in small_plan.keyed)
    text = path.read_text()
    for wrong, message in (
        (text.replace("partition: 60", "portion: 60"), "key 'runs.1.portion': unknown key"),
        (text + text[text.index("- dataset") :].split("# ")[0], "the same as an earlier one"),
        ("runs: [", "not readable as YAML"),
    ):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=message):
            read_plan(tmp_path)
    with pytest.raises(ConfigError, match=r"no plan.yaml there"):
        read_plan(tmp_path / "nowhere")


def test_data_efficiency(crystals, options, toy_model):
    plan = data_efficiency([crystals], options, (1, 0.4))
    rows = [(run.labels["model"], run.partition, run.labels["n_train"]) for run in plan.runs]
    assert rows == [("toy", 100, 6), ("toy", 40, 2), ("toy@wide", 100, 6), ("toy@wide", 40, 2)]
    assert {run.changes["training.max_steps"] for run in plan.runs} == {20}
    assert all(run.splits == ("test",) for run in plan.runs)
    for fractions in ((1, 0.5), (1, 1)):
        with pytest.raises(ConfigError, match="each must be one of 1, 0.8, 0.6, 0.4, 0.2"):
            data_efficiency([crystals], options, fractions)
    with pytest.raises(ConfigError, match="no variant 'narrow'"):
        data_efficiency([crystals], Options((ModelSpec(toy_model, "narrow"),)))


def test_one_budget_replaces_those_of_the_recipe(crystals, toy_model):
    (run,) = data_efficiency([crystals], Options((ModelSpec(toy_model),), cpu_s=3.0), (1,)).runs
    budgets = {key: run.changes[f"training.{key}"] for key in ("max_steps", "max_cpu_s", "max_wall_s")}
    assert budgets == {"max_steps": None, "max_cpu_s": 3.0, "max_wall_s": None}
    (run,) = data_efficiency([crystals], Options((ModelSpec(toy_model),)), (1,)).runs
    assert run.changes == {}


def test_seeds(crystals, toy_model):
    plan = seeds([crystals], Options((ModelSpec(toy_model),), seeds=(0, 3)))
    assert [run.seed for run in plan.runs] == [0, 3]
    with pytest.raises(ConfigError, match="two at least"):
        seeds([crystals], Options((ModelSpec(toy_model),)))
    with pytest.raises(ConfigError, match="give each one once"):
        Options((ModelSpec(toy_model),), seeds=(1, 1))


def test_locality_states_how_far_models_see(crystals):
    models = (ModelSpec("slem"), ModelSpec("lem"))
    plan = locality(crystals, Options(models, steps=5), (1.0, 0.5), (1, 2))
    reach = {
        (run.labels["model"], run.labels["factor"], run.labels["layers"]): run.labels["onsite_reach"]
        for run in plan.runs
    }
    assert reach["slem", 1.0, 1] == reach["slem", 1.0, 2] == 4.0
    assert (reach["lem", 1.0, 1], reach["lem", 1.0, 2], reach["lem", 0.5, 2]) == (8.0, 12.0, 6.0)
    (name,) = plan.derived
    assert plan.derived[name].cutoff_factor == 0.5
    assert {run.dataset for run in plan.runs if run.labels["factor"] == 0.5} == {name}


def test_shorter_cutoffs_are_for_crystals(molecules):
    with pytest.raises(ConfigError, match="for crystals only"):
        locality(molecules, Options((ModelSpec("slem"),), steps=5), (1.0, 0.5))


def test_transfer_keeps_half_of_the_target_for_testing(make_dataset, crystals, options, tmp_path):
    ids = crystals.ids
    splits = {"train": ids[:4], "val": ids[4:5], "test": ids[5:7], "test_hot": ids[7:]}
    samples = [crystals.sample(structure) for structure in ids]
    bands = {"kmesh": [3, 3, 1], "window_eV": 5.0}
    cutoffs = {"B": 3.0, "N": 4.0}
    data = make_dataset(tmp_path / "hot", samples, cutoffs, splits=splits, bands=bands)
    main, hot = domains(data, "split")
    assert (main.name, hot.name, main.source, hot.source) == ("main", "hot", True, False)
    assert (len(hot.test), len(hot.val), len(hot.train)) == (3, 1, 1)
    plan = transfer(data, options, shots=(0, 1), tune_steps=7)
    rows = [(r.labels["source"], r.labels["target"], r.labels["shots"], bool(r.init_from)) for r in plan.runs[:4]]
    assert rows[0] == ("main", "", 0, False)
    assert ("main", "hot", 1, True) in rows
    assert (SCRATCH, "hot", 1, False) in rows
    assert plan.runs[1].init_from == plan.key(plan.runs[0])
    assert plan.runs[1].changes["training.max_steps"] == 7
    for derived in plan.derived.values():
        learnt = {*derived.splits["train"], *derived.splits["val"]}
        assert not learnt & {*derived.splits["test_main"], *derived.splits["test_hot"]}
    with pytest.raises(ConfigError, match="hot has 1 structures to fine-tune with"):
        transfer(data, options, shots=(2,))


def test_kinds_of_one_formula(crystals, options):
    (only,) = domains(crystals, "composition")
    assert (only.name, len(only.train)) == ("BN", 6)
    with pytest.raises(ConfigError, match="holds one kind of structures by size"):
        transfer(crystals, options, by="size")
