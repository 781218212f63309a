"""Evidence levels: what a record says counts only as far as the table beside it bears it out."""

import pytest

from slembench.leaderboard.runs import collect_runs
from slembench.results.evidence import evidence_of, follows
from slembench.results.record import ScoreValue


@pytest.fixture
def run(tmp_path, write_run):
    def make(**options):
        write_run(tmp_path / "a", "a", [0.1, 0.2, 0.3], **options)
        return collect_runs([tmp_path])[0]

    return make


def test_without_a_table_it_is_self_reported(run):
    found = run(with_table=False, config={"evidence": "retrained"})
    assert found.evidence == "self-reported"


def test_with_a_table_it_is_recomputed(run):
    assert run().evidence == "recomputed"


@pytest.mark.parametrize("level", ["re-scored", "retrained"])
def test_what_the_checker_found_is_shown(run, level):
    assert run(config={"evidence": level}).evidence == level


@pytest.mark.parametrize("word", ["recomputed", "perfect", "", None])
def test_other_words_give_nothing(run, word):
    assert run(config={"evidence": word}).evidence == "recomputed"


def test_scores_that_do_not_follow_are_self_reported(run):
    found = run(config={"evidence": "retrained"})
    name = "hamiltonian.mae_all.full.pooled"
    for value, unit in ((0.2001, "eV"), (0.2, "meV")):
        wrong = {**found.record.scores, name: ScoreValue(value=value, unit=unit)}
        record = found.record.model_copy(update={"scores": wrong})
        assert evidence_of(record, found.per_structure) == "self-reported"
    assert not follows(found.record.model_copy(update={"scores": {}}), found.per_structure)
    assert not follows(found.record, found.per_structure.drop(columns="hamiltonian.onsite.full.count"))
