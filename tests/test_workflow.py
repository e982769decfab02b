"""The real workflow in a folder of its own: the river, rerun precision, failures."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import Project

from nctransfer.config.yaml_files import merge

FIGURE = "figures/tiny/fig3.pdf"
TINY = "tiny.yaml"
DOWNSTREAM = Counter(metrics=1, figure=1)
METRICS = "results/tiny/metrics/tiny/digits59.40pc.test10pc-8px.parquet"


def test_the_river_leaves_its_stages_and_a_tidy_table_behind_the_figure(finished):
    for suffix in ("pdf", "png", "csv"):
        assert (finished.folder / f"figures/tiny/fig3.{suffix}").stat().st_size > 1000
    numbers = pd.read_csv(finished.folder / "figures/tiny/fig3.csv")
    assert list(numbers["unit"]) == list(range(1, 9))
    assert numbers["transfer_accuracy"].between(0, 100).all()
    assert (numbers["nc1"] > 0).all()
    table = pd.read_parquet(finished.folder / METRICS)
    assert {"nc1", "nc1_shuffled", "cdnv", "vci", "numerical_rank", "nc2_etf"} <= set(table["metric"])
    assert set(table["split"]) == {"train", "test"}
    units = pd.read_csv(finished.folder / "results/tiny/models/tiny/units.csv")
    assert list(units["index"][:9]) == [str(index) for index in range(9)]
    assert not (finished.folder / "results/metrics").exists()  # nothing in the paper's own folders


def test_a_second_run_has_nothing_to_do_and_changes_nothing(finished):
    before = finished.contents("results", "figures", "logs")
    run = finished.run(FIGURE, FIGURE.removesuffix(".pdf"))
    assert run.returncode == 0
    assert "Nothing to be done" in run.stderr + run.stdout
    assert finished.contents("results", "figures", "logs") == before


def test_a_name_without_a_suffix_asks_for_every_form(planned_project):
    name = FIGURE.removesuffix(".pdf")
    (planned_project.folder / f"{name}.png").unlink()
    assert planned_project.planned(name) == {"figure": 1}
    assert planned_project.planned(FIGURE) == {}


def test_a_fresh_clone_with_copied_results_reruns_nothing(finished, tmp_path):
    clone = Project.small(tmp_path / "clone")  # sources with new times
    for name in ("results", "figures", ".snakemake"):
        shutil.copytree(finished.folder / name, clone.folder / name, copy_function=shutil.copyfile)
    assert clone.planned(FIGURE) == Counter()


def test_results_of_other_code_are_refused_where_nothing_makes_them_again(project):
    project.edit(TINY, "epochs: 3", "epochs: 3, learning_rates: [2e-1]")
    shutil.rmtree(project.folder / ".snakemake")
    (project.folder / FIGURE).unlink()
    run = project.run(FIGURE, options=("--rerun-triggers", "mtime"))
    assert run.returncode != 0
    assert "accuracy.parquet: made by other code or settings" in run.stderr
    assert not (project.folder / FIGURE).exists()


@pytest.mark.slow
def test_finished_results_are_compared_with_the_plan_whatever_the_records_say(finished, tmp_path):
    project = finished.clone(tmp_path / "p")
    shutil.rmtree(project.folder / ".snakemake/metadata")
    assert project.planned(FIGURE) == {}  # nothing has changed
    project.edit(TINY, "epochs: 3", "epochs: 3, learning_rates: [2e-1]")
    dry = project.run(FIGURE, options=("-n",))
    told = r"made by other code, settings, data or software .* results/tiny/probes/\S+"
    assert re.search(told, dry.stdout), dry.stdout
    shutil.rmtree(project.folder / ".snakemake")
    assert project.planned(FIGURE) == {"probes": 1, "figure": 1}
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stderr
    assert re.search(told, run.stderr), run.stderr
    assert project.planned(FIGURE) == {}
    # older results under the records of the new ones, with their old times: of what lies between alone, and all
    (accuracy,) = (project.folder / "results/tiny/probes").rglob("accuracy.parquet")
    between = accuracy.parent.relative_to(project.folder)
    for place in (between, Path("results"), Path("figures")):
        shutil.rmtree(project.folder / place)
        shutil.copytree(finished.folder / place, project.folder / place)
        if place != Path("results"):
            assert project.planned(FIGURE) == {"probes": 1, "figure": 1}
    # who does not want reruns for other parameters gets none
    kept = project.run(FIGURE, options=("-n", "--rerun-triggers", "mtime"))
    assert "made by other code, settings, data or software" not in kept.stdout + kept.stderr
    # the other way round
    assert project.run(FIGURE).returncode == 0
    project.edit(TINY, "epochs: 3, learning_rates: [2e-1]", "epochs: 3")
    assert project.run(FIGURE).returncode == 0
    assert project.contents("results", "figures") == finished.contents("results", "figures")


def test_another_seed_makes_everything_again_where_snakemakes_records_are_lost(project):
    shutil.rmtree(project.folder / ".snakemake")
    with (project.folder / TINY).open("a") as file:
        file.write("\nseed: 5\n")
    assert (
        project.planned(FIGURE) == Counter(images=2, pretrain=1, model=1, features=1, probes=1) + DOWNSTREAM
    )


def test_a_source_models_history_and_weights_are_left_and_no_checkpoint_stays(finished):
    folder = finished.folder / "results/tiny/pretraining/tiny"
    history = pd.read_parquet(folder / "history.parquet")
    assert list(history["epoch"]) == [1, 1, 2, 2, 2]
    assert list(history["split"]) == ["train", "test", "train", "test", "train"]  # the finished network too
    assert history["steps"].is_monotonic_increasing
    assert (folder / "arrays/weights.safetensors").is_file()
    assert not (finished.folder / "results/tiny/checkpoints/tiny").exists()


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> Project:
    """The project as it is, without any result."""
    return Project.fresh(tmp_path_factory.mktemp("paper") / "p")


def test_the_models_are_listed_with_those_of_families(paper):
    typed = [sys.executable, "-m", "snakemake", "models"]  # exactly as a person types it
    run = subprocess.run(typed, cwd=paper.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = {
        line.split()[0]: line for line in run.stdout.splitlines() if line.startswith(("cifar100", "resnet"))
    }
    assert "augmentation.level 3" in rows["cifar100-resnet50-aug3"]
    assert "supervised_contrastive, projection.head mlp2" in rows["cifar100-resnet18-supcon-mlp2"]
    assert "torchvision IMAGENET1K_V1" in rows["resnet34"]
    assert len(rows) == 40  # 24 and 12 source models, ResNet18, ResNet34 at two sizes, ResNet50
    assert paper.planned("models", overlay=None) == {"models": 1}  # whenever asked


POINTS = """
families:
  f:
    {architecture: small/resnet18, options: {width: 4}, dataset: digits04, size: 8, training: {epochs: 2, batch_size: 32},
     members: {mse: {heads: [none, mlp1], training: {loss: mean_squared_error, snapshot_every: 1}}}}
