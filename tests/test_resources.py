"""What jobs ask a cluster for: it grows with what they compute, and can be fixed and overridden."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
from project import Project, append

from nctransfer import variants
from nctransfer.catalog import known_models
from nctransfer.catalog.known_models import lookup, lookup_architecture
from nctransfer.catalog.model_facts import describe_model
from nctransfer.catalog.network_costs import network_costs
from nctransfer.config.load import load
from nctransfer.config.yaml_files import merge
from nctransfer.dag import cost_table
from nctransfer.dag.estimates import ESTIMATES, Needs
from nctransfer.dag.plan import Plan
from nctransfer.dag.resources import MEMORY_RANGE, RUNTIME_RANGE, Requests, round_memory, round_runtime
from nctransfer.data import sources
from nctransfer.data.dataset import TABLE, UNKNOWN, DataSetSize, data_set
from nctransfer.data.settings import DataSetSettings
from nctransfer.data.sources.torchvision import dataset as torchvision

ROOT = Path(__file__).resolve().parents[1]
PAPER = ROOT / "config.yaml"
CPU = {"device": "cpu", "resources": {"threads": 1}}


def plan_of(*overlays, base: Path = Path(os.devnull)) -> Plan:
    """Plan of a configuration that holds little, or of config.yaml, with overlays."""
    settings = [f"{key}={json.dumps(value)}" for key, value in merge({}, *overlays).items()]
    return Plan(load(base, [], settings), ROOT)


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan_of(base=PAPER)


# --- facts ------------------------------------------------------------------------------------


def test_the_table_holds_the_costs_of_every_network():
    for source, names in known_models._rows().items():
        for name, rows in names.items():
            for row in rows:
                known = lookup(source, name, row["weights"])
                assert min(known.parameters, known.multiply_adds, known.activations) > 0, row
                assert known.unit_widths >= 2 * known.units, row
                assert known.width >= 2, row
                assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", row["multiply_adds"]), row


@pytest.mark.parametrize(
    ("source", "name", "parameters", "multiply_adds"),
    [  # as torchvision and timm publish them
        ("torchvision", "resnet18", 11.7, 1.81),
        ("torchvision", "resnet50", 25.6, 4.09),
        ("torchvision", "densenet121", 7.98, 2.83),
        ("torchvision", "mobilenet_v2", 3.50, 0.301),
        ("torchvision", "vit_b_32", 88.2, 4.41),
        ("timm", "vit_base_patch32_384.augreg_in21k_ft_in1k", 88.3, 13.06),
        ("timm", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", 5.72, 1.26),
    ],
)
def test_parameters_and_multiply_adds_are_the_published_ones(source, name, parameters, multiply_adds):
    known = lookup(source, name)
    assert known.parameters == pytest.approx(parameters, rel=0.003)
    assert known.multiply_adds == pytest.approx(multiply_adds, rel=0.01)


def test_widths_are_those_of_the_units():
    assert lookup("torchvision", "resnet34").width == 512
    # stem 64, and blocks of 64, 128, 256 and 512
    assert lookup("torchvision", "resnet34").unit_widths == 64 + 3 * 64 + 4 * 128 + 6 * 256 + 3 * 512
    assert lookup_architecture("timm/vit_tiny_patch16_224").unit_widths == 13 * 192


def costs_of(architecture, size=None, **options):
    known = lookup_architecture(architecture)
    return network_costs(describe_model(known, "pretraining", None, size, None, options))


def test_costs_of_own_networks_follow_their_width_and_the_size_of_images():
    usual, wide = costs_of("small/resnet18"), costs_of("small/resnet18", width=128)
    assert wide.multiply_adds == pytest.approx(4 * usual.multiply_adds)
    assert wide.activations == pytest.approx(2 * usual.activations)
    assert wide.width == 2 * usual.width == 1024
    large = costs_of("small/resnet18", size=64)
    assert (large.multiply_adds, large.parameters) == (4 * usual.multiply_adds, usual.parameters)
    assert costs_of("small/vit", patch=8).multiply_adds == costs_of("small/vit").multiply_adds / 4


@pytest.mark.parametrize(("architecture", "options"), [("small/resnet18", {"width": 32}), ("small/vit", {"width": 96}), ("few_shot/resnet12", {"width": 32})])  # fmt: skip
def test_scaled_costs_are_near_the_counted_ones(architecture, options):
    from torch import nn

    from nctransfer.models.architecture import Architecture

    network: nn.Module = Architecture.parse(architecture, options).build()
    counted = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert costs_of(architecture, **options).parameters == pytest.approx(counted, rel=0.1)


# --- sizes of data sets -----------------------------------------------------------------------


def used_size(**entry) -> DataSetSize:
    """Size of what an entry of ``datasets:`` uses."""
    return data_set(variants.settings_class(sources, entry["source"], DataSetSettings).read(entry)).size()


def test_every_torchvision_set_has_a_size_that_agrees_with_its_description():
    with TABLE.open() as file:
        described = {row["name"]: row["splits"] for row in csv.DictReader(file)}
    for name, size in torchvision.SETS.items():
        if numbers := re.findall(r"\(([\d,]+)\)", described[name]):
            assert [int(number.replace(",", "")) for number in numbers] == [size.train, size.test]


CIFAR = {"source": "torchvision", "name": "CIFAR100"}


@pytest.mark.parametrize(
    ("options", "train", "test", "classes"),
    [
        ({}, 50_000, 10_000, 100),
        ({"per_class": 10}, 1_000, 10_000, 100),
        ({"per_class": 10, "test_per_class": 5, "classes": list(range(20))}, 200, 100, 20),
        ({"count": 1_000}, 1_000, 10_000, 100),
        ({"count": 1_000, "validation": 200}, 800, 200, 100),
        ({"test_fraction": 0.05}, 57_000, 3_000, 100),
    ],
)
def test_the_used_part_of_a_data_set_is_counted(options, train, test, classes):
    assert used_size(**CIFAR, **options) == DataSetSize(train, test, classes, 170, (32, 32))


def test_folders_and_arrays_are_counted(tmp_path):
    import numpy as np

    for split, count in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(count):
                (tmp_path / split / name / f"{index}.png").touch()
    assert used_size(source="imagefolder", path=str(tmp_path)) == DataSetSize(6, 4, 2)
    path = tmp_path / "images.npz"
    np.savez(path, images=np.zeros((5, 12, 10, 3), np.uint8), labels=np.zeros(5, int))
    chosen = used_size(source="arrays", path=str(path), test_fraction=0.2, classes=["0", "1"])
    assert chosen == DataSetSize(4, 1, 2, 0, (12, 10))
    names = np.array(["a", "b", "c"])
    np.savez(
        tmp_path / "named.npz",
        images=np.zeros((5, 12, 10), np.uint8),
        labels=np.zeros(5, int),
        class_names=names,
    )
    named = {"source": "arrays", "path": str(tmp_path / "named.npz"), "test_fraction": 0.2}
    assert used_size(**named) == DataSetSize(4, 1, 3, 0, (12, 10))
    assert used_size(**named, classes=["a", "b"]).classes == 2
    (tmp_path / "broken.npz").write_text("")
    broken = used_size(source="arrays", path=str(tmp_path / "broken.npz"), test_fraction=0.2)
    assert broken.images == UNKNOWN.images


# --- what is asked for grows with what is computed -------------------------------------------

DATA = {"datasets": {"cifar100": {"source": "torchvision", "name": "CIFAR100"}}}
SOURCE = {"source": "pretraining", "architecture": "small/resnet18", "dataset": "cifar100", "size": 32}


def need_of(stage, *keys, models=None, **overlay):
    plan = plan_of(DATA, {"models": {"m": merge(SOURCE, models or {})}}, overlay)
    return ESTIMATES[stage](Needs(plan), *keys)


@pytest.mark.parametrize(
    "more",
    [
        {"size": 64},
        {"training": {"epochs": 400}},
        {"options": {"width": 128}},
        {"architecture": "small/resnet50"},
        {"training": {"adversary": {"level": 1}}},
        {"training": {"loss": "supervised_contrastive", "augmentation": {"level": 5}, "projection": {"head": "linear"}}},
    ],
    ids=lambda more: next(iter(more.get("training", more))),
)  # fmt: skip
def test_more_to_compute_asks_a_training_for_more_time(more):
    assert need_of("pretrain", "m", models=more).seconds > 1.3 * need_of("pretrain", "m").seconds


def test_an_adversary_of_seven_steps_costs_about_six_trainings():
    clean = need_of("pretrain", "m")
    attacked = need_of("pretrain", "m", models={"training": {"adversary": {"level": 3}}})
    assert 5 < attacked.seconds / clean.seconds < 7


def test_larger_images_and_batches_ask_a_training_on_the_cpu_for_more_memory():
    usual = need_of("pretrain", "m", **CPU)
    assert need_of("pretrain", "m", models={"size": 64}, **CPU).memory > 1.2 * usual.memory
    batches = need_of("pretrain", "m", models={"training": {"batch_size": 512}}, **CPU)
    assert batches.memory > 1.2 * usual.memory
    assert need_of("pretrain", "m", models={"options": {"width": 128}}, **CPU).memory > usual.memory


@pytest.mark.parametrize("stage", ["features", "metrics", "probes", "classifier_metrics", "scores"])
def test_more_units_and_wider_features_ask_for_more(stage):
    keys = stage, "m", "cifar100-32px"
    last = need_of(*keys, models={"units": "penultimate"})
    whole = need_of(*keys, models={"units": "all"})
    wide = need_of(*keys, models={"units": "all", "options": {"width": 256}})
    assert last.seconds < whole.seconds < wide.seconds
    assert last.memory <= whole.memory < wide.memory
    few = need_of(
        stage,
        "m",
        "cifar100.10pc.test10pc-32px",
        models={"units": "all"},
        datasets={"cifar100": {"per_class": 10, "test_per_class": 10}},
    )
    assert few.seconds < whole.seconds


def test_methods_that_train_less_ask_for_less(paper):
    needs = Needs(paper)
    seconds = {
        method: min(
            needs.finetune(key).seconds
            for key in paper.run_keys
            if key.startswith("resnet50.dtd.") and f".{method}." in key
        )
        for method in ("lp", "layer_ft", "full_ft")
    }
    assert seconds["lp"] < seconds["layer_ft"] < seconds["full_ft"]


def test_a_resnet50_under_attack_asks_for_more_time_than_a_clean_resnet18(paper):
    asked = Requests(paper)
    attacked = asked.request("pretrain", "cifar100-resnet50-adv3")
    assert attacked.runtime > 10 * asked.request("pretrain", "cifar100-resnet18-ce").runtime


def jobs_of(plan: Plan):
    """Name of every estimated job that a plan's figures, tables and rankings ask for."""
    for section in ("figures", "tables"):
        for key in plan.asked_for(section):
            getattr(plan, section.removesuffix("s"))(key)
    for dataset in plan.configuration.rank.datasets:
        plan.ranking(dataset)
    return [name for name in plan.jobs if name[0] in ESTIMATES]


