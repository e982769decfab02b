"""Fine-tuning through the real workflow: figures and tables, shared runs, rerun precision, mistakes."""

import shutil
from collections import Counter

import pandas as pd
import pytest
import torch
from project import Project, add, append, edit
from safetensors.torch import load_file, save_file
from test_zero_shot import TINY as CLIP

from nctransfer.models.architectures import open_clip as library
from nctransfer.models.tuned import load_tuned

OVERLAY = "tuned.yaml"
TEXT = """
study: tuned
datasets:
  digits04: {source: digits, classes: ["0", "1", "2", "3", "4"], per_class: 40, test_per_class: 10}
  digits59: {source: digits, classes: ["5", "6", "7", "8", "9"], per_class: 40, test_per_class: 10}
models:
  net: {source: pretraining, architecture: small/resnet18, options: {width: 4}, size: 8, dataset: digits04, training: {epochs: 2, batch_size: 32}}
  clip:
    source: local
    architecture: open_clip/ViT-B-32
    weights: clip.safetensors
    size: 16
    mean: [0.5, 0.5, 0.5]
    std: [0.5, 0.5, 0.5]
    units: penultimate
    options: {layers: 2, width: 32, head_width: 16, patch_size: 8, image_size: 16, embed_dim: 12, text_cfg: {width: 16, heads: 2, layers: 1}}
finetuning: {epochs: 2, batch_size: 32, precision: float32, evaluate_every: 1, hidden: 8, rank: 2}
finetuned:
  mine: {model: net, dataset: digits59, method: layer_ft, units: [3, 5], per_class: 10, options: {statistics: recalibrated}}
figures:
  units: {kind: collapse_by_unit, panels: [{model: net, dataset: digits59, runs: [{methods: [lp, layer_ft, scl_ft, full_ft], units: [5]}]}]}
  samples:
    kind: samples
    panels:
      - {model: clip, dataset: digits59, runs: [{methods: [zero_shot]}, {methods: [scl_ft], units: [2], per_class: [5, 20]}]}
tables:
  methods: {kind: methods, panels: [{model: net, dataset: digits59, title: digits, runs: [{methods: [lp]}, {methods: [layer_ft, scl_ft], units: [5], seeds: 2}]}]}
style: {dpi: 60}
probes: {epochs: 3}
resources: {threads: 1, mem_mb: 500, runtime: 5}
"""
UNITS, SAMPLES, TABLE = "figures/tuned/units.pdf", "figures/tuned/samples.pdf", "tables/tuned/methods.csv"
RUN = "net.digits59.scl_ft.u5.lr0.05.wd0.0001.s0"
VIEW = "digits59.40pc.test10pc-8px"
NAMED = f"results/tuned/metrics/mine/{VIEW}.parquet", f"results/tuned/probes/mine/{VIEW}/manifest.json"
UNTUNED = f"results/tuned/metrics/net/{VIEW}.parquet"


class Tuned(Project):
    """The workflow with the overlay of these tests."""

    def run(self, *targets, options=(), overlay=OVERLAY):
        return super().run(*targets, options=options, overlay=overlay)

    def planned(self, *targets, overlay=OVERLAY):
        return super().planned(*targets, overlay=overlay)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Tuned:
    project = Tuned.small(tmp_path_factory.mktemp("finished") / "p")
    (project.folder / OVERLAY).write_text(TEXT)
    torch.manual_seed(0)
    save_file(library.build_whole("ViT-B-32", CLIP).state_dict(), project.folder / "clip.safetensors")
    run = project.run(UNITS, SAMPLES, TABLE, *NAMED, UNTUNED)
    assert run.returncode == 0, run.stdout + run.stderr
    return project