figures:
  points: {kind: transfer, panels: [{dataset: digits59, nc1_on: digits04, series: [{name: MSE, group: f-mse}]}]}
  training: {kind: over_training, panels: [{model: f-mse}, {model: f-mse-mlp1}]}
tables:
  losses: {kind: pretraining, panels: [{dataset: digits59, nc1_on: digits04, series: [{name: MSE, group: f-mse}]}]}
"""


@pytest.mark.slow
def test_a_family_with_heads_and_snapshots_goes_down_the_whole_river(project):
    whole = merge(yaml.safe_load(project.read(TINY)), yaml.safe_load(POINTS))
    (project.folder / TINY).write_text(yaml.safe_dump(whole))
    targets = ("figures/tiny/points.pdf", "figures/tiny/training.pdf", "tables/tiny/losses.csv")
    run = project.run(*targets)
    assert run.returncode == 0, run.stdout + run.stderr
    points = pd.read_csv(project.folder / "figures/tiny/points.csv")
    assert list(points["model"]) == ["f-mse", "f-mse-mlp1"]
    assert list(points["label"]) == ["none", "MLP-1"]
    table = pd.read_csv(project.folder / "tables/tiny/losses.csv")
    assert list(table["transfer_accuracy"]) == list(points["transfer_accuracy"])
    assert "MSE MLP-1" in project.read("tables/tiny/losses.md")
    assert "tabular" in project.read("tables/tiny/losses.tex")
    units = project.read("results/tiny/models/f-mse-mlp1/units.csv")
    assert "penultimate" in units
    curves = pd.read_csv(project.folder / "figures/tiny/training.csv")
    assert set(curves[curves["panel"] == "a"]["epoch"]) == {1, 2}
    heads = curves[curves["quantity"].isin(["nc3", "nc4"])]
    assert set(heads["model"]) == {"f-mse"}  # the classifier on a projection is thrown away
    final = project.folder / "results/tiny/models"
    last, snapshot = (
        (final / name / "arrays/weights.safetensors").read_bytes() for name in ("f-mse", "f-mse.epoch2")
    )
    assert last == snapshot
    assert project.planned(*targets) == Counter()


ACROSS = """
datasets:
  evens: {source: digits, classes: ["0", "2", "4"], per_class: 20, test_per_class: 5}
