"""Files that repeat each other agree, and the project names no machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_jobs_environment_is_that_of_the_package():
    environment = yaml.safe_load((ROOT / "workflow/envs/nctransfer.yaml").read_text())
    python, _, pip = environment["dependencies"]
    assert python == f"python {PROJECT['project']['requires-python']}"
    assert pip["pip"] == PROJECT["project"]["dependencies"]


def test_the_lock_pins_every_requirement_and_names_no_index():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pinned = {re.split(r"==", line)[0].lower().replace("_", "-") for line in lines if "==" in line}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    names = {re.match(r"[A-Za-z0-9_.-]+", entry)[0].lower().replace("_", "-") for entry in wanted}
    assert names <= pinned


def test_every_rule_asks_for_its_resources_and_torch_rules_for_a_gpu():
    text = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.MULTILINE | re.DOTALL))
    scripts = {name: body for name, body in rules.items() if "script:" in body}
    assert len(scripts) >= 8
    for name, body in scripts.items():
        for part in (
            "mem_mb=",
            "runtime=",
            "log:",
            "conda:",
            "message:",
            "job=job_of",
        ):
            assert part in body, (name, part)
        script = (ROOT / f"workflow/scripts/{name}.py").read_text()
        assert ("gpu=GPUS" in body) == ("task.device()" in script), name


@pytest.mark.parametrize(
    "package",
    sorted({path.parent for path in (ROOT / "nctransfer").rglob("__init__.py")}),
    ids=lambda p: p.name,
)
def test_packages_hold_only_a_docstring(package):
    """An import in a package's own file would be in every digest below it."""
    import ast

    tree = ast.parse((package / "__init__.py").read_text())
    assert [type(node).__name__ for node in tree.body] == ["Expr"]


def test_data_files_beside_modules_are_packaged():
    packaged = PROJECT["tool"]["setuptools"]["package-data"]
    files = [path for path in (ROOT / "nctransfer").rglob("*.*") if path.suffix not in (".py", ".pyc")]
    assert len(files) > 3
    for path in files:  # not of config/, which is a link
        package = ".".join(path.parent.relative_to(ROOT).parts)
        assert any(path.match(pattern) for pattern in packaged.get(package, [])), path


def test_no_path_of_a_machine_is_in_the_sources():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    homes = re.compile(r"(?<![\w.])/(home|root|Users|work)/")
    found = []
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".smk", ".yaml", ".toml", ".md", ".lock", ""} and path.is_file():
            found += [
                name
                for line in path.read_text().splitlines()
                if homes.search(line) and "re.compile" not in line
            ]
    assert found == []


BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("holds", "folder", "derive", "models"),
    [
        (
            "rank:",
            "/data/dtd10",
            lambda plan: plan.ranking("textures"),
            [
                "convnext_tiny.fb_in22k_ft_in1k",
                "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
                "torchvision-mobilenet_v2",
            ],
        ),
        ("layers:", "/data/leaves", lambda plan: plan.figure("layers"), None),
    ],
)
def test_the_readmes_overlays_plan_what_they_say_once_their_folder_is_there(
    tmp_path, holds, folder, derive, models
):
    block = next(block for block in BLOCKS if holds in block)
    path = tmp_path / "mine.yaml"
    path.write_text(block)
    with pytest.raises(ConfigError, match=f"'{folder}' is not a folder"):
        derive(Plan(load(ROOT / "config.yaml", [path]), ROOT))
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "images" / name).mkdir(parents=True)
    path.write_text(block.replace(folder, str(tmp_path / "images")))
    settings = derive(Plan(load(ROOT / "config.yaml", [path]), ROOT)).settings
    shown = settings.models if models else settings.panels
    assert [entry.model for entry in shown] == (models or ["convnext", "clip"])
