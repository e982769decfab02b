"""The house itself: who imports whom, which files the rules name, what the type checker and the digest see."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nctransfer
from nctransfer.dag.canonical import settings_classes
from nctransfer.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "nctransfer").rglob("*.py"))
}
# What only the Snakefile, reports and jobs' messages need; nothing that computes imports it.
FRONT_END = ("config", "dag", "reporting")
SCIENCE = (
    "collapse", "data", "features", "few_shot", "finetuning", "models", "probing", "storage", "training",
    "transferability",
)  # fmt: skip


def imported(module: str) -> set[str]:
    """Modules of the package that a module imports at any place, under ``TYPE_CHECKING`` too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {name if name in MODULES else str(node.module) for name in whole}
    return (names & MODULES.keys()) - {module}


def test_no_module_imports_itself_through_others():
    graph = {module: imported(module) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_what_computes_imports_nothing_from_above():
    wrong = {
        (module, name)
        for module in MODULES
        for name in imported(module)
        if module.split(".")[1:2] and module.split(".")[1] in SCIENCE and name.split(".")[1] in FRONT_END
    }
    assert not wrong


def rules() -> Iterator[tuple[str, str]]:
    """Name of every rule and the text of its inputs."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            name, _, rest = block.partition(":")
            inputs = re.search(r"^    input:\n(.*?)(?=^    \w+:|\Z)", rest, flags=re.M | re.S)
            if inputs:
                yield name, inputs[1]


def test_every_rule_names_its_inputs():
    """By a path pattern or another rule's output; functions only where wildcards do not determine them."""
    free = {
        # what is shown, chosen or the user's own decides, not the wildcards
        "figure", "table", "ranking", "scorecard", "overview", "provenance", "images", "all", "figures",
        "tables", "demo", "models", "rank",
    }  # fmt: skip
    listed = dict(rules())
    assert len(listed) >= 16
    nameless = {
        name for name, inputs in listed.items() if not re.search(r"rules\.\w+\.output|f?\"[^\"]*/", inputs)
    }
    assert nameless <= free, nameless - free


def defined_settings() -> dict[str, set[str]]:
    """Names of the classes of settings that each module defines, as Python sees them."""
    for module in pkgutil.walk_packages(nctransfer.__path__, "nctransfer."):
        if module.name.split(".")[1] not in ("reporting", "models") or "settings" in module.name:
            importlib.import_module(module.name)
    classes: dict[str, set[str]] = {}
    waiting = [Settings]
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            if one.__module__ in MODULES and one.__qualname__.isidentifier():
                classes.setdefault(one.__module__, set()).add(one.__name__)
    return classes


def test_the_digest_recognises_every_class_of_settings():
    """An optional setting makes no job stale only where its class is recognised by its syntax."""
    for module, names in defined_settings().items():
        tree = ast.parse(MODULES[module].read_text())
        written = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        assert names & written == {node.name for node in settings_classes(tree)}, module


TYPOS = """
from nctransfer.config.configuration import Configuration
from nctransfer.dag.job import Job
from nctransfer.data.settings import ImagesJobSettings
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.finetuning.settings import FineTuneJobSettings
from nctransfer.few_shot.settings import FewShotJobSettings
from nctransfer.models.settings import ModelJobSettings
from nctransfer.probing.settings import ProbesJobSettings
from nctransfer.reporting.settings import ShownPanel
from nctransfer.training.settings import LoopSettings, PretrainJobSettings


def read(
    configuration: Configuration, job: Job, images: ImagesJobSettings, features: FeaturesJobSettings,
    finetuning: FineTuneJobSettings, episodes: FewShotJobSettings, model: ModelJobSettings,
    probes: ProbesJobSettings, panel: ShownPanel, loop: LoopSettings, pretrain: PretrainJobSettings,
) -> None:
    loop.warmup_epoch
    pretrain.trainings
    job.setings
    configuration.dataset
    images.geometri
    features.batchsize
    finetuning.skips
    episodes.querys
    model.unitlayout
    probes.learning_rate_
"""


def test_the_type_checker_finds_ten_of_ten_planted_typos(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text(TYPOS)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", planted],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if "has no attribute" in line}
    expected = {
        number for number, line in enumerate(TYPOS.splitlines(), 1) if re.match(r"    \w+\.\w+$", line)
    }
    assert len(expected) == 10
    assert lines == expected, checked.stdout
