"""The house itself: who imports whom, which files the rules name, what the type checker and the digest see."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from nctransfer.dag.canonical import settings_classes
from nctransfer.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "nctransfer").rglob("*.py"))
}
# What only the Snakefile, reports and jobs' messages need; nothing else imports it.
FRONT_END = ("config", "dag", "reporting")


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
    fronts = (*FRONT_END, "__main__")
    above = {module for module in MODULES if module.split(".")[1:2] and module.split(".")[1] in fronts}
    assert {module: found for module in MODULES.keys() - above if (found := imported(module) & above)} == {}


def inputs() -> dict[str, list[str]]:
    """Code of every input of every rule that has some."""
    found = {}
    for path in (ROOT / "workflow" / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))):
        for name, rest in re.findall(r"^rule (\w+):\n((?: +.*\n|\n)*)", path.read_text(), flags=re.M):
            if block := re.search(r"^    input:\n((?: {8}.*\n|\n)*)", rest, flags=re.M):
                call = ast.parse(f"f(\n{block[1]})", mode="eval").body
                assert isinstance(call, ast.Call)
                values = [*call.args, *(keyword.value for keyword in call.keywords)]
                found[name] = [ast.unparse(value) for value in values]
    return found


def test_every_rule_names_its_inputs():
    """By a path pattern or another rule's output; functions only where wildcards do not determine them."""
    listed = [(name, part) for name, parts in inputs().items() for part in parts]
    # the rest of each store, beside the file that is named
    rest = [part for part in listed if part == (part[0], f"contents_of_stores('{part[0]}')")]
    listed = [part for part in listed if part not in rest]
    assert (len(listed), len(rest)) == (46, 15)
    nameless = {name: part for name, part in listed if not re.search(r"rules\.\w+\.output|/", part)}
    # what is shown, chosen or the user's own decides, not the wildcards
    assert nameless == {
        "images": "unpack(files_of_user)", "features_joined": "unpack(shards_of_features)", "finetune": "weights_with_text_tower", "ranking": "unpack(tables_of_ranking)",
        "figure": "unpack(tables_of_figure)", "table": "unpack(tables_of_table)", "rank": "ranked_pictures",
        "chance": "unpack(numbers_of_claims)", "scorecard": "unpack(numbers_of_scorecard)",
        "overview": "unpack(all_that_is_shown)",
        "provenance": "unpack(all_that_is_shown)",
    }  # fmt: skip


def defined_settings() -> dict[str, set[str]]:
    """Names of the classes of settings that each module defines, as Python sees them."""
    for module, path in MODULES.items():
        if "class " in path.read_text():  # else it would load libraries for nothing
            importlib.import_module(module)
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
    defined = defined_settings()
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text())
        written = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        assert defined.get(module, set()) & written == {node.name for node in settings_classes(tree)}, module


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


@pytest.mark.slow
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
