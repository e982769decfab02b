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
    overlay, said = tmp_path / "overlay.yaml", mistake["said"]
    overlay.write_text(yaml.safe_dump({"study": "x"} | mistake["config"]))
    with pytest.raises(ConfigError) as error:
        Plan(load(ROOT / "config.yaml", [overlay]), ROOT)
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    expected = [said] if isinstance(said, str) else said
    assert [line[: len(words)] for line, words in zip(lines, expected, strict=True)] == expected
