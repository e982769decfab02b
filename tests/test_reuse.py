"""Other workflows import this one, as docs/reuse.md says, with its text as it stands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from project import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = (ROOT / "docs/reuse.md").read_text()
WHERE = "/path/to/nctransfer"
FIGURE = "figures/mine/layers.pdf"
IMAGES = "results/mine/images/digits04.40pc.test10pc/train/manifest.json"
DEPLOYED = 'github("<owner>/nctransfer", path="workflow/Snakefile", tag="v0.1.0")'
FROM_GIT = f'gitfile("{WHERE}", path="workflow/Snakefile", tag="v0.1.0")'


def blocks(heading: str, language: str) -> list[str]:
    """The code blocks of a section."""
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A copy of this project that the other workflows import."""
    return Project.fresh(tmp_path_factory.mktemp("imported") / "nctransfer")


@pytest.fixture(scope="module")
def repository(project) -> Path:
    """The copy as a git repository with the tag v0.1.0."""
    name = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "core.autocrlf=false")
    for words in (["init", "-q"], ["add", "."], [*name, "commit", "-qm", "All"], ["tag", "v0.1.0"]):
        subprocess.run(["git", *words], cwd=project.folder, check=True)
    return project.folder


def other_workflow(folder: Path, project: Project, *texts: str) -> Path:
    """A folder with a Snakefile of these texts and the page's configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "Snakefile").write_text("\n\n".join(texts).replace(WHERE, str(project.folder)))
    (folder / "mine.yaml").write_text(*blocks("A module", "yaml"))
    return folder


def snakemake(folder: Path, *words: str, path: Path | None = None) -> subprocess.CompletedProcess:
    typed = [sys.executable, "-m", "snakemake", "-j2", "--resources=gpu=0", "--nocolor", *words]
    environment = os.environ | {"PYTHONPATH": str(path or ""), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        typed, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )  # fmt: skip


def done(folder: Path, *words: str, path: Path | None = None) -> str:
    """Run a workflow to its end, see that there is nothing left to do; the output of the run."""
    run = snakemake(folder, *words, path=path)
    assert run.returncode == 0, run.stdout
    again = snakemake(folder, "-n", *words, path=path)
    assert "Nothing to be done" in again.stdout, again.stdout
    return run.stdout


@pytest.fixture(scope="module")
def expected(project, tmp_path_factory) -> dict[str, bytes]:
    """Results of the same configuration in the project's own folder."""
    own = project.clone(tmp_path_factory.mktemp("own") / "nctransfer")
    # what a module lacks has its defaults, and nothing comes from config.yaml
    (own.folder / "config.yaml").write_text(*blocks("A module", "yaml"))
    run = own.run(FIGURE, options=("--resources", "gpu=0"), overlay=None)
    assert run.returncode == 0, run.stdout
    return results(own.folder)


def results(folder: Path) -> dict[str, bytes]:
    return Project(folder).contents("results", "figures")


def test_a_module_has_its_own_configuration(project, expected, tmp_path):
    folder = other_workflow(tmp_path / "mine", project, *blocks("A module", "snakemake"))
    done(folder)
    assert results(folder) == expected
    assert "layers.csv" in (folder / "summary.txt").read_text()


def test_a_module_says_what_is_stale_before_its_jobs_and_leaves_its_digests(project, tmp_path):
    folder = other_workflow(tmp_path / "mine", project, *blocks("A module", "snakemake"))
    done(folder)
    shutil.rmtree(folder / ".snakemake")
    text = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(
        text + "probes: {epochs: 4}\n" if "probes" not in text else text + "seed: 5\n"
    )
    told = done(folder)
    assert 0 < told.index("so made again: ") < told.index("Select jobs to execute")
    assert (folder / ".snakemake/nctransfer/mine.digests").is_file()


def test_files_and_values_of_the_host_are_no_overlays_of_a_module(project, tmp_path):
    (text,) = blocks("A module", "snakemake")
    text = text.replace("        config\n", '        config["nctransfer"]\n').replace(
        'configfile: "mine.yaml"', ""
    )
    folder = other_workflow(tmp_path / "mine", project, text)
    own = yaml.safe_load((folder / "mine.yaml").read_text())
    (folder / "host.yaml").write_text(yaml.safe_dump({"nctransfer": own, "samples": ["a"]}))
    files = ("--configfile", "host.yaml", "--config", "reads=1")
    planned = snakemake(folder, "-n", *files, "--", FIGURE)
    assert planned.returncode == 0, planned.stdout
    own["figures"]["layers"]["panels"][0]["title"] = own["study"] = "1e5"  # texts stay texts
    (folder / "host.yaml").write_text(yaml.safe_dump({"nctransfer": own}))
    planned = snakemake(folder, "-n", *files, "--", FIGURE.replace("mine", "1e5"))
    assert planned.returncode == 0, planned.stdout