def test_figures_and_tables_share_their_runs_and_leave_tidy_tables(finished):
    folder = finished.folder / "results/tuned/finetuning"
    runs = {path.name for path in folder.iterdir()}
    assert len(runs) == 4 + 3 + 2 + 1  # of the figure, of CLIP, of the table's second seed, by name
    history = pd.read_parquet(folder / RUN / "history.parquet")
    assert list(history["epoch"]) == [1, 1, 2, 2]
    accuracy = pd.read_parquet(folder / RUN / "accuracy.parquet")
    assert list(accuracy["split"]) == ["train", "test"]
    assert set(accuracy["method"]) == {"scl_ft"}
    assert 0 < accuracy["share"].iloc[0] < 100
    state = load_file(folder / RUN / "arrays/tuned.safetensors")
    assert set(state) > {"classifier.weight", "network.layer3.0.conv1.weight", "network.bn1.running_mean"}
    assert not any(key.startswith("network.layer4.0.conv") for key in state)  # what was tuned alone
    numbers = pd.read_csv(finished.folder / "figures/tuned/units.csv")
    assert set(numbers["method"]) == {"lp", "layer_ft", "scl_ft", "full_ft"}
    table = finished.read("tables/tuned/methods.md")
    for words in ("LP", "Layer FT", "SCL FT", "**", "±"):
        assert words in table
    assert "textbf" in finished.read("tables/tuned/methods.tex")
    assert not list((finished.folder / "results/tuned/checkpoints").glob("*"))


def test_collapse_of_every_unit_and_of_the_summed_feature_is_measured(finished):
    metrics = pd.read_parquet(finished.folder / f"results/tuned/metrics/{RUN}/{VIEW}.parquet")
    assert set(metrics["unit"]) == set(range(10))
    assert {"penultimate", "summed"} <= set(metrics["module"])
    assert {"nc1", "cdnv"} <= set(metrics["metric"])
    assert set(metrics["model"]) == {RUN}


def test_a_second_run_has_nothing_to_do(finished):
    assert finished.planned(UNITS, SAMPLES, TABLE, *NAMED, UNTUNED) == Counter()


def test_a_named_run_and_its_probes_are_targets(finished):
    folder = finished.folder / "results/tuned"
    accuracy = pd.read_parquet(folder / "finetuning/mine/accuracy.parquet")
    assert set(accuracy["units"]) == {"3 5"}
    assert set(accuracy["statistics"]) == {"recalibrated"}
    backbone = load_tuned(folder / "models/net/manifest.json", folder / "finetuning/mine/manifest.json")
    base = load_file(folder / "models/net/arrays/weights.safetensors")
    changed = {
        name.rpartition(".")[0].rpartition(".")[0]
        for name, value in backbone.network.named_parameters()
        if not torch.equal(value, base[name])
    }
    assert {name.split(".downsample")[0] for name in changed} == {"layer2.0", "layer3.0"}


