"""``slembench models``."""

import json

from typer.testing import CliRunner

from slembench.cli import app

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
    def raw(self, graph):
        n, f = len(graph.species), self.layout.n_features
        direction = (graph.pair_vector * self.weight).sum(dim=1, keepdim=True)
        return {"hamiltonian": OperatorFeatures(torch.ones(n, f).to(direction), direction.repeat(1, f))}
"""


def test_measured_symmetries_and_facts(tmp_path):
    (tmp_path / "model.py").write_text(TOY)
    command = ["models", "--model", "deeph-e3", "--model", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    exact, toy = json.loads(result.output)
    assert exact["symmetry"] == "O3"
    assert max(exact["rotation_error"], exact["inversion_error"]) < 1e-10
    assert exact["onsite_reads"] is None
    assert toy["rotation_error"] > 1e-2  # it says O3 and is not: the table shows it
    assert (toy["parameters"], toy["onsite_reads"], toy["pair_reads"]) == (3, 1.0, None)


def test_an_unknown_model_is_one_line():
    result = CliRunner().invoke(app, ["models", "--model", "nobody"])
    assert result.exit_code == 1
    assert "no model 'nobody'" in result.output