def test_mistakes_of_a_modules_configuration_are_told_at_once(project, tmp_path):
    folder = other_workflow(tmp_path / "mine", project, *blocks("A module", "snakemake"))
    wrong = (
        (folder / "mine.yaml").read_text().replace("epochs: 2", "epochs: two").replace("study:", "studdy:")
    )
    (folder / "mine.yaml").write_text(wrong)
    run = snakemake(folder, "-n")
    assert run.returncode != 0
    assert "2 mistakes in the configuration" in run.stdout
    assert "models.net.training.epochs: 'two'" in run.stdout
    assert "studdy" in run.stdout
    assert "study" in run.stdout


def test_single_rules_are_changed(project, expected, tmp_path):
    folder = other_workflow(
        tmp_path / "mine", project, *blocks("A module", "snakemake"), *blocks("One rule changed", "snakemake")
    )
    planned = snakemake(folder, "-n")
    assert planned.returncode != 0
    assert "approved.txt" in planned.stdout
    (folder / "approved.txt").write_text("yes\n")
    planned = snakemake(folder, "-n")
    assert "Pre-training net (3000 MB, 20 min)" in planned.stdout
    output = done(folder)
    assert "localrules directive specifies rules that are not present" not in output
    assert results(folder) == expected


def test_two_modules_share_a_configuration_and_one_has_a_prefix(project, expected, tmp_path):
    (text,) = blocks("A module", "snakemake")
    text = text.replace("        config\n", '        config["nctransfer"]\n')
    other = text.replace("nctransfer:", "other:").replace("nctransfer_*", "other_*")
    other = other.replace("from nctransfer", "from other").replace(
        "    config:", '    prefix: "sub"\n    config:'
    )
    other = re.sub(r'configfile: "mine.yaml"\n+', "", other).partition("rule summary")[0]
    folder = other_workflow(tmp_path / "mine", project, text, other)
    own = yaml.safe_load((folder / "mine.yaml").read_text())
    own["models"]["net"]["training"]["learning_rate"] = "5e-2"  # as Snakemake reads 5e-2
    (folder / "mine.yaml").write_text(yaml.safe_dump({"nctransfer": own, "other": 1}))
    done(folder, "--", FIGURE, f"sub/{FIGURE}")
    assert results(folder) == results(folder / "sub") == expected


def test_a_module_without_a_configuration_is_the_paper_with_overlays(project, tmp_path):
    (text,) = blocks("A module", "snakemake")
    text = text.replace("    config:\n        config\n", "").replace('configfile: "mine.yaml"\n', "")
    folder = other_workflow(tmp_path / "mine", project, text.partition("rule summary")[0])
    assert "figures/fig3.pdf" in snakemake(folder, "-n", "--", "figures/fig3.pdf").stdout
    overlay = snakemake(folder, "-n", "--configfile", "mine.yaml", "--", FIGURE, "figures/mine/fig3.pdf")
    assert overlay.returncode == 0, overlay.stdout


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory) -> Path:
    """A folder with the package as the page installs it from the git tag."""
    (typed,) = [line for line in blocks("From a git tag", "") if line.startswith("pip install")]
    *_, source = typed.split()
    folder = tmp_path_factory.mktemp("site")
    # without what the test environment has already
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(folder)]
    source = source.replace(WHERE, str(repository))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return folder


def test_the_layout_of_snakedeploy(project, site, tmp_path):
    folder = tmp_path / "mine"
    # what snakedeploy does: the repository's config/ is copied, and a Snakefile is written
    shutil.copytree(project.folder / "config", folder / "config")
    (folder / "workflow").mkdir()
    (text,) = blocks("Deployed by snakedeploy", "snakemake")
    assert DEPLOYED in text
    from_git = FROM_GIT.replace(WHERE, str(project.folder))
    (folder / "workflow/Snakefile").write_text(text.replace(DEPLOYED, from_git))
    planned = snakemake(folder, "-n", "-q", "rules", path=site)
    assert planned.returncode == 0, planned.stdout
    assert int(re.findall(r"^total +(\d+)", planned.stdout, re.MULTILINE)[-1]) > 1500  # the whole paper
    (folder / "config/config.yaml").write_text(*blocks("A module", "yaml"))
    done(folder, "--", IMAGES, path=site)
    assert (folder / IMAGES).is_file()


