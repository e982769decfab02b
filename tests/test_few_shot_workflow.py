"""Table 2 through the real workflow, in small on digits; and a real meta-training where real images are."""

import shutil
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest
import yaml
from project import ROOT, Project

from nctransfer.config.yaml_files import read_mapping

TABLE = "tables/few/table2.csv"
VIEW = "digits59.20pc.test5pc-8px"
OVERLAY = """
study: few
datasets:
  digits04: {source: digits, classes: ["0", "1", "2", "3", "4"], per_class: 20, test_per_class: 5}
  digits59: {source: digits, classes: ["5", "6", "7", "8", "9"], per_class: 20, test_per_class: 5}
  few59: {source: digits, classes: ["5", "6", "7", "8", "9"], count: 30, test_per_class: 5}
models:
  conv:
    source: pretraining
    architecture: few_shot/convnet4
    options: {width: 4}
    size: 8
    dataset: digits04
    training: &steps {epochs: 3, batch_size: 20, decay_epochs: [1, 2], decay_factor: 0.5}
  res:
    source: pretraining
    architecture: few_shot/seresnet12
    options: {width: 4, drop_rate: 0.1, block_size: 2}
    size: 8
    dataset: digits04
    units: penultimate
    training: *steps
finetuning: {epochs: 1, statistics: frozen, precision: float32}
few_shot: {episodes: 6}
tables:
  tuned:
    kind: methods
    panels: [{model: conv, dataset: digits59, runs: [{methods: [layer_ft, scl_ft], units: [1], features: penultimate}]}]
  short: {kind: few_shot, panels: [{dataset: few59, series: [{models: {ConvNet4: conv}}]}]}
  table2:
    kind: few_shot
    published: config/published/paper/table2.csv
    panels: [{dataset: digits59, title: digits 5-9, series: [{models: {ConvNet4: conv, SEResNet12: res}}]}]
resources: {threads: 1, mem_mb: 500, runtime: 5}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Project:
    """A project whose table is written; tests work on clones."""
    project = Project.small(tmp_path_factory.mktemp("finished") / "p")
    (project.folder / "few.yaml").write_text(OVERLAY)
    run = project.run(TABLE, "tables/few/tuned.csv", overlay="few.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    return project


@pytest.fixture(scope="module")
def again(finished, tmp_path_factory) -> tuple[Project, subprocess.CompletedProcess]:
    """A clone that was made again from the features on, and a run of a table for which images are missing."""
    project = finished.clone(tmp_path_factory.mktemp("again") / "p")
    for folder in ("few_shot", "features/conv", "features/res"):
        shutil.rmtree(project.folder / "results/few" / folder)
    for path in project.folder.glob("tables/few/table2.*"):
        path.unlink()
    targets = (TABLE, "tables/few/tuned.csv", "tables/few/short.csv")
    return project, project.run(*targets, options=("--keep-going",), overlay="few.yaml")


def test_the_table_says_what_the_episodes_gave(finished):
    numbers = pd.read_csv(finished.folder / TABLE)
    assert list(zip(numbers["label"], numbers["shots"], strict=True)) == [
        ("ConvNet4", 1), ("ConvNet4", 5), ("SEResNet12", 1), ("SEResNet12", 5),
    ]  # fmt: skip
    for model in ("conv", "res"):
        tidy = pd.read_parquet(finished.folder / f"results/few/few_shot/{model}/{VIEW}.parquet")
        shown = numbers.loc[numbers["model"] == model, list(tidy.columns)].reset_index(drop=True)
        pd.testing.assert_frame_equal(shown, tidy, check_dtype=False)
    assert (numbers[["ways", "queries", "episodes", "samples", "classes"]] == [5, 15, 6, 125, 5]).all(
        axis=None
    )
    assert (numbers["accuracy_low"] < numbers["accuracy"]).all()
    assert (numbers["accuracy"] < numbers["accuracy_high"]).all()
    text = (finished.folder / "tables/few/table2.md").read_text()
    first = numbers.iloc[0]
    cell = f"{first['accuracy']:.2f} ± {(first['accuracy_high'] - first['accuracy_low']) / 2:.2f}"
    assert cell in text
    assert "SEResNet12" in (finished.folder / "tables/few/table2.tex").read_text()


def test_the_units_are_the_blocks_and_the_rate_fell_in_steps(finished):
    units = pd.read_csv(finished.folder / "results/few/models/conv/units.csv")
    assert list(units["name"])[:5] == ["stem", *(f"blocks.{block}" for block in range(4))]
    assert list(units["width"][:6]) == [3, 4, 4, 4, 4, 4]
    history = pd.read_parquet(finished.folder / "results/few/pretraining/conv/history.parquet")
    rates = history.drop_duplicates("epoch")["learning_rate"]
    assert list(rates) == pytest.approx([0.1, 0.05, 0.025])


@pytest.mark.parametrize(
    ("old", "new", "jobs"),
    [
        ("{episodes: 6}", "{episodes: 7}", Counter(few_shot=2, table=1)),
        ("{episodes: 6}", "{episodes: 6, normalise: false}", Counter(few_shot=2, table=1)),
        ("study: few", "study: few\nmetrics: {permutations: 4}", Counter(few_shot=2, table=1)),
        ("title: digits 5-9", "title: other digits", Counter(table=1)),
        ("study: few", "study: few\nprobes: {epochs: 3}", Counter()),
        (
            "decay_factor: 0.5",
            "decay_factor: 0.6",
            Counter(pretrain=2, model=2, features=2, few_shot=2, table=1),
        ),
    ],
)
def test_what_is_changed_runs_again_and_nothing_else(planned_project, old, new, jobs):
    planned_project.edit("few.yaml", old, new)
    assert planned_project.planned(TABLE, overlay="few.yaml") == jobs


def test_code_of_the_episodes_reruns_them_alone(planned_project):
    planned_project.edit("nctransfer/few_shot/evaluation.py", "C=1.0", "C=2.0")
    assert planned_project.planned(TABLE, overlay="few.yaml") == Counter(few_shot=2, table=1)


def test_the_same_job_gives_the_same_bytes(finished, again):
    before, after = (project.contents("results", "tables") for project in (finished, again[0]))
    assert {name: data for name, data in after.items() if name in before} == before


def test_too_few_images_end_the_job_with_one_message(again):
    project, run = again
    assert run.returncode != 0
    said = run.stdout + run.stderr
    assert "few_shot: an episode takes 20 images per class (5 shots, 15 queries), but '5' has" in said
    assert not (project.folder / "tables/few/short.csv").exists()


def test_the_first_block_can_be_tuned_though_nothing_lies_below_it(finished):
    share = pd.read_csv(finished.folder / "tables/few/tuned.csv")["share"]
    tuned, above = 3 * 4 * 9 + 4 + 8, 3 * (4 * 4 * 9 + 4 + 8)  # convolution with bias, batch normalisation
    head = 4 * 5 + 5
    assert list(share) == pytest.approx([100 * (tuned + head) / (tuned + above + head)] * 2)


@pytest.mark.slow
def test_a_network_trained_on_64_classes_tells_20_others_apart(tmp_path, shared_data):
    """CIFAR-FS in small: 60 images a class and 4 epochs; chance is 20 %, an untrained network reaches 30 %."""
    unpack = [sys.executable, str(shared_data / "unpack.py"), str(tmp_path / "arrays"), "cifar100"]
    subprocess.run(unpack, check=True, capture_output=True)
    files = {split: str(tmp_path / f"arrays/cifar100_{split}.npz") for split in ("train", "test")}
    paper = read_mapping(ROOT / "config.yaml")
    meta = {
        split: {"source": "arrays", **files, "classes": paper["datasets"][f"cifar-fs-{split}"]["classes"]}
        for split in ("train", "test")
    }
    model = paper["models"]["cifar-fs-convnet4"]
    model["training"] |= {"epochs": 4, "decay_epochs": [3], "precision": "float32"}
    overlay = {
        "study": "real",
        "datasets": {
            "meta-train": meta["train"] | {"per_class": 60, "test_per_class": 10},
            "meta-test": meta["test"] | {"per_class": 50, "test_per_class": 50},
        },
        "models": {"convnet4": model | {"dataset": "meta-train"}},
        "few_shot": {"episodes": 300},
        "tables": {
            "table2": {"panels": [{"dataset": "meta-test", "series": [{"models": {"ConvNet4": "convnet4"}}]}]}
        },
        "resources": {"threads": 2, "mem_mb": 4000, "runtime": 30},
    }
    project = Project.fresh(tmp_path / "p")
    (project.folder / "real.yaml").write_text(yaml.safe_dump(overlay))
    run = project.run("tables/real/table2.csv", overlay="real.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.folder / "tables/real/table2.csv").set_index("shots")
    assert table["accuracy_low"][1] > 34
    assert table["accuracy_low"][5] > table["accuracy_high"][1]
    assert (table["nc1"] < table["nc1_shuffled"]).all()
