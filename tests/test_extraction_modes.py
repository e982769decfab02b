"""Faster modes of extraction: the same outputs at the same places, and names of their own."""

import copy
import importlib.util
import sys
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from torch import nn
from trainings import image_store, noise

from nctransfer.config.load import load
from nctransfer.dag.faster_modes import cpu_flags, faster_modes
from nctransfer.dag.plan import Plan
from nctransfer.data.image_store import ImageStore
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError, ModelError
from nctransfer.features.extract import extract_features
from nctransfer.features.feature_store import FeatureStore
from nctransfer.features.outputs import outputs
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone, Head, Identity, measure
from nctransfer.models.folding import fold_batch_norm
from nctransfer.models.unit_layout import Tap, UnitLayout

ROOT = Path(__file__).resolve().parents[1]
SIDE = 32
RESNET, VIT = ("small/resnet18", "resnet", {"width": 4}), ("small/vit", "vit", {"width": 24})
MOBILENET = ("torchvision/mobilenet_v2", "mobilenet", {"width_mult": 0.25})
EFFICIENTNET = ("timm/efficientnet_lite0", "stages", {})
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="the optional openvino is not installed"
)


def randomised(network: nn.Module) -> nn.Module:
    """Batch norms as after a training, each with numbers of its own."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(generator=generator)
    return network.eval()


def backbone_of(name: str, unit_layout: str, options: dict, skip=()) -> Backbone:
    torch.manual_seed(0)
    network = randomised(Architecture.parse(name, options, 3).build())
    backbone = networks.backbone_of(network, unit_layout, (SIDE, SIDE))
    backbone.head, backbone.skip = Head(backbone.layout.heads[0], 3), skip
    return backbone


def chain_of(network: nn.Module, units: tuple[str, ...]) -> Backbone:
    layout = UnitLayout(units, Tap("fc", "input"))
    identity = Identity("", "chain", "", "", (0.5,) * 3, (0.5,) * 3, (SIDE, SIDE), None, "")
    return Backbone(randomised(network), layout, *measure(network, layout, (SIDE, SIDE)), None, identity)


def norms(backbone: Backbone) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


def assert_close(found, expected, tolerance: float) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        worst = np.abs(np.asarray(found[name]) - np.asarray(value)).max()
        assert worst <= tolerance * np.abs(np.asarray(value)).max(), name


@torch.no_grad()
def features(backbone: Backbone) -> dict[str, np.ndarray]:
    noise = torch.randn(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    found = outputs(backbone, noise, backbone.layout.poolings)
    return {name: vectors.numpy() for name, vectors in found.items()}


@pytest.mark.parametrize("network", [RESNET, MOBILENET, EFFICIENTNET], ids=["resnet", "mobilenet", "timm"])
def test_a_folded_network_gives_the_outputs_of_all_units(network):
    backbone = backbone_of(*network)
    expected, count = features(backbone), norms(backbone)
    assert fold_batch_norm(backbone) == count > 15
    assert norms(backbone) == 0
    assert_close(features(backbone), expected, 1e-5)
    assert fold_batch_norm(backbone) == 0  # of the other split


class Chain(nn.Module):
    """Two convolutions with their norms; ``again`` reads what the first norm reads."""

    def __init__(self, again: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.fc, self.again = nn.Linear(5, 2), again

    def forward(self, x):
        x = self.conv1(x)
        x = torch.relu(self.bn1(x) + x if self.again else self.bn1(x))
        return self.fc(torch.relu_(self.bn2(self.conv2(x))).mean((2, 3)))


@pytest.mark.parametrize(
    ("units", "kept"),
    [(("bn1", "bn2"), {"bn1"}), (("conv1", "bn2"), {"bn1"}), (("bn1", "conv2"), {"bn1", "bn2"}), (("conv1", "conv2"), {"bn1", "bn2"})],
    ids=["begins with a norm", "ends before a norm", "both", "two ends"],
)  # fmt: skip
def test_nothing_is_folded_across_the_border_of_a_unit(units, kept):
    backbone = chain_of(Chain(), units)
    expected = features(backbone)
    assert fold_batch_norm(backbone) == 2 - len(kept)
    assert {name for name in ("bn1", "bn2") if isinstance(backbone.network.get_submodule(name), nn.BatchNorm2d)} == kept  # fmt: skip
    assert_close(features(backbone), expected, 1e-5)


def test_a_convolution_with_weights_of_its_own_making_stays():
    from timm.layers import StdConv2d

    chain = Chain()
    chain.conv1 = StdConv2d(3, 4, 3)
    backbone = chain_of(chain, ("bn2",))
    expected = features(backbone)
    assert fold_batch_norm(backbone) == 0
    assert_close(features(backbone), expected, 1e-5)


def test_a_convolution_that_something_else_reads_is_an_error():
    backbone = chain_of(Chain(again=True), ("bn2",))
    with pytest.raises(ModelError, match=r"cannot be folded without .*features.fold_batch_norm: false"):
        fold_batch_norm(backbone)


@pytest.fixture
def images(tmp_path) -> ImageStore:
    return image_store(tmp_path / "images", noise(21, 16))


def extract(backbone: Backbone, images: ImageStore, folder: Path, **mode) -> FeatureStore:
    settings = FeaturesJobSettings(
        batch_size=8,  # so the last batch has five
        geometry=Geometry(resize=(SIDE, SIDE)),
        poolings=backbone.layout.poolings,
        loader="stored",
        device="cpu",
        **mode,
    )
    extract_features(copy.deepcopy(backbone), images, folder / "manifest.json", settings)
    return FeatureStore(folder / "manifest.json")


def columns(store: FeatureStore) -> dict[str, np.ndarray]:
    return {column.name: store[column.name] for column in store.columns}


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    [
        ({"fold_batch_norm": True}, 1e-5),
        ({"precision": "bfloat16"}, 0.1),
        pytest.param({"engine": "openvino"}, 1e-4, marks=needs_openvino),
        pytest.param({"engine": "openvino", "units": "penultimate"}, 1e-4, marks=needs_openvino),
    ],
    ids=["folded", "bf16", "openvino", "penultimate"],
)
@pytest.mark.parametrize("network", [RESNET, VIT], ids=["resnet", "vit"])
def test_every_mode_gives_the_columns_of_the_reference(network, mode, tolerance, images, tmp_path):
    backbone = backbone_of(*network, skip=(2, 3))
    units = {"units": mode["units"]} if "units" in mode else {}
    expected = extract(backbone, images, tmp_path / "reference", **units)
    found = extract(backbone, images, tmp_path / "mode", **mode)
    names = [column.name for column in expected.columns]
    assert names[-3:] == ["penultimate", "summed", "logits"]
    assert (
        network is RESNET or units or {"unit03.cls", "unit00.token_mean", "unit06.patch_mean"} <= set(names)
    )
    assert_close(columns(found), columns(expected), tolerance)
    assert "mode" not in expected.meta
    is_reference = mode.keys() == {"fold_batch_norm"} and network is VIT  # nothing to fold
    assert is_reference or any(not np.array_equal(found[name], expected[name]) for name in names)
    assert found.meta["mode"]


@needs_openvino
@pytest.mark.skipif(cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"}), reason="no bfloat16 in this CPU")
def test_openvino_computes_in_the_precision_that_is_asked_for(images, tmp_path):
    backbone = backbone_of(*RESNET)
    exact = columns(extract(backbone, images, tmp_path / "exact"))
    rounded = columns(extract(backbone, images, tmp_path / "b", engine="openvino", precision="bfloat16"))
    assert_close(rounded, exact, 0.1)
    with pytest.raises(AssertionError):
        assert_close(rounded, exact, 1e-4)


def test_without_openvino_the_engine_is_refused_with_the_remedy(images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        ConfigError, match=r"features.engine: .*needs the package openvino.*nctransfer\[openvino"
    ):
        extract(backbone_of(*RESNET), images, tmp_path / "x", engine="openvino")
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_a_missing_openvino_is_told_while_planning(planned_project):
    """Before anything runs, where features are to be made by jobs that have the software of the plan."""
    planned_project.edit("nctransfer/versions.py", '"openvino": "openvino"', '"no-such-package": "openvino"')

    def plan(*options: str, target: str = "figures/tiny/fig3.pdf") -> str:
        run = planned_project.run(target, options=("-n", "--quiet", "rules", *options))
        return run.stdout + run.stderr

    openvino = ("--config", "features={engine: openvino}", "device=cpu")
    assert "features.engine: 'openvino' needs the package openvino" in plan(*openvino)
    assert "needs the package" not in plan()
    assert "needs the package" not in plan("--sdm", "conda", *openvino)
    assert "needs the package" not in plan(
        *openvino, target="results/tiny/images/digits-8px/train/manifest.json"
    )


def plan(features: str, device: str = "cpu") -> Plan:
    return Plan(load(ROOT / "config.yaml", [], [f"features={features}", f"device={device}"]), ROOT)


@pytest.mark.parametrize(
    ("section", "suffix"),
    [
        ("{precision: float32, fold_batch_norm: false, engine: torch}", ""),
        ("{precision: bfloat16}", ".bf16"),
        ("{fold_batch_norm: true}", ".folded"),
        ("{fold_batch_norm: true, precision: bfloat16}", ".folded.bf16"),
        ("{engine: openvino}", ".openvino"),
        ("{engine: openvino, precision: bfloat16}", ".openvino.bf16"),
    ],
)
def test_a_mode_is_in_the_paths_of_all_that_follows_from_it(section, suffix):
    usual, chosen = plan("{}"), plan(section)
    name, view = "resnet34", f"cifar10-224px{suffix}"
    assert chosen.view(name, "cifar10").key == view
    probes = chosen.probes(name, view)
    assert probes.inputs["train"] == f"results/features/resnet34/{view}/train/manifest.json"
    before = usual.probes(name, "cifar10-224px")
    assert (probes.stamp.digest == before.stamp.digest) == (suffix == "")
    # the same random numbers, so that two modes differ by the features alone
    assert probes.settings.seeds == before.settings.seeds
    assert chosen.metrics(name, view).settings.seed == usual.metrics(name, "cifar10-224px").settings.seed
    features, reference = chosen.features(name, view), usual.features(name, "cifar10-224px")
    assert features.inputs == reference.inputs  # images and model are not made again
    engine = "openvino" if "openvino" in suffix else "torch"
    assert f"nctransfer.features.engines.{engine}" in features.variants


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_modes_that_contradict_are_mistakes(device):
    with pytest.raises(ConfigError) as error:
        plan("{engine: openvino, fold_batch_norm: true}", device)
    assert "features.engine: 'openvino' computes on the CPU; set device: cpu, or engine: torch" in str(
        error.value
    )
    assert "features.fold_batch_norm: 'openvino' always folds" in str(error.value)


def test_only_modes_that_the_cpu_has_are_recommended(tmp_path):
    assert faster_modes([]) == ""
    assert "bfloat16" not in faster_modes(["avx2", "avx512f"])
    assert "{engine: openvino, precision: bfloat16}" in faster_modes(["avx512f", "avx512_bf16"])
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu avx2\n\nflags\t\t: fpu\n")
    assert cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx2"}
    assert cpu_flags(tmp_path / "missing") == set()