def test_every_job_of_the_paper_asks_for_whole_numbers_within_the_bounds(paper):
    asked, names = Requests(paper), jobs_of(paper)
    assert len(names) > 1000
    unused = {"classifier_metrics", "features_shard", "features_joined"}
    assert {name[0] for name in names} == set(ESTIMATES) - unused
    for name in names:
        request = asked.request(*name)
        assert type(request.mem_mb) is type(request.runtime) is int
        assert MEMORY_RANGE[0] <= request.mem_mb <= MEMORY_RANGE[1], name
        assert RUNTIME_RANGE[0] <= request.runtime <= RUNTIME_RANGE[1], name


@pytest.mark.parametrize("overlay", ["demo", "rank"])
def test_every_job_of_the_overlays_can_be_estimated(overlay):
    plan = Plan(load(PAPER, [ROOT / f"config/{overlay}.yaml"], ["resources={mem_mb: null}"]), ROOT)
    asked = Requests(plan)
    assert all(asked.request(*name).mem_mb >= MEMORY_RANGE[0] for name in jobs_of(plan))


def test_no_job_of_the_paper_asks_for_more_than_twice_its_estimate(paper):
    asked, needs = Requests(paper), Needs(paper)
    for name in jobs_of(paper):
        request, need = asked.request(*name), needs.need(*name)
        assert request.runtime <= max(RUNTIME_RANGE[0], round_runtime(2 * need.seconds / 60)), name
        assert request.mem_mb <= max(MEMORY_RANGE[0], round_memory(2 * need.memory)), name


