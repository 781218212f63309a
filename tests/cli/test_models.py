"""``slembench models``: the list with stored and measured figures; imports of other programs' checkpoints."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from slembench.cli import app
from slembench.models.facts import list_models
from slembench.models.registry import load_model_class
from slembench.training.checkpoint import load_model

TOY = """
import torch
from slembench.models.contract import OperatorModel, ReceptiveField
from slembench.nn.readout import OperatorFeatures

class Toy(OperatorModel):
    name = "toy"
    def __init__(self, *args):
        super().__init__(*args)
        self.weight = torch.nn.Parameter(torch.ones(3))
    @property
    def receptive_field(self):
        return ReceptiveField(1.0, float("inf"), False)
    def forward_irreps(self, graph):
        n, f = len(graph.species), self.layout.n_features
        direction = (graph.pair_vector * self.weight).sum(dim=1, keepdim=True)
        return {"hamiltonian": OperatorFeatures(torch.ones(n, f).to(direction), direction.repeat(1, f))}
"""


def listing(*arguments):
    result = CliRunner().invoke(app, ["models", "list", *map(str, arguments)], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_measured_symmetries_and_facts(tmp_path):
    (tmp_path / "model.py").write_text(TOY)
    exact, toy = json.loads(listing("--measure", "--model", "deeph-e3", "--model", tmp_path, "--json"))
    assert exact["facts"]["symmetry"] == "O3"
    assert max(exact["facts"]["rotation_error"], exact["facts"]["inversion_error"]) < 1e-10
    assert exact["facts"]["receptive_field"]["onsite"] is None
    facts = toy["facts"]
    assert facts["rotation_error"] > 1e-2  # it says O3 and is not: the table shows it
    assert (facts["parameters"], facts["receptive_field"]) == (3, {"onsite": 1.0, "pair": None})


def test_stored_figures_are_listed_within_the_terminal(tmp_path):
    text = listing()
    assert max(map(len, text.splitlines())) <= 80
    for entry in list_models():
        (row,) = [line for line in text.splitlines() if line.split()[:1] == [entry.name]]
        assert f"{entry.facts.parameters:,}" in row
        assert row.split()[1] == entry.facts.symmetry
    assert "Basis and cutoffs of mos2-mini" in text
    (tmp_path / "model.py").write_text(TOY)
    assert f"Not measured (--measure does it): {tmp_path}" in listing("--model", tmp_path)


def test_an_unknown_model_is_one_line():
    result = CliRunner().invoke(app, ["models", "list", "--model", "nobody", "--measure"])
    assert result.exit_code == 1
    assert "no model 'nobody'" in result.output
    result = CliRunner().invoke(app, ["models", "list", "--model", "nobody"])
    assert result.exit_code == 1
    assert result.output.startswith("error: no model 'nobody'")


def test_options_of_a_measurement_need_one():
    result = CliRunner().invoke(app, ["models", "list", "--dataset", "qh9-mini"])
    assert result.exit_code == 1
    assert "--dataset needs --measure" in result.output


ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests/models/slem/fixtures/dptb_slem_silicon.pth"


def command(*arguments):
    result = CliRunner().invoke(app, ["models", "import", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_an_imported_checkpoint_loads(tmp_path):
    code, out, err = command(FILE, "--from", "deeptb", "--out", tmp_path / "a", "--energy-unit", "Hartree")
    assert code == 0, err
    assert "slem, 12709 parameters, hamiltonian, overlap; basis Si:1s1p" in err
    model = load_model(tmp_path / "a")
    assert (model.name, model.energy_unit, model.targets) == ("slem", "Hartree", ("hamiltonian", "overlap"))
    state = json.loads((Path(out.strip()) / "state.json").read_text())
    assert state["imported"]["program"] == "deeptb"
    assert state["imported"]["iteration"] == state["step"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([FILE, "--from", "qhnet", "--out", "{}/a"], "give --dataset NAME as well"),
        ([FILE, "--from", "deeptb", "--out", "{}/a", "--energy-unit", "kcal"], "unknown unit; known: eV"),
        ([FILE, "--from", "deeptb", "--out", "{}"], "exists already"),
        (["nothing.pth", "--from", "deeptb", "--out", "{}/a"], "nothing.pth: no such file"),
    ],
)
def test_mistakes_of_an_import_are_one_line(tmp_path, arguments, message):
    (tmp_path / "something").touch()
    code, _, err = command(*(str(a).format(tmp_path) for a in arguments))
    assert code == 1
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["something"]


QHNET = ["--from", "qhnet", "--dataset", "qh9-mini", "--set", "model.width=4", "--set", "model.bottleneck=2"]


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["models", "import", str(tmp_path / "x.pt"), *QHNET, "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    assert "refused unread" in result.output


def test_weights_alone_need_a_data_set(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    command = ["models", "import", str(tmp_path / "x.pt"), "--from", "qhnet", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "give --dataset" in result.output


def test_a_model_without_importer_says_so(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    command = ["models", "import", str(tmp_path / "x.pt"), "--from", "slem", "--dataset", "mos2-mini"]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    assert "does not import checkpoints" in result.output


def test_an_imported_model_can_be_loaded(tmp_path, monkeypatch):
    """The command writes what `load_model` reads (the weights themselves are checked by the parity tests)."""
    kind = load_model_class("qhnet")
    seen = []

    def fake(cls, file, config, basis, cutoffs, targets):
        seen.append(file)
        return cls(config, basis, cutoffs, targets).to(torch.float64)

    monkeypatch.setattr("slembench.harness.recipe.load_model_class", lambda name: kind)
    monkeypatch.setattr(kind, "from_public", classmethod(fake))
    (tmp_path / "x.pt").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["models", "import", str(tmp_path / "x.pt"), *QHNET, "--out", str(tmp_path / "o")])
    assert result.exit_code == 0, result.output
    assert seen
    model = load_model(tmp_path / "o")
    assert model.name == "qhnet"
    assert model.energy_unit == "Hartree"
    assert next(model.parameters()).dtype == torch.float64