# nothing of the figure and the table runs again after
NOTHING = {
    "a new method": add("nctransfer/finetuning/methods/other.py", "X = 1\n"),
    "another method's code": append("nctransfer/finetuning/methods/mlp.py", "\nX = 1\n"),
    "adapters' code": append("nctransfer/finetuning/lora.py", "\nX = 1\n"),
    "zero-shot's prompts": append("nctransfer/finetuning/prompts.py", "\nX = 1\n"),
    "an option of another method": edit(OVERLAY, "hidden: 8", "hidden: 9"),
    "how much is kept of a prefix": append(OVERLAY, "operation: {prefix_cache_gb: 1}\n"),
    "rates of another kind of network": edit(OVERLAY, "rank: 2}", "rank: 2, rates: {transformer: {lp: {learning_rate: 1e-1, weight_decay: 0}}}}"),
    "another picture of the same runs": edit(OVERLAY, "figures:\n", "figures:\n  more: {kind: samples, panels: [{model: net, dataset: digits59, runs: [{methods: [lp]}]}]}\n"),
}  # fmt: skip
# what runs again of them, which need 6 runs
WHOLE = Counter(finetune=6, features=6, metrics=6, figure=1, table=1)
CHANGES = {
    "none that matters": (lambda project: [change(project) for change in NOTHING.values()], Counter()),
    "a method's code": (
        append("nctransfer/finetuning/methods/scl_ft.py", "\nX = 1\n"),
        Counter(finetune=2, features=2, metrics=2, figure=1, table=1)),
    "how models are tuned": (
        lambda project: [append(f"nctransfer/finetuning/{name}.py", "\nX = 1\n")(project) for name in ("run", "tuned_network")], WHOLE),
    "how tuned models are rebuilt": (append("nctransfer/models/tuned.py", "\nX = 1\n"), WHOLE),
    "a loader of tuned models": (
        append("nctransfer/models/loaders/tuned.py", "\nX = 1\n"), WHOLE - Counter(finetune=6)),
    "a loader of other models": (append("nctransfer/models/loaders/stored.py", "\nX = 1\n"), Counter(features=1, metrics=1)),
    "the epochs": (edit(OVERLAY, "epochs: 2, batch_size: 32, precision", "epochs: 3, batch_size: 32, precision"), WHOLE),
    "how often the test split is scored": (edit(OVERLAY, "evaluate_every: 1", "evaluate_every: 2"), WHOLE),
    "a figure's code": (append("nctransfer/reporting/figures/collapse_by_unit/figure.py", "\nX = 1\n"), Counter(figure=1)),
    "a table's code": (append("nctransfer/reporting/tables/methods/table.py", "\nX = 1\n"), Counter(table=1)),
    "one more seed": (
        edit(OVERLAY, "units: [5], seeds: 2}", "units: [5], seeds: 3}"), Counter(finetune=2, features=2, metrics=2, table=1)),
    "rates of one method": (
        edit(OVERLAY, "rank: 2}", "rank: 2, rates: {convolutional: {full_ft: {learning_rate: 1e-1, weight_decay: 5e-4}}}}"),
        Counter(finetune=1, features=1, metrics=1, figure=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_exactly_what_depends_on_it(planned_project, name):
    change, expected = CHANGES[name]
    change(planned_project)
    assert planned_project.planned(UNITS, TABLE, UNTUNED) == expected


def test_zero_shot_has_no_epochs_and_nothing_of_it_trains(finished):
    folder = finished.folder / "results/tuned/finetuning/clip.digits59.zero_shot"
    accuracy = pd.read_parquet(folder / "accuracy.parquet")
    assert set(accuracy["trained"]) == {0}
    assert set(accuracy["epochs"]) == {0}
    state = load_file(folder / "arrays/tuned.safetensors")
    assert set(state) == {"classifier.embeddings", "classifier.scale"}
    assert tuple(state["classifier.embeddings"].shape) == (5, 12)


def test_what_only_a_job_sees_ends_it_with_one_message(project):
    """One mistake of each kind: units, weights, a changed byte. What else is refused is tested without Snakemake."""
    whole = load_file(project.folder / "clip.safetensors")
    tower = {key.removeprefix("visual."): value for key, value in whole.items() if key.startswith("visual.")}
    save_file(tower, project.folder / "clip.safetensors")
    project.edit(OVERLAY, "units: [2]", "units: [7]")
    path = project.folder / f"results/tuned/finetuning/{RUN}/arrays/tuned.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 64
    path.write_bytes(data)
    shutil.rmtree(project.folder / f"results/tuned/features/{RUN}")
    (project.folder / f"results/tuned/metrics/{RUN}/{VIEW}.parquet").unlink()
    (project.folder / UNITS).unlink()
    wrong = "clip.digits59.5pc.scl_ft.u7.lr0.01.wd0.s0"
    targets = (
        f"results/tuned/finetuning/{name}/manifest.json" for name in (wrong, "clip.digits59.zero_shot")
    )
    run = project.run(UNITS, *targets, options=("--keep-going",))
    assert run.returncode != 0
    for words in (
        "no unit 7 to tune; allowed are 1 to 2",
        "has no text tower",
        "tuned.safetensors: its bytes differ",
    ):
        assert words in run.stderr, run.stderr
    assert "Traceback (most recent call last)" not in run.stderr
    assert not (project.folder / f"results/tuned/finetuning/{wrong}").exists()