def test_the_table_of_costs_is_the_present_one(paper):
    text = (ROOT / cost_table.PAGE).read_text()
    assert cost_table.page(text, paper) == text, "make docs"


def test_no_job_of_the_paper_reaches_the_longest_runtime(paper):
    asked = Requests(paper)
    assert not [name for name in jobs_of(paper) if asked.request(*name).runtime >= RUNTIME_RANGE[1]]


# --- against measurements ---------------------------------------------------------------------

MEASURED = {  # docs/results/beside.md: 120 training and 200 test images, batches of 32, on a CPU
    "vit-ti": {"lp": (1_500, 21), "layer_ft": (1_600, 69), "scl_ft": (1_600, 73), "full_ft": (2_600, 120)},
    "mobilenet": {"lp": (2_600, 19), "layer_ft": (2_600, 25), "scl_ft": (2_600, 35), "full_ft": (4_900, 117)},
}


@pytest.mark.parametrize("model", MEASURED)
@pytest.mark.parametrize("method", ["lp", "layer_ft", "scl_ft", "full_ft"])
def test_estimates_are_near_what_was_measured(model, method):
    tuned = [8 if model == "vit-ti" else 12] if method.endswith("_ft") and method != "full_ft" else None
    plan = plan_of(
        CPU,
        {
            "datasets": {"few": {"source": "torchvision", "name": "CIFAR10", "per_class": 12, "test_per_class": 20}},
            "models": {
                "vit-ti": {"source": "timm", "name": "vit_tiny_patch16_224.augreg_in21k_ft_in1k"},
                "mobilenet": {"source": "torchvision", "name": "mobilenet_v2"},
            },
            "finetuned": {"r": {"model": model, "dataset": "few", "method": method, "units": tuned}},
            "finetuning": {"epochs": 8, "batch_size": 32, "statistics": "frozen", "rates": {kind: {method: {"learning_rate": 0.01, "weight_decay": 0}} for kind in ("convolutional", "transformer")}},
        },
    )  # fmt: skip
    memory, seconds = MEASURED[model][method]
    need = Needs(plan).finetune("r")
    assert memory < need.memory < 2 * memory
    assert seconds / 2.5 < need.seconds < 2.5 * seconds


