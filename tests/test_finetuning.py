"""Fine-tuning: what trains and what stays, the skip connection, the kept prefix, adapters, statistics."""

from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from networks import backbone_of, meta_backbone, stored
from torch import nn
from trainings import TRAINING, StopAfter, image_store

from nctransfer import variants
from nctransfer.data.image_store import ImageStore
from nctransfer.data.settings import Geometry
from nctransfer.errors import DataError, ModelError, StoreError, TrainingError
from nctransfer.finetuning import methods, prefix_cache
from nctransfer.finetuning.data import Pixels
from nctransfer.finetuning.lora import adapt
from nctransfer.finetuning.method import MethodSettings, method_facts
from nctransfer.finetuning.prefix import Prefix, why_not
from nctransfer.finetuning.run import finetune
from nctransfer.finetuning.settings import FineTuneJobSettings
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.finetuning.tuning import Task, count_parameters, linear_classifier, mlp_classifier
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone
from nctransfer.models.checkpoint import read_weights, write_weights
from nctransfer.models.model_store import describe, load_model
from nctransfer.models.tuned import load_tuned
from nctransfer.stamp import UNSTAMPED
from nctransfer.storage.tables import read_table
from nctransfer.training.evaluation import UNAUGMENTED
from nctransfer.training.operation import Operation

CLASSES = ("a", "b", "c")
METHODS = ("lp", "mlp", "layer_ft", "scl_ft", "layer_lp", "full_ft", "layer_lora")
UNITLESS = ("lp", "mlp", "full_ft")
MODELS = {
    "resnet": {"architecture": "small/resnet18", "options": {"width": 4}, "unit_layout": "resnet", "size": 8},
    "mobilenet": {
        "architecture": "torchvision/mobilenet_v2",
        "options": {"width_mult": 0.25},
        "unit_layout": "mobilenet",
        "size": 32,
    },
    "vit": {
        "architecture": "small/vit",
        "options": {"image_size": 8, "patch": 2, "width": 16, "heads": 2},
        "unit_layout": "vit",
        "size": 8,
    },
}
TUNED = {"resnet": [5], "mobilenet": [8], "vit": [4]}


def save_base(folder: Path, kind: str) -> Path:
    """A model store with random weights and, where there are any, running statistics of some data."""
    entry = MODELS[kind]
    architecture = Architecture.parse(entry["architecture"], entry["options"], 5)
    torch.manual_seed(1)
    network = architecture.build()
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, entry["size"], entry["size"]))
    weights = folder / f"{kind}.safetensors"
    write_weights(weights, network.state_dict())
    told = {"source": "local", "weights": str(weights), "mean": [0.5] * 3, "std": [0.25] * 3, **entry}
    stored(folder / kind, told | {"size": [entry["size"]] * 2})
    return folder / kind / "manifest.json"


def save_images(folder: Path, split: str, count: int, side: int) -> ImageStore:
    """Noise on a brightness that tells the class."""
    brightness = 60 * (np.arange(count) % len(CLASSES))[:, None, None, None] % 130
    images = np.random.default_rng([0, count]).integers(0, 120, (count, side, side, 3)) + brightness
    return image_store(folder / "images" / split, images)


OPTIONS = {"mlp": {"hidden": 12}, "layer_lora": {"rank": 3, "alpha": None}}
NAMES = {
    "run": "r",
    "dataset": "d",
    "units": "",
    "per_class": None,
    "learning_rate": None,
    "weight_decay": None,
    "seed": 0,
}


def method_settings(name: str, *units: int, **options) -> MethodSettings:
    return method_facts(name).settings(name=name, units=units, **options)


def settings(
    kind: str, method: str, statistics: str = "update", units=None, options=None, **changes
) -> FineTuneJobSettings:
    size = MODELS[kind]["size"]
    tuned = [] if method in UNITLESS else (units or TUNED[kind])
    told = {
        "names": {**NAMES, "model": kind, "method": method},
        "method": {"name": method, "units": tuned, **OPTIONS.get(method, {}), **(options or {})},
        "statistics": statistics,
        "per_class": changes.pop("per_class", None),
        "subset_seed": changes.pop("subset_seed", 5),
        "geometry": {"resize": [size, size]},
        "loss": {"label_smoothing": 0.0},
        "training": TRAINING | changes,
        "seed": 3,
        "device": "cpu",
    }
    return FineTuneJobSettings.read(told)


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {kind: save_base(folder, kind) for kind in MODELS}


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, dict[str, ImageStore]]:
    folder = tmp_path_factory.mktemp("stores")
    return {
        kind: {
            "train": save_images(folder / kind, "train", 21, MODELS[kind]["size"]),
            "test": save_images(folder / kind, "test", 9, MODELS[kind]["size"]),
        }
        for kind in MODELS
    }


