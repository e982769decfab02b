"""Mistakes in a configuration are told, each in a line that says where, before anything is planned."""

import pytest
import yaml
from project import ROOT

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError

MISTAKES = yaml.safe_load((ROOT / "tests" / "mistakes.yaml").read_text())


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: str(mistake["said"])[:60])
def test_a_mistake_is_told_before_anything_is_planned(tmp_path, mistake):
    overlay, wrong, said = tmp_path / "overlay.yaml", mistake["config"], mistake["said"]
    overlay.write_text(wrong if isinstance(wrong, str) else yaml.safe_dump({"study": "x"} | wrong))
    with pytest.raises(ConfigError) as error:
        Plan(load(ROOT / "config.yaml", [overlay]), ROOT)
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    expected = said.split("\n") if isinstance(said, str) else said
    assert len(lines) == len(expected), lines
    assert all(words in line for words, line in zip(expected, lines, strict=True)), lines