@pytest.mark.parametrize(
    ("classes", "samples", "seconds", "gib"), [(397, 20_000, 42, 2.7), (1_000, 50_000, 106, 4.7)]
)
def test_estimates_of_scores_are_above_what_was_measured(monkeypatch, classes, samples, seconds, gib):
    """docs/ranking.md: one feature matrix of width 2,048."""
    monkeypatch.setitem(torchvision.SETS, "CIFAR100", DataSetSize(samples, 0, classes))
    model = {"source": "torchvision", "name": "resnet50", "units": "penultimate"}
    plan = plan_of(DATA, {"models": {"wide": model}})
    need = Needs(plan).scores("wide", "cifar100-224px")
    assert need.memory > gib * 1024**3 / 1e6
    assert need.seconds > seconds


# --- numbers that are asked for ---------------------------------------------------------------


def test_numbers_are_rounded_up_to_readable_ones():
    assert [round_memory(value) for value in (1, 1_000, 1_001)] == [1_000, 1_000, 2_000]
    assert [round_runtime(minutes) for minutes in (0.5, 11, 121, 721)] == [10, 20, 150, 780]


def test_a_second_attempt_asks_for_twice_as_much(paper):
    asked = Requests(paper)
    first, second, third = (
        asked.request("features", "resnet34", "cifar10-224px", attempt=attempt) for attempt in (1, 2, 3)
    )
    assert (second.mem_mb, second.runtime) == (2 * first.mem_mb, 2 * first.runtime)
    assert (third.mem_mb, third.runtime) == (4 * first.mem_mb, 4 * first.runtime)


@pytest.mark.parametrize("fixed", [{"mem_mb": 700}, {"runtime": 7}, {"mem_mb": 700, "runtime": 7}])
def test_numbers_of_the_configuration_are_what_is_asked_for_first(paper, fixed):
    asked = Requests(plan_of({"resources": fixed}, base=PAPER))
    for attempt, growth in ((1, 1), (3, 4)):
        request = asked.request("features", "resnet34", "cifar10-224px", attempt=attempt)
        estimated = Requests(paper).request("features", "resnet34", "cifar10-224px")
        assert request.mem_mb == growth * fixed.get("mem_mb", estimated.mem_mb)
        assert request.runtime == growth * fixed.get("runtime", estimated.runtime)