class Run(NamedTuple):
    manifest: Path
    live: TunedNetwork  # as it is when the run ends, in memory: not what its store says of it


@pytest.fixture(scope="module")
def run(bases, stores):
    """Do a run."""

    def do(folder: Path, wanted: FineTuneJobSettings, cache: float = 0.0) -> Run:
        kind, manifest = wanted.names.model, folder / "run" / "manifest.json"
        operation = Operation(torch.device("cpu"), folder / "checkpoints", 1e9, None, cache)
        found: list[TunedNetwork] = []
        original = TunedNetwork.tensors
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TunedNetwork, "tensors", lambda self: (found.append(self), original(self))[1])
            finetune(bases[kind], stores[kind], manifest, wanted, UNSTAMPED, operation)
        return Run(manifest, found[0])

    return do


@pytest.fixture(scope="module")
def shared(run, tmp_path_factory):
    """A run that several tests read, done once."""
    done: dict[str, Run] = {}

    def get(wanted: FineTuneJobSettings, cache: float = 0.0, threads: int = 1) -> Run:
        key = repr((wanted.told(), cache, threads))
        if key not in done:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                done[key] = run(tmp_path_factory.mktemp("shared"), wanted, cache)
            finally:
                torch.set_num_threads(before)
        return done[key]

    return get


def tensors(run: Run) -> dict[str, torch.Tensor]:
    return read_weights(run.manifest.parent / "arrays/tuned.safetensors")


def table_of(run: Run, name: str) -> pd.DataFrame:
    return read_table(run.manifest.parent / f"{name}.parquet")