def test_a_module_from_a_git_tag_uses_the_installed_package(repository, site, project, expected, tmp_path):
    (text,) = blocks("From a git tag", "snakemake")
    assert FROM_GIT in text
    folder = other_workflow(tmp_path / "mine", project, text)
    missing = snakemake(folder, "-n", "--", FIGURE)
    assert missing.returncode != 0
    assert "neither beside these rules nor installed" in missing.stdout
    assert "0.1.0" in missing.stdout

    done(folder, "--", FIGURE, path=site)
    assert results(folder) == expected

    # of another commit, with the same version
    other = tmp_path / "other"
    shutil.copytree(site, other)
    (other / "nctransfer/errors.py").write_text((site / "nctransfer/errors.py").read_text() + "\nX = 1\n")
    refused = snakemake(folder, "-n", "--", FIGURE, path=other)
    assert refused.returncode != 0
    assert str(other) in refused.stdout
    assert refused.stdout.count("version 0.1.0") == 2
    assert len(set(re.findall(r"digest ([0-9a-f]{12})", refused.stdout))) == 2


@pytest.mark.parametrize("target", [FIGURE, "figures"])
def test_an_installed_package_may_lie_elsewhere_but_not_differ(project, tmp_path, target):
    if target == FIGURE:
        folder = other_workflow(tmp_path / "mine", project, *blocks("A module", "snakemake"))
    else:
        folder = project.clone(tmp_path / "p").folder
    site = tmp_path / "site"
    shutil.copytree(project.folder / "nctransfer", site / "nctransfer")
    shutil.copy2(project.folder / "pyproject.toml", site)
    planned = snakemake(folder, "-n", "--", target, path=site)
    assert planned.returncode == 0, planned.stdout
    project_file = site / "pyproject.toml"
    project_file.write_text(project_file.read_text().replace('version = "0.1.0"', 'version = "0.0.9"'))
    refused = snakemake(folder, "-n", "--", target, path=site)
    assert refused.returncode != 0
    assert str(site) in refused.stdout
    assert "version 0.0.9, digest" in refused.stdout
    assert "version 0.1.0, digest" in refused.stdout


def test_results_in_a_storage_provider_are_those_of_a_local_run(file_storage, tmp_path):
    (typed,) = [
        line for line in blocks("Results in an object store", "") if "--default-storage-provider s3" in line
    ]
    assert "--default-storage-prefix s3://bucket/folder" in typed
    store = tmp_path / "store"
    # the file system stands in for S3
    options = ("--resources", "gpu=0", "--default-storage-provider", "fs", "--default-storage-prefix", str(store))  # fmt: skip
    target = "figures/tiny/fig3.pdf"
    remote, local = Project.small(tmp_path / "remote"), Project.small(tmp_path / "local")
    run = remote.run(target, options=options)
    assert run.returncode == 0, run.stdout + run.stderr
    again = remote.run(target, options=(*options, "-n"))
    assert "Nothing to be done" in again.stdout + again.stderr
    assert not (remote.folder / "results").exists()
    copies = {path.suffix for path in (remote.folder / ".snakemake/storage").rglob("*.*") if path.is_file()}
    assert copies == {".log"}  # no copy of a store is left
    assert local.run(target, options=options[:2]).returncode == 0
    shutil.rmtree(local.folder / "results/tiny/checkpoints")
    assert Project(store).contents("results", "figures") == local.contents("results", "figures")

    # stores that are needed again come back whole
    run = remote.run(target, options=(*options, "--forcerun", "metrics"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Measuring collapse" in run.stdout + run.stderr
    assert "Extracting features" not in run.stdout + run.stderr
    assert Project(store).contents("results", "figures") == local.contents("results", "figures")


@pytest.mark.parametrize(
    "storage", [(), ("--default-storage-provider", "fs", "--default-storage-prefix", "s")]
)
def test_own_files_are_read_where_they_are(project, tmp_path, storage):
    own = project.clone(tmp_path / "p")
    for name in ("images/own.npz", "models/own.safetensors"):  # folders named like those of stores
        (own.folder / name).parent.mkdir()
    np.savez(own.folder / "images/own.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=[0, 0, 1, 1])
    (own.folder / "models/own.safetensors").touch()
    entry = "  own: {source: arrays, train: images/own.npz, test: images/own.npz}\n"
    own.edit("tiny.yaml", "datasets:\n", f"datasets:\n{entry}")
    entry = (
        "  own: {source: local, architecture: cifar/resnet20, weights: models/own.safetensors, head: false}\n"
    )
    own.edit("tiny.yaml", "models:\n", f"models:\n{entry}")
    images, model = (f"results/tiny/{name}/manifest.json" for name in ("images/own/train", "models/own"))
    planned = own.run(images, model, "scorecard", options=("-n", *storage))
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Fetching own" in planned.stdout