def test_nothing_asks_for_longer_than_the_cluster_allows():
    name = "pretrain", "cifar100-resnet50-adv3"
    asked = Requests(plan_of({"resources": {"runtime_limit": 1440}}, base=PAPER))
    assert [asked.request(*name, attempt=attempt).runtime for attempt in (1, 2)] == [1440, 1440]


def test_slower_machines_ask_for_more_time(paper):
    name = "pretrain", "cifar100-resnet50-adv3"
    usual = Requests(paper).request(*name)
    slow = Requests(plan_of({"resources": {"runtime_factor": 3}}, base=PAPER)).request(*name)
    assert slow.mem_mb == usual.mem_mb
    assert slow.runtime == pytest.approx(3 * usual.runtime, abs=180)


def test_the_cpu_asks_for_no_gpu_and_more_time(paper):
    slow = Requests(plan_of({"device": "cpu"}, base=PAPER))
    assert (slow.gpus, Requests(paper).gpus) == (0, 1)
    name = "pretrain", "cifar100-resnet50-adv3"  # whose activations are in the memory of the host
    assert slow.request(*name).runtime > Requests(paper).request(*name).runtime
    assert slow.request(*name).mem_mb > Requests(paper).request(*name).mem_mb


def test_no_digest_depends_on_what_is_asked_for(paper):
    other = plan_of({"resources": {"mem_mb": 700, "runtime_factor": 3}}, base=PAPER)
    asked = Requests(other)
    names = [("features", "resnet34", "cifar10-224px"), ("pretrain", "cifar100-resnet18-ce")]
    for stage, *keys in names:
        asked.request(stage, *keys)
        assert getattr(other, stage)(*keys) == getattr(paper, stage)(*keys)


# --- through Snakemake ------------------------------------------------------------------------

ESTIMATED = "resources: {threads: 1, mem_mb: null, runtime: null}"


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Project:
    project = Project.small(tmp_path_factory.mktemp("planned") / "p")
    project.edit("tiny.yaml", "resources: {threads: 1, mem_mb: 500, runtime: 5}", ESTIMATED)
    return project


def shown_by(project: Project, *options: str) -> str:
    """What a dry run prints of its jobs."""
    run = project.run("figures/tiny/fig3.pdf", options=("-n", *options))
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_a_dry_run_shows_the_estimates_and_ends_with_the_cost_of_its_jobs(planned):
    shown = shown_by(planned)
    for job in ("Pre-training tiny", "Training probes of tiny on digits59.40pc.test10pc-8px"):
        assert f"{job} (6000 MB, 10 min)" in shown
    jobs = re.search(r"^total +(\d+)", shown, flags=re.M)
    cost = shown[shown.index("This was a dry-run") :]
    assert jobs is not None
    assert re.search(rf"^Cost with A100 .*\n(  .*\n)+  together +{jobs[1]} ", cost, flags=re.M)


def test_a_profile_or_command_line_overrides_the_estimates(planned):
    own = ("--set-resources", "pretrain:mem_mb=1234", "probes:runtime=77")
    shown = shown_by(planned, *own, "--resources", "gpu=0")
    assert "Pre-training tiny (1234 MB, 10 min)" in shown
    assert "Training probes of tiny on digits59.40pc.test10pc-8px (6000 MB, 77 min)" in shown
    assert "Cost without a GPU" in shown
    with planned.restored():
        append("profiles/default/config.yaml", "set-resources:\n  features: {mem_mb: 4321, gpu: 2}\n")(
            planned
        )
        assert "(4321 MB, 10 min)" in shown_by(planned)


def test_every_rule_asks_by_its_own_name_and_none_has_retries():
    text = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert "retries:" not in text
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.MULTILINE | re.DOTALL))
    asked = {name: re.findall(r'(?:memory|runtime)_of\("(\w+)"\)', body) for name, body in rules.items()}
    assert {name: stages for name, stages in asked.items() if stages} == {
        name: [name, name] for name in ESTIMATES
    }