figures:
  across:
    kind: across_datasets
    panels:
      - {model: tiny, datasets: [digits59, digits04, evens], abscissa: nc1}
      - {model: tiny, datasets: [digits59, digits04, evens], abscissa: train_accuracy}
"""


@pytest.mark.slow
def test_a_model_on_several_data_sets_goes_down_the_whole_river(project):
    whole = merge(yaml.safe_load(project.read(TINY)), yaml.safe_load(ACROSS))
    (project.folder / TINY).write_text(yaml.safe_dump(whole))
    target, numbers = "figures/tiny/across.pdf", "figures/tiny/across.csv"
    # what the first figure left of one data set and of the source's images serves again
    assert project.planned(target) == Counter(images=1, features=2, metrics=2, probes=2, figure=1)
    run = project.run(target)
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.folder / numbers)
    assert list(table["label"]) == ["digits59", "digits04", "evens"] * 2
    assert list(table["classes"]) == [5, 5, 3] * 2
    assert list(table["samples"]) == [200, 200, 60] * 2
    first = table.iloc[0]
    collapse = pd.read_parquet(project.folder / METRICS).query("split == 'train' and module == 'penultimate'")
    values = dict(zip(collapse["metric"], collapse["value"], strict=True))
    assert (first["nc1"], first["nc1_shuffled"]) == (values["nc1"], values["nc1_shuffled"])
    for suffix in ("pdf", "png"):
        assert (project.folder / f"figures/tiny/across.{suffix}").stat().st_size > 1000
    assert project.planned(target) == Counter()
    before = project.read(numbers)
    project.edit(TINY, "dpi: 60", 'dpi: 60\n  fit_color: "#000000"')
    assert project.planned(target) == Counter(figure=1)
    assert project.run(target).returncode == 0
    assert project.read(numbers) == before


def test_restyling_draws_the_same_numbers_again(project):
    before = project.contents("figures")
    project.edit(TINY, "dpi: 60", 'dpi: 60, nc1_color: "#000000"')
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stderr
    after = project.contents("figures")
    assert after["figures/tiny/fig3.csv"] == before["figures/tiny/fig3.csv"]
    assert after[FIGURE] != before[FIGURE]
    assert project.planned(FIGURE) == Counter()


@pytest.mark.slow
def test_a_failed_job_fails_again_until_it_is_mended_and_leaves_no_result(project, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    name = "nctransfer/tidy/collapse.py"
    original = project.read(name)
    broken = "import os\n    raise KeyError('broken', os.environ['OMP_WAIT_POLICY'])"
    project.edit(name, "    rows = []\n    for split", f"    {broken}\n    rows = []\n    for split")
    for _ in range(2):
        run = project.run(FIGURE)
        assert run.returncode != 0
        assert "('broken', 'PASSIVE')" in run.stderr  # threads that wait sleep
        assert "Nothing to be done" not in run.stderr
        assert not (project.folder / METRICS).exists()
    (project.folder / name).write_text(original)
    assert project.planned(FIGURE) == DOWNSTREAM
    assert project.run(FIGURE).returncode == 0
    assert project.planned(FIGURE) == Counter()


def test_deleted_intermediates_under_a_finished_figure_rerun_nothing(planned_project):
    shutil.rmtree(planned_project.folder / "results/tiny/features")
    assert planned_project.planned(FIGURE) == Counter()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "name", "read_by"),
    [
        ("features/tiny/digits59.40pc.test10pc-8px/train", "arrays/unit03.avg.npy", METRICS),
        ("models/tiny", "arrays/weights.safetensors", "results/tiny/features/tiny/digits59.40pc.test10pc-8px/test/manifest.json"),
        ("pretraining/tiny", "arrays/weights.safetensors", "results/tiny/models/tiny/manifest.json"),
    ],
)  # fmt: skip
def test_a_changed_byte_is_found_where_it_is_read_and_the_rebuild_is_named(
    finished, project, store, name, read_by
):
    path = project.folder / "results/tiny" / store / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(data)
    (project.folder / read_by).unlink()
    run = project.run(read_by)
    assert run.returncode != 0
    assert f"{store}/{name}: its bytes differ" in run.stderr
    manifest = re.search(r"delete (\S+manifest.json) and run again", run.stderr)
    (project.folder / manifest[1]).unlink()
    run = project.run(read_by)
    assert run.returncode == 0, run.stderr
    assert project.contents("results") == finished.contents("results")


def test_a_changed_byte_in_a_tidy_table_is_found(project):
    path = project.folder / METRICS
    data = bytearray(path.read_bytes())
    data[len(data) // 8] ^= 64
    path.write_bytes(data)
    (project.folder / FIGURE).unlink()
    run = project.run(FIGURE)
    assert run.returncode != 0
    assert f"{METRICS}: not a readable Parquet table" in run.stderr
    assert "delete it and run again" in run.stderr


def test_the_classifiers_metrics_are_a_target(finished):
    target = "results/tiny/classifier_metrics/tiny/digits59.40pc.test10pc-8px.parquet"
    run = finished.run(target)
    assert run.returncode == 0, run.stderr
    table = pd.read_parquet(finished.folder / target)
    assert set(table["metric"]) == {"nc3", "nc4"}
    assert table[table["metric"] == "nc4"]["value"].between(0, 1).all()


BAD = """
study: bad
figures: {fig3: {panels: [{model: tny, dataset: digits59}]}}
probs: {epochs: 1}
features: {dtype: x}
metrics: {permutations: none}
"""


def test_mistakes_end_the_run_before_any_job_with_all_of_them_named(finished, tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    run = finished.run("figures/bad/fig3.pdf", options=(str(tmp_path / "bad.yaml"),))
    assert run.returncode != 0
    for words in (
        "no 'tny' in models (did you mean 'tiny'?)",
        "probs: unknown key (did you mean 'probes'?)",
        "features.dtype: 'x'",
        "metrics.permutations: 'none'",
    ):
        assert words in run.stderr + run.stdout
    assert "Traceback" not in run.stderr
    assert not (finished.folder / "results/bad").exists()


@pytest.mark.parametrize("target", ["figures/tiny/fig33.pdf", "results/tiny/metrics/tinny/x.parquet"])
def test_a_target_that_is_none_is_refused(finished, target):
    run = finished.run(target, options=("-n",))
    assert run.returncode != 0
    assert "MissingRuleException" in run.stderr + run.stdout


def test_data_sets_with_clashing_names_end_the_run_with_one_message(planned_project):
    planned_project.edit(TINY, "datasets:\n", "datasets:\n  digits59.40pc.test10pc: {source: digits}\n")
    run = planned_project.run(FIGURE, options=("-n",))
    assert run.returncode != 0
    assert "is also that of" in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


def test_the_command_works_exactly_as_typed_in_the_projects_environment(paper):
    typed = [
        Path(sys.executable).parent / "snakemake",
        *["-n", "-j4", "--resources", "gpu=1", "figures/fig3.pdf"],
    ]
    run = subprocess.run(typed, cwd=paper.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Drawing figure fig3" in run.stdout


def test_the_catalogues_entry_is_the_same_workflow(finished):
    run = finished.run("figures/tiny/fig3.pdf", options=("-n", "--snakefile", "workflow/Snakefile"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Nothing to be done" in run.stdout + run.stderr


def test_without_a_limit_one_gpu_job_runs_at_a_time(finished):
    logs = sorted((finished.folder / ".snakemake/log").glob("*.log"))
    assert 'gpu=Resource("gpu", 1)' in logs[0].read_text()