def assert_same_end(one: Run, other: Run) -> None:
    assert_equal(tensors(one), tensors(other))
    for table in ("history", "accuracy"):
        pd.testing.assert_frame_equal(table_of(one, table), table_of(other, table))


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert set(one) == set(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


# --- shares of trained parameters (Table 3) ----------------------------------------------

SHARES = {  # published, in percent
    ("resnet50", 10): {"lp": 0.09, "mlp": 8.23, "layer_ft": 6.52, "scl_ft": 6.52, "full_ft": 100},
    ("resnet50", 100): {"lp": 0.86, "mlp": 8.56, "layer_ft": 7.24, "scl_ft": 7.24, "full_ft": 100},
    ("resnet50", 47): {"lp": 0.41, "mlp": 8.37, "layer_ft": 6.82, "scl_ft": 6.82, "full_ft": 100},
    ("resnet50", 37): {"lp": 0.32, "mlp": 8.33, "layer_ft": 6.73, "scl_ft": 6.73, "full_ft": 100},
    ("vit", 100): {"lp": 0.09, "mlp": 1.00, "layer_ft": 8.18, "scl_ft": 8.18, "full_ft": 100},
    ("vit", 47): {"lp": 0.04, "mlp": 0.94, "layer_ft": 8.14, "scl_ft": 8.14, "full_ft": 100},
    ("vit", 37): {"lp": 0.03, "mlp": 0.93, "layer_ft": 8.13, "scl_ft": 8.13, "full_ft": 100},
}
PAPER = {
    "resnet50": ("torchvision/resnet50", "resnet", (224, 224)),
    "vit": ("timm/vit_base_patch32_384.augreg_in21k_ft_in1k", "vit", (384, 384)),
}


def prepare(
    base: Backbone, method: str, *units: int, statistics="frozen", classes=CLASSES, **options
) -> TunedNetwork:
    task = Task(base, classes, method_settings(method, *units, **options), statistics, 0)
    return variants.load(methods, method).prepare(task)


@pytest.mark.parametrize(("backbone", "classes"), SHARES)
def test_the_share_of_trained_parameters_is_that_of_the_papers_table(backbone, classes):
    for method, share in SHARES[backbone, classes].items():
        units = [] if method in UNITLESS else [8]
        tuned = prepare(meta_backbone(*PAPER[backbone]), method, *units, classes=[""] * classes)
        assert count_parameters(tuned.to("meta")).share == pytest.approx(share, abs=0.01), method


def test_layer_lora_counts_its_adapters_on_both_sides():
    classes = [""] * 100
    tuned = prepare(meta_backbone(*PAPER["vit"]), "layer_lora", 8, classes=classes, rank=96)
    count = count_parameters(tuned.to("meta"))
    # qkv 768 -> 2304, projection 768 -> 768, MLP 768 -> 3072 -> 768, and the head
    adapted = 96 * (768 + 2304 + 768 + 768 + 2 * (768 + 3072))
    assert count.trained == adapted + 76_900
    base = prepare(meta_backbone(*PAPER["vit"]), "lp", classes=classes)
    assert count.all == count_parameters(base.to("meta")).all + adapted


# --- frozen means frozen -------------------------------------------------------------------


def declared(kind: str, method: str, base: Backbone) -> set[str]:
    """Names of the network's parameters that a method may change."""
    paths = [base.units[index - 1].name for index in TUNED[kind]]
    everything = {name for name, _ in base.network.named_parameters()}
    inside = {name for name in everything if name.startswith(tuple(f"{path}." for path in paths))}
    if method == "full_ft":
        return everything
    return inside if method in ("layer_ft", "scl_ft", "layer_lp", "layer_lora") else set()


def plain_name(name: str) -> str:
    """Name of a weight that an adapter changes, as without the adapter."""
    return name.replace(".parametrizations.", ".").removesuffix(".original")


@pytest.mark.parametrize("cache", [0.0, 1.0])
@pytest.mark.parametrize("statistics", ["update", "recalibrated", "frozen"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", MODELS)
def test_every_tensor_outside_the_declared_set_stays_as_it_was(
    bases, shared, kind, method, statistics, cache
):
    if cache and (method == "full_ft" or (statistics == "update" and kind != "vit")):
        pytest.skip("nothing to keep")
    manifest, live = shared(settings(kind, method, statistics), cache)
    base = load_model(bases[kind])
    allowed, before = declared(kind, method, base), base.network.state_dict()
    parameters = {name for name, _ in base.network.named_parameters()}
    after = {plain_name(name): value for name, value in live.backbone.network.state_dict().items()}
    adapted = {name for name in after if name.endswith((".0.a", ".0.b"))}
    compared = {name for name in after if name in before}
    assert set(after) == compared | adapted
    head = {name for name in before if name.startswith(("fc.", "head.", "classifier."))}
    above = ("blocks.4.", "blocks.5.") if (kind, method) == ("vit", "layer_lp") else ("none",)
    removed = {name for name in before if name.startswith(above)}
    assert set(before) - compared == head | removed
    changed = {name for name in compared if not torch.equal(after[name], before[name])}
    running = {name for name in changed if name not in parameters}
    if method == "layer_lora":
        assert changed == running  # the weights below the adapters are those of the base
        assert adapted
    else:
        assert changed - running <= allowed
        if allowed:
            # a bias before a norm has no gradient
            assert len(changed - running) > 0.75 * len(allowed - head)
    assert bool(running) == (statistics != "frozen" and kind != "vit")
    rebuilt = load_tuned(bases[kind], manifest).network.state_dict()
    for name in set(rebuilt) & compared:
        if method != "layer_lora":
            assert torch.equal(rebuilt[name], after[name]), name


@pytest.mark.parametrize("kind", MODELS)
def test_scl_ft_without_the_tuned_units_output_is_layer_ft(run, shared, tmp_path, kind, monkeypatch):
    plain, summed = (shared(settings(kind, method)) for method in ("layer_ft", "scl_ft"))
    assert not torch.equal(tensors(plain)["classifier.weight"], tensors(summed)["classifier.weight"])
    original = Backbone.feature

    def without(self, read):
        return original(self, {key: value * (key == "penultimate") for key, value in read.items()})

    monkeypatch.setattr(Backbone, "feature", without)
    silenced = run(tmp_path, settings(kind, "scl_ft"))
    assert_equal(tensors(plain), tensors(silenced))


# --- the kept prefix -----------------------------------------------------------------------


CACHED = [("resnet", "frozen"), ("resnet", "recalibrated"), ("mobilenet", "frozen"), ("vit", "update")]


@pytest.mark.parametrize(
    ("kind", "statistics", "method", "threads"),
    [
        *((*mode, method, 1) for mode in CACHED for method in METHODS if method != "full_ft"),
        *((*mode, "layer_ft", 2) for mode in CACHED),
    ],
)
def test_training_from_the_kept_prefix_ends_with_the_same_bits(shared, kind, statistics, method, threads):
    wanted = settings(kind, method, statistics, epochs=3 - threads)
    assert_same_end(shared(wanted, threads=threads), shared(wanted, 1.0, threads))


SAMPLE = 17 * 16 * 4 / 1e9  # GB of an image's tokens


@pytest.mark.parametrize(
    ("cache", "full", "words"),
    [
        (1.0, (), ["train: caching the frozen prefix", "test: caching", "in memory"]),
        (1.0, ("memory",), ["in files"]),
        (1.0, ("memory", "disk"), ["No space left on device", "recomputed in every step"]),
        (1e-6, (), ["train: the frozen prefix is recomputed in every step: its cache would take"]),
        (
            25 * SAMPLE,
            (),
            ["train: caching", "test: the frozen prefix is recomputed in every step"],
        ),  # of 21 + 9
    ],
)
def test_the_prefix_is_kept_where_there_is_room_and_else_steps_aside(
    run, shared, tmp_path, monkeypatch, cache, full, words, caplog
):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    caplog.set_level("INFO")
    if "memory" in full:
        monkeypatch.setattr(prefix_cache.psutil, "virtual_memory", lambda: type("M", (), {"available": 0}))
    if "disk" in full:
        monkeypatch.setattr(prefix_cache.os, "posix_fallocate", no_space)
    kept = run(tmp_path, settings("vit", "layer_ft"), cache)
    assert [word for word in words if word not in caplog.text] == []
    assert not (tmp_path / "checkpoints").exists()
    assert_same_end(shared(settings("vit", "layer_ft")), kept)


def prepared(bases, kind: str, method: str, statistics: str = "frozen", units=None):
    tuned = [] if method in UNITLESS else units or TUNED[kind]
    return prepare(load_model(bases[kind]), method, *tuned, statistics=statistics)


def test_why_a_prefix_is_not_kept(bases):
    assert why_not(prepared(bases, "resnet", "layer_ft", "update"), 1).startswith("its normalisation")
    assert why_not(prepared(bases, "resnet", "layer_ft"), 2) == "its images are augmented"
    assert why_not(prepared(bases, "resnet", "full_ft"), 1) == "everything trains"
    assert why_not(prepared(bases, "vit", "layer_ft", "update"), 1) is None  # no such statistics


def test_backward_never_enters_the_units_below_the_tuned_one(bases):
    tuned = prepared(bases, "resnet", "layer_ft", "update")
    seen = []
    for unit in tuned.backbone.units:
        module = tuned.backbone.network.get_submodule(unit.name)
        module.register_forward_hook(
            lambda _, args, output, index=unit.index: seen.append((index, output.requires_grad))
        )
    tuned.train()
    tuned(torch.rand(4, 3, 8, 8))
    assert seen == [(index, index >= 5) for index in range(1, 9)]


ARCHITECTURES = {
    "torchvision/densenet121": ("densenet", 64, 3, {}),
    "torchvision/googlenet": ("googlenet", 64, 5, {}),
    "torchvision/inception_v3": ("inception", 96, 6, {}),
    "torchvision/mobilenet_v3_small": ("mobilenet", 64, 6, {}),
    "torchvision/efficientnet_b0": ("mobilenet", 64, 9, {}),
    "torchvision/squeezenet1_1": ("squeezenet", 64, 5, {}),
    "torchvision/shufflenet_v2_x0_5": ("stages", 64, 8, {}),
    "torchvision/swin_t": ("stages", 64, 6, {}),
    "torchvision/convnext_tiny": ("stages", 64, 9, {}),
    "torchvision/vit_b_32": ("vit", 64, 8, {"image_size": 64}),
    "timm/vit_tiny_patch16_224": ("vit", 64, 8, {"img_size": 64}),
    "timm/deit_tiny_distilled_patch16_224": ("vit", 64, 8, {"img_size": 64}),
    "timm/beit_base_patch16_224": ("vit", 64, 8, {"img_size": 64, "embed_dim": 48, "num_heads": 3}),
    "timm/resnet18": ("resnet", 64, 5, {}),
    "timm/mobilenetv3_small_050": ("mobilenet", 64, 6, {}),
    "open_clip/RN50": ("clip", 64, 3, {"layers": [1, 2, 1, 1], "width": 8, "image_size": 64}),
    "open_clip/ViT-B-32": ("clip", 64, 2, {"layers": 3, "width": 48, "head_width": 16, "image_size": 64}),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_architecture_begins_at_the_tuned_unit_with_the_same_bits(name):
    unit_layout, size, unit, options = ARCHITECTURES[name]
    torch.manual_seed(0)
    backbone = backbone_of(Architecture.parse(name, options).build(), unit_layout, (size, size))
    network = backbone.network
    tuned = prepare(backbone, "layer_ft", unit).train()
    pixels = torch.rand(3, 3, size, size)
    path = backbone.units[unit - 1].name
    parameters = [*network.get_submodule(path).parameters(), *tuned.classifier.parameters()]
    draw = lambda: torch.manual_seed(9)  # noqa: E731  # stochastic depth above the prefix
    draw()
    whole = tuned(pixels)
    expected = torch.autograd.grad(whole.square().sum(), parameters, allow_unused=True)
    prefix = Prefix(tuned)
    kept = prefix(pixels)
    undo = prefix.cut()
    tuned.train()
    draw()
    found = tuned(kept)
    assert torch.equal(whole, found)
    for one, other in zip(
        expected, torch.autograd.grad(found.square().sum(), parameters, allow_unused=True), strict=True
    ):
        assert (one is None and other is None) or torch.equal(one, other)
    undo()
    draw()
    assert torch.equal(tuned(pixels), whole)
    order = torch.tensor([2, 0, 1])
    assert torch.equal(prefix(pixels[order]), kept[order])  # a sample's place in a batch changes no bit


# --- adapters --------------------------------------------------------------------------------


def test_classifier_and_adapters_begin_with_different_random_numbers():
    """Both are uniform: from one seed, each would begin with the other's numbers on another scale."""
    drawn = {}
    for seed in (0, 1):
        network = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
        adapt(network, ["0"], 8, None, seed)
        first = network[0].parametrizations.weight[0].a.detach().flatten() * 8
        drawn["adapter", seed] = first
        drawn["classifier", seed] = linear_classifier(64, 8, seed).weight.detach().flatten() * 8
        drawn["mlp", seed] = mlp_classifier(64, 16, 8, seed)[0].weight.detach().flatten()[:512] * 8
    for values in drawn.values():
        assert values.abs().max() <= 1
    for one, other in (("adapter", "classifier"), ("adapter", "mlp")):
        for seed in (0, 1):
            assert not torch.isclose(drawn[one, seed], drawn[other, seed]).sum() > 2
    assert not torch.equal(drawn["classifier", 0], drawn["classifier", 1])
    assert torch.equal(drawn["classifier", 0], linear_classifier(64, 8, 0).weight.detach().flatten() * 8)


def peft_copy(network: nn.Module, path: str, ours: dict, rank: int, alpha: float):
    """The same adapters by the library peft, with the same values."""
    from peft import LoraConfig, inject_adapter_in_model

    names = [name.rpartition(".")[0] for name in ours]
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=0.0)
    adapted = inject_adapter_in_model(config, network)
    for name, adapter in ours.items():
        layer = adapted.get_submodule(name.rpartition(".")[0])
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        a.data.copy_(adapter.a.detach().view(a.shape))
        b.data.copy_(adapter.b.detach().view(b.shape))
    return adapted


LORA = {
    "timm/vit_tiny_patch16_224": ("vit", {"depth": 3, "img_size": 32, "num_classes": 4}, 32, 2),
    "small/resnet50": ("resnet", {"width": 4}, 16, 5),
}


@pytest.mark.parametrize("name", LORA)
def test_layer_lora_is_pefts(name):
    unit_layout, options, size, unit = LORA[name]
    torch.manual_seed(0)
    network = Architecture.parse(name, options).build().eval()
    copy = Architecture.parse(name, options).build().eval()
    copy.load_state_dict(network.state_dict())
    base = backbone_of(network, unit_layout, (size, size))
    tuned = prepare(base, "layer_lora", unit, rank=4, alpha=6.0).eval()
    ours = tuned.adapters()
    for adapter in ours.values():
        assert not adapter.b.any()  # nothing changes at first
        nn.init.normal_(adapter.b)
    tuned_copy = peft_copy(copy, base.units[unit - 1].name, ours, 4, 6.0)
    units = [base.stem, *base.units]
    theirs = Backbone(tuned_copy, base.layout, units, base.width, None, base.identity).eval()
    pixels = torch.rand(3, 3, size, size)
    images = tuned.backbone.standardise(pixels)
    feature, expected = tuned.read(images), theirs.capture(images, units=[]).penultimate
    torch.testing.assert_close(feature, expected, atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(feature)
    (feature * weight).sum().backward()
    (expected * weight).sum().backward()
    counted = 0
    for key, adapter in ours.items():
        layer = theirs.network.get_submodule(key.rpartition(".")[0])
        for mine, other in (
            (adapter.a, layer.lora_A["default"].weight),
            (adapter.b, layer.lora_B["default"].weight),
        ):
            gradient = other.grad.view(mine.shape)
            rounding = 1e-5 * float(gradient.abs().max())  # sums of large numbers of both signs
            torch.testing.assert_close(mine.grad, gradient, atol=rounding, rtol=1e-4)
            counted += other.numel()
        merged = tuned.backbone.network.get_submodule(key.rpartition(".")[0]).weight
        torch.testing.assert_close(
            merged.detach(), layer.base_layer.weight + layer.get_delta_weight("default"), atol=1e-5, rtol=1e-5
        )
    trained = sum(value.numel() for value in tuned.parameters() if value.requires_grad)
    assert trained == counted + sum(value.numel() for value in tuned.classifier.parameters())


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_the_rebuilt_model_gives_what_the_trained_one_gave(bases, stores, shared, kind, method):
    """Accuracy and loss of the run, from nothing but the two stores."""
    done = shared(settings(kind, method, "frozen"))
    backbone = load_tuned(bases[kind], done.manifest)
    state = {key: value for key, value in tensors(done).items() if key.startswith("classifier.")}
    images = torch.from_numpy(stores[kind]["test"].images.copy()).permute(0, 3, 1, 2)
    seen = backbone.capture(backbone.normalise(images), units=[])
    feature = seen.penultimate if seen.summed is None else seen.summed
    assert (seen.summed is None) == (method != "scl_ft")
    if method == "mlp":
        feature = (feature @ state["classifier.0.weight"].T + state["classifier.0.bias"]).relu()
        state = {
            "classifier.weight": state["classifier.2.weight"],
            "classifier.bias": state["classifier.2.bias"],
        }
    logits = feature @ state["classifier.weight"].T + state["classifier.bias"]
    labels = torch.from_numpy(stores[kind]["test"].labels)
    table = table_of(done, "accuracy").set_index("split")
    assert table["accuracy"]["test"] == pytest.approx(
        100 * float((logits.argmax(1) == labels).float().mean())
    )
    loss = float(nn.functional.cross_entropy(logits, labels))
    assert table["loss"]["test"] == pytest.approx(loss, rel=1e-4)


# --- the skip connection ---------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "units", "pooling"), [("resnet", [3, 5], "avg"), ("vit", [4], "cls")])
def test_the_skip_connection_pools_pads_and_sums(bases, kind, units, pooling):
    tuned = prepared(bases, kind, "scl_ft", units=units).eval()
    images = torch.randn(2, 3, 8, 8)
    seen = tuned.backbone.capture(images, units=units, poolings=[pooling])
    expected = seen.penultimate.clone()
    for index in units:
        output = seen.units[index][pooling]
        expected[:, : output.shape[1]] += output
    torch.testing.assert_close(seen.summed, expected)
    torch.testing.assert_close(tuned.read(images), expected)


def test_networks_that_average_their_patches_add_averaged_patches():
    network = Architecture.parse("timm/vit_tiny_patch16_224", {"global_pool": "avg", "img_size": 32}).build()
    assert describe(network, "vit").feature_pooling == "patch_mean"


# --- units above removed -----------------------------------------------------------------------


def test_layer_lp_of_a_resnet_classifies_the_tuned_units_pooled_output(bases):
    base = load_model(bases["resnet"])
    images = torch.randn(2, 3, 8, 8)
    expected = base.capture(images, units=[5]).units[5]["avg"]
    tuned = prepared(bases, "resnet", "layer_lp").eval()
    torch.testing.assert_close(tuned.read(images), expected)
    assert len(tuned.backbone.units) == 5
    assert tuned.backbone.width == expected.shape[1]


def test_layer_lp_of_a_transformer_keeps_the_final_norm(bases):
    base = load_model(bases["vit"])
    images = torch.randn(2, 3, 8, 8)
    raw = base.capture(images, units=[4], poolings=["cls"]).units[4]["cls"]
    expected = base.network.norm(raw)
    tuned = prepared(bases, "vit", "layer_lp").eval()
    torch.testing.assert_close(tuned.read(images), expected)


@pytest.mark.parametrize("statistics", ["update", "recalibrated"])
def test_layer_lp_leaves_nothing_of_the_units_that_are_gone(bases, shared, statistics):
    done = shared(settings("resnet", "layer_lp", statistics))
    backbone = load_model(bases["resnet"])
    gone = tuple(f"network.{path}." for path in backbone.layout.units[5:])
    found = tensors(done)
    assert any("running_mean" in name for name in found)
    assert not [name for name in found if name.startswith(gone)]


@pytest.mark.parametrize("kind", MODELS)
def test_layer_lp_of_the_last_unit_is_layer_ft(bases, kind):
    last = len(load_model(bases[kind]).units)
    images = torch.rand(2, 3, MODELS[kind]["size"], MODELS[kind]["size"])
    one, other = (prepared(bases, kind, method, units=[last]).eval() for method in ("layer_ft", "layer_lp"))
    assert torch.equal(one(images), other(images))


# --- statistics --------------------------------------------------------------------------------


def test_recalibrated_statistics_are_the_means_over_the_batches(bases, stores, shared):
    backbone = load_tuned(bases["resnet"], shared(settings("resnet", "lp", "recalibrated")).manifest)
    images = torch.from_numpy(stores["resnet"]["train"].images.copy()).permute(0, 3, 1, 2)
    base = load_model(bases["resnet"])
    first = base.network.conv1(base.normalise(images))
    batches = first.split(8)[:2]  # the last, smaller batch would weigh as much as a whole one
    means = torch.stack([part.mean((0, 2, 3)) for part in batches]).mean(0)
    variances = torch.stack([part.var((0, 2, 3)) for part in batches]).mean(0)
    torch.testing.assert_close(backbone.network.bn1.running_mean, means, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(backbone.network.bn1.running_var, variances, atol=1e-5, rtol=1e-4)


def test_updated_statistics_follow_the_batches_of_every_epoch(bases, stores, run, tmp_path):
    """Linear probing moves them as a plain loop in training mode does; here a batch is the whole split."""
    done = run(tmp_path, settings("resnet", "lp", "update", batch_size=21))
    tuned, base = load_tuned(bases["resnet"], done.manifest), load_model(bases["resnet"])
    images = torch.from_numpy(stores["resnet"]["train"].images.copy()).permute(0, 3, 1, 2)
    base.network.train()
    with torch.no_grad():
        for _ in range(2):  # epochs
            base.network(base.normalise(images))
    for name, value in base.network.named_buffers():
        torch.testing.assert_close(tuned.network.get_buffer(name), value, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["layer_ft", "full_ft"])
def test_what_a_source_head_drops_is_dropped_by_no_method(bases, method):
    tuned = prepared(bases, "mobilenet", method).train()
    assert isinstance(tuned.backbone.network.classifier[0], nn.Dropout)
    assert not tuned.backbone.network.classifier[0].training


def test_images_stored_at_their_geometry_are_not_shaped_again(tmp_path):
    geometry = Geometry(resize=10, crop=8)
    store = save_images(tmp_path, "train", 6, 8)
    store.manifest = {**store.manifest, "geometry": geometry.told()}
    pixels = Pixels(store, geometry, UNAUGMENTED, torch.device("cpu"))
    expected = torch.from_numpy(store.images.copy()).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(pixels.clean(torch.arange(6)), expected)


def test_frozen_modules_drop_nothing_at_random():
    network = Architecture.parse("torchvision/efficientnet_b0").build()
    tuned = prepare(backbone_of(network, "mobilenet", (32, 32)), "lp").train()
    pixels = torch.rand(4, 3, 32, 32)
    assert torch.equal(tuned(pixels), tuned(pixels))


# --- samples a class, seeds, stopping ---------------------------------------------------------


def test_the_subset_follows_from_its_seed_alone(run, tmp_path):
    wanted = settings("resnet", "lp", per_class=2)
    few, again = (run(tmp_path / name, wanted) for name in "ab")
    assert set(table_of(few, "history")["epoch"]) == {1, 2}
    assert_equal(tensors(few), tensors(again))
    other = run(tmp_path / "c", settings("resnet", "lp", per_class=2, subset_seed=6))
    assert not torch.equal(tensors(other)["classifier.weight"], tensors(few)["classifier.weight"])


@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_test_split_is_scored_as_often_as_asked_and_at_the_end(run, tmp_path, every):
    done = run(tmp_path, settings("resnet", "lp", "frozen", evaluate_every=every, epochs=5))
    history = table_of(done, "history")
    tested = set(history[history["split"] == "test"]["epoch"])
    assert tested == {epoch for epoch in range(1, 6) if epoch % every == 0} | {5}
    assert set(history[history["split"] == "train"]["epoch"]) == set(range(1, 6))
    final = table_of(done, "accuracy").set_index("split")["accuracy"]["test"]
    assert final == history[history["split"] == "test"]["accuracy"].iloc[-1]


@pytest.mark.parametrize("step", [0, 1, 4])
@pytest.mark.parametrize(
    ("kind", "method", "statistics", "cache"),
    [
        ("resnet", "scl_ft", "update", 0.0),
        ("resnet", "layer_lora", "recalibrated", 1.0),
        ("vit", "layer_ft", "update", 1.0),
    ],
)
def test_a_stopped_run_ends_with_the_bits_of_an_undisturbed_one(
    run, shared, tmp_path, monkeypatch, kind, method, statistics, cache, step
):
    wanted = settings(kind, method, statistics)
    with monkeypatch.context() as patched:
        patched.setattr("nctransfer.finetuning.run.stop_requests", lambda: nullcontext(StopAfter(step)))
        with pytest.raises(TrainingError, match="stopped by SIGTERM"):
            run(tmp_path, wanted, cache)
    assert not (tmp_path / "run").exists()
    resumed = run(tmp_path, wanted, cache)
    expected = shared(wanted, cache)
    assert_equal(tensors(expected), tensors(resumed))
    assert expected.manifest.read_bytes() == resumed.manifest.read_bytes()
    assert not (tmp_path / "checkpoints").exists()


# --- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "method", "units", "options", "words"),
    [
        ("resnet", "layer_ft", [9], {}, "no unit 9 to tune; allowed are 1 to 8"),
        ("vit", "scl_ft", [1, 7], {}, "no unit 7 to tune; allowed are 1 to 6"),
        ("resnet", "layer_lp", [12], {}, "no unit 12 to tune"),
        ("vit", "layer_lora", [2], {"rank": 17}, "rank 17 is too large for blocks.1.attn.qkv"),
        ("mobilenet", "layer_lora", [8], {"rank": 1000}, "rank 1000 is too large for features.8"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_training(run, tmp_path, kind, method, units, options, words):
    with pytest.raises(ModelError, match=words):
        run(tmp_path, settings(kind, method, units=units, options=options))
    assert not (tmp_path / "run").exists()


def test_a_unit_without_parameters_is_refused_with_those_that_have_some():
    torch.manual_seed(0)
    backbone = backbone_of(Architecture.parse("torchvision/alexnet").build(), "stages", (64, 64))
    with pytest.raises(ModelError, match=r"unit 2 \(features.5, MaxPool2d\) has no parameters to tune"):
        prepare(backbone, "layer_ft", 2)


def test_a_unit_wider_than_the_penultimate_feature_allows_no_skip_connection(bases, tmp_path):
    base = load_model(bases["resnet"])
    narrow = Backbone(base.network, base.layout, [base.stem, *base.units], 16, None, base.identity)
    with pytest.raises(ModelError, match=r"no skip connection from unit 7 .* 32 wide, to the penultimate"):
        prepare(narrow, "scl_ft", 7)


def test_fewer_images_of_a_class_than_asked_for_are_refused(run, tmp_path):
    with pytest.raises(DataError, match="per_class: 8 images per class requested, but 'a' has 7"):
        run(tmp_path, settings("resnet", "lp", per_class=8))


def test_a_run_of_another_base_model_is_refused(bases, shared):
    with pytest.raises(StoreError, match="fine-tuned from other weights"):
        load_tuned(bases["mobilenet"], shared(settings("resnet", "lp")).manifest)


def test_divergence_is_named_and_nothing_is_left(run, tmp_path):
    with pytest.raises(TrainingError, match="learning rate 1e\\+30"):
        run(tmp_path, settings("resnet", "full_ft", learning_rate=1e30))
    assert not (tmp_path / "run").exists()
