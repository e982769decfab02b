"""The model zoo: what is known of models, how they are fetched, stored, rebuilt and read."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from networks import backbone_of, loaded_by, stored
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_data_config
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from nctransfer import variants
from nctransfer.catalog import known_models
from nctransfer.catalog.known_models import lookup, lookup_architecture
from nctransfer.data.resize import apply_geometry
from nctransfer.errors import ConfigError, ModelError, StoreError
from nctransfer.models import sources, unit_layouts, write_known_models
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import timm as timm_library
from nctransfer.models.architectures import torchvision as torchvision_library
from nctransfer.models.backbone import Backbone, Identity
from nctransfer.models.checkpoint import load_strictly, read_metadata, read_weights, write_weights
from nctransfer.models.model_store import describe, load_model
from nctransfer.models.pooling import mean_of_last
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.unit_layout import Tap, Unit, UnitLayout

REPOSITORY = Path(__file__).resolve().parents[1]
MEAN_STD = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def normaliser(mean: tuple[float, ...], std: tuple[float, ...]) -> Backbone:
    layout = UnitLayout(units=("",), penultimate=Tap("", "output"))
    identity = Identity("test", "", "", "", mean, std, (1, 1), None, "")
    return Backbone(nn.Identity(), layout, [Unit(0, "stem", "", 3), Unit(1, "", "", 3)], 3, None, identity)


def tiny_local(tmp_path: Path, **state: torch.Tensor) -> dict:
    """Settings of a small network of our own, its weights in a safetensors file."""
    network = Architecture.parse("small/resnet18", {"width": 4}, 5).build()
    path = tmp_path / "tiny.safetensors"
    save_file(network.state_dict() | state, path)
    return {
        "source": "local",
        "architecture": "small/resnet18",
        "options": {"width": 4},
        "weights": str(path),
        "unit_layout": "resnet",
        **MEAN_STD,
    }


# What the plan knows ---------------------------------------------------------------------------


def test_the_table_names_every_model_once_with_a_family_and_units() -> None:
    models = [
        lookup(source, name, row["weights"])
        for source, names in known_models._rows().items()
        for name, rows in names.items()
        for row in rows
    ]
    assert len(models) == len({(model.source, model.name, model.weights) for model in models}) > 1500
    assert known_models.TABLE.stat().st_size < 500_000
    for model in models:
        variants.load(unit_layouts, model.unit_layout)
        assert model.units > 0
        assert min(model.size) > 0
        assert model.interpolation in ("bilinear", "bicubic")


@pytest.mark.parametrize("source", ["torchvision", "open_clip"])
def test_the_table_agrees_with_the_installed_library(source) -> None:
    for name in known_models.names(source):
        for row in known_models._rows()[source][name]:
            known, found = (
                lookup(source, name, row["weights"]),
                Architecture(source, name).metadata(row["weights"]),
            )
            assert (known.size, known.resize and known.native()) == (found.size, found.native), known


def test_the_table_agrees_with_the_installed_timm() -> None:
    names = known_models.names("timm")
    assert set(names) <= set(timm.list_pretrained())
    for name in names:
        known = lookup("timm", name)
        config = resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        native = timm_library.geometry(config)
        assert known.size == tuple(config["input_size"][1:])
        assert native == (None if known.resize is None else known.native()), name


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (
            write_known_models.torchvision_rows,
            ["resnet34", "densenet121", "mobilenet_v3_small", "googlenet", "squeezenet1_1", "vit_b_32"],
        ),
        (
            write_known_models.timm_rows,
            ["vit_base_patch32_384", "regnety_002", "test_efficientnet", "swin_tiny_patch4_window7_224"],
        ),
        (write_known_models.open_clip_rows, ["ViT-B-32-quickgelu", "RN50-quickgelu", "ViT-B-16-SigLIP"]),
    ],
)
def test_the_table_is_what_its_writer_finds(rows, names) -> None:
    written = known_models._rows()
    for row in rows(names):
        text = {key: str(value) for key, value in row.items()}
        assert text in written[row["source"]][row["name"]]


def test_the_papers_models_are_known_as_the_paper_uses_them() -> None:
    resnet = lookup("torchvision", "resnet34", "IMAGENET1K_V1")
    assert (resnet.unit_layout, resnet.units, resnet.poolings) == ("resnet", 16, ("avg",))
    vit = lookup("timm", "vit_base_patch32_384.augreg_in21k_ft_in1k")
    assert (vit.unit_layout, vit.units, vit.size) == ("vit", 12, (384, 384))
    assert "cls" in vit.poolings
    assert "token_mean" in vit.poolings
    assert lookup("torchvision", "resnet18").units == 8
    assert lookup("torchvision", "resnet50", "IMAGENET1K_V1").units == 16
    assert lookup("open_clip", "ViT-B-32-quickgelu", "openai").units == 12


def test_a_name_without_weights_is_the_librarys_default() -> None:
    tag = timm.get_pretrained_cfg("resnet50").tag
    assert lookup("timm", "resnet50").name == f"resnet50.{tag}"
    for name in known_models.names("torchvision"):
        default = torchvision.models.get_model_weights(name)["DEFAULT"].name
        assert lookup("torchvision", name).weights == default


@pytest.mark.parametrize(
    ("source", "name", "weights", "words"),
    [
        ("torchvison", "resnet18", None, ["torchvison", "did you mean 'torchvision'"]),
        ("torchvision", "resnet43", None, ["resnet43", "did you mean 'resnet34'"]),
        ("torchvision", "resnet34", "IMAGENET1K_V3", ["IMAGENET1K_V3", "did you mean 'IMAGENET1K_V1'"]),
        ("timm", "vit_base_patch32_348", None, ["did you mean 'vit_base_patch32_384'"]),
        ("timm", "resnet50.a1_in1k", "IMAGENET1K_V1", ["leave `weights` out"]),
        ("open_clip", "ViT-B-32", None, ["`weights` must name one of", "laion2b_e16"]),
        ("open_clip", "ViT-B-32", "openai", ["QuickGELU", "name: ViT-B-32-quickgelu"]),
        ("open_clip", "ViT-B32", "openai", ["did you mean 'ViT-B-32'"]),
    ],
)
def test_an_unknown_model_is_refused_with_the_closest_one(source, name, weights, words) -> None:
    with pytest.raises(ConfigError) as raised:
        lookup(source, name, weights)
    for word in words:
        assert word in str(raised.value)


def test_an_unknown_architecture_is_refused() -> None:
    assert lookup_architecture("cifar/resnet56").units == 27
    assert lookup_architecture("timm/vit_tiny_patch16_224").units == 12
    for wrong in ("resnet56", "cifer/resnet56", "cifar/resnet57"):
        with pytest.raises(ConfigError, match="resnet5"):
            lookup_architecture(wrong)


def test_a_transform_that_no_geometry_expresses_is_refused_only_as_native() -> None:
    without = [name for name in known_models.names("timm") if lookup("timm", name).resize is None]
    assert without
    model = lookup("timm", without[0])
    with pytest.raises(ConfigError, match="preprocess: paper"):
        model.native()


def test_the_plan_imports_no_heavy_library() -> None:
    code = "from nctransfer.catalog.known_models import lookup; lookup('timm', 'resnet50')"
    assert loaded_by(code, "torch", "timm", "torchvision", "numpy", "pandas") == []


# Preprocessing ---------------------------------------------------------------------------------

SHAPES = [(48, 64), (300, 231)]


def pictures(height: int, width: int) -> torch.Tensor:
    """Two images with large forms and noise, as photographs have, uint8 (2, 3, height, width)."""
    generator = torch.Generator().manual_seed(3)
    forms = 255 * torch.rand(2, 3, 7, 9, generator=generator)
    noise = 12 * torch.randn(2, 3, height, width, generator=generator)
    images = torch.nn.functional.interpolate(forms, size=(height, width), mode="bicubic") + noise
    return images.clamp(0, 255).round().to(torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet34", "IMAGENET1K_V1"),
        ("resnet50", "IMAGENET1K_V2"),
        ("densenet121", "IMAGENET1K_V1"),
        ("googlenet", "IMAGENET1K_V1"),
        ("efficientnet_b0", "IMAGENET1K_V1"),
        ("inception_v3", "IMAGENET1K_V1"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
    ],
)
def test_native_preprocessing_is_torchvisions_to_the_bit(name, weights, shape) -> None:
    images = pictures(*shape)
    metadata = torchvision_library.metadata(name, weights)
    ours = normaliser(metadata.mean, metadata.std).normalise(
        apply_geometry(images, lookup("torchvision", name, weights).native())
    )
    theirs = torchvision.models.get_weight(f"{_enumeration(name)}.{weights}").transforms()(images)
    assert torch.equal(ours, theirs)


def _enumeration(name: str) -> str:
    return torchvision.models.get_model_weights(name).__name__


def their_transform(source: str, name: str, weights: str):
    """The evaluation transform of timm or open_clip."""
    if source == "timm":
        config = timm.get_pretrained_cfg(name).to_dict()
        return create_transform(**resolve_data_config({}, pretrained_cfg=config))
    config = open_clip.pretrained.get_pretrained_cfg(name, weights)
    size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
    keys = ("mean", "std", "interpolation", "resize_mode")
    return open_clip.image_transform(size, is_train=False, **{key: config[key] for key in keys})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("source", "name", "weights"),
    [
        ("timm", "vit_base_patch32_384.augreg_in21k_ft_in1k", None),
        ("timm", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", None),
        ("timm", "resnet50.tv_in1k", None),
        ("timm", "convnext_tiny.fb_in22k_ft_in1k_384", None),
        ("open_clip", "ViT-B-32-quickgelu", "openai"),
        ("open_clip", "ViT-B-16-SigLIP", "webli"),
    ],
)
def test_native_preprocessing_is_timms_and_open_clips(source, name, weights, shape) -> None:
    images = pictures(*shape)
    metadata, known = Architecture(source, name).metadata(weights), lookup(source, name, weights)
    ours = normaliser(metadata.mean, metadata.std).normalise(apply_geometry(images, known.native()))
    transform = their_transform(source, name, weights)
    theirs = torch.stack([transform(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images])
    # PIL's resize rounds in other places than torch's, and goes over rows first where that is cheaper, which a
    # change of the aspect ratio makes visible
    levels = (ours - theirs).abs() * torch.tensor(metadata.std).view(1, -1, 1, 1) * 255
    assert ours.shape == theirs.shape
    assert levels.max() <= (4 if isinstance(known.resize, tuple) else 2) + 1e-3
    assert levels.mean() <= 0.3


def test_both_orders_of_channels_normalise_alike() -> None:
    backbone = normaliser((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    images = pictures(5, 7)
    channels_first, channels_last = backbone.normalise(images), backbone.normalise(images.permute(0, 2, 3, 1))
    assert channels_first.shape == (2, 3, 5, 7)
    assert torch.equal(channels_first, channels_last)
    assert images.dtype == torch.uint8


# Units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "unit_layout", "count"),
    [
        ("resnet18", {}, "resnet", 8),
        ("densenet121", {}, "densenet", 4),
        ("mobilenet_v2", {}, "mobilenet", 17),
        ("mobilenet_v3_small", {}, "mobilenet", 11),
        ("efficientnet_b0", {}, "mobilenet", 16),
        ("googlenet", {"transform_input": True}, "googlenet", 9),
        ("inception_v3", {}, "inception", 11),
        ("squeezenet1_1", {}, "squeezenet", 8),
        (
            "vit_b_32",
            {"image_size": 64, "num_layers": 2, "hidden_dim": 48, "num_heads": 2, "mlp_dim": 32},
            "vit",
            2,
        ),
        ("swin_t", {}, "stages", 12),
        ("vgg11", {"init_weights": False}, "stages", 5),
    ],
)
def test_units_are_torchvisions_own_intermediate_features(name, options, unit_layout, count) -> None:
    size = 80 if name == "inception_v3" else 64
    if name == "vit_b_32":
        network = torchvision.models.VisionTransformer(
            options["image_size"], 32, 2, options["num_heads"], options["hidden_dim"], options["mlp_dim"]
        )
    else:
        network = Architecture("torchvision", name, options).build()
    backbone = backbone_of(network, unit_layout, (size, size))
    assert len(backbone.units) == count
    images = torch.randn(2, 3, size, size)
    nodes = [unit.name for unit in backbone.units]
    if name == "vit_b_32":  # its tracer names what a layer adds last
        nodes = [f"{node}.add_1" for node in nodes]
    if name == "densenet121":
        nodes = [f"{node}.cat" for node in nodes]
    with torch.no_grad():
        seen = backbone.capture(images, poolings=[backbone.layout.poolings[0], "none"])
        theirs = create_feature_extractor(network, nodes).eval()(images)
    for unit, node in zip(backbone.units, nodes, strict=True):
        raw = seen.units[unit.index]["none"]
        torch.testing.assert_close(raw, theirs[node], atol=1e-6, rtol=1e-6)
        pooled = seen.units[unit.index][backbone.layout.poolings[0]]
        positions = (1, 2) if name == "swin_t" else (2, 3)
        expected = raw[:, 0] if unit_layout == "vit" else raw.mean(positions)
        torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=1e-6)
        assert unit.width == pooled.shape[1]


SMALL_TOWER = {"layers": 3, "width": 48, "head_width": 16, "image_size": 32, "patch_size": 8}


def test_units_of_a_clip_tower_are_open_clips_own() -> None:
    network = Architecture("open_clip", "ViT-B-32-quickgelu", SMALL_TOWER).build().eval()
    backbone = backbone_of(network, "clip", (32, 32))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        seen = backbone.capture(images, poolings=["cls", "patch_mean"])
        theirs = network.forward_intermediates(images, output_fmt="NLC", output_extra_tokens=True)
        embedding = network(images)
    assert len(backbone.units) == 3
    for index, (patches, prefix) in enumerate(
        zip(theirs["image_intermediates"], theirs["image_intermediates_prefix"], strict=True), start=1
    ):
        torch.testing.assert_close(seen.units[index]["cls"], prefix[:, 0], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(seen.units[index]["patch_mean"], patches.mean(1), atol=1e-6, rtol=1e-6)
    assert seen.logits is None
    assert seen.penultimate.shape == (2, 48)
    torch.testing.assert_close(seen.penultimate @ network.proj, embedding, atol=1e-6, rtol=1e-5)


def test_a_clip_resnet_has_a_unit_a_block() -> None:
    network = Architecture(
        "open_clip", "RN50-quickgelu", {"layers": [1, 2, 1, 1], "width": 8, "image_size": 64}
    ).build()
    backbone = backbone_of(network, "clip", (64, 64))
    with torch.no_grad():
        seen = backbone.capture(torch.randn(2, 3, 64, 64))
    assert [unit.name for unit in backbone.units] == [
        "layer1.0",
        "layer2.0",
        "layer2.1",
        "layer3.0",
        "layer4.0",
    ]
    torch.testing.assert_close(seen.penultimate, seen.units[5]["avg"], atol=1e-6, rtol=1e-6)


def test_the_stem_is_the_input_of_the_first_unit() -> None:
    network = torchvision.models.resnet18()
    backbone = backbone_of(network, "resnet", (64, 64))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        seen = backbone.capture(images, units=[0], poolings=["none"])
        expected = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    assert list(seen.units) == [0]
    torch.testing.assert_close(seen.units[0]["none"], expected)


def test_squeezenets_penultimate_feature_is_the_averaged_input_of_its_classifier() -> None:
    network = torchvision.models.squeezenet1_1().eval()
    backbone = backbone_of(network, "squeezenet", (64, 64))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.features(images).mean((2, 3))
        torch.testing.assert_close(backbone.capture(images).penultimate, expected, atol=1e-6, rtol=1e-6)


class InPlace(nn.Module):
    """A network that overwrites its unit's output."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Conv2d(3, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.unit(x).relu_().mul_(7)
        x = x.mean((2, 3))
        out = self.fc(x)
        x.zero_()
        return out


def test_later_steps_in_place_do_not_alter_what_was_read() -> None:
    network = InPlace().eval()
    layout = UnitLayout(units=("unit",), penultimate=Tap("fc", "input"))
    backbone = Backbone(
        network, layout, [Unit(0, "stem", "", 3), Unit(1, "unit", "Conv2d", 4)], 4, None,
        Identity("", "", "", "", (0.0,) * 3, (1.0,) * 3, (4, 4), None, ""),
    )  # fmt: skip
    images = torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        seen = backbone.capture(images, poolings=["avg", "none"])
        expected = network.unit(images)
    assert (expected < 0).any()
    torch.testing.assert_close(seen.units[1]["none"], expected)
    torch.testing.assert_close(seen.units[1]["avg"], expected.mean((2, 3)))
    torch.testing.assert_close(seen.penultimate, expected.relu().mul(7).mean((2, 3)))


def test_no_hook_stays_after_a_pass_not_even_a_failed_one() -> None:
    backbone = backbone_of(Architecture.parse("small/resnet18", {"width": 4}).build(), "resnet", (16, 16))
    backbone.capture(torch.randn(1, 3, 16, 16))
    with pytest.raises(RuntimeError):
        backbone.capture(torch.randn(1, 4, 16, 16))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())


def test_unknown_units_and_poolings_are_refused() -> None:
    backbone = backbone_of(Architecture.parse("small/resnet18", {"width": 4}).build(), "resnet", (16, 16))
    images = torch.randn(1, 3, 16, 16)
    with pytest.raises(ModelError, match=r"no unit 9.*0 \(stem\) to 8"):
        backbone.capture(images, units=[9])
    with pytest.raises(ModelError, match=r"'cls'.*avg"):
        backbone.capture(images, poolings=["cls"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_pooling_is_the_mean(dtype) -> None:
    x = (torch.randn(3, 5, 49) + 1).to(dtype)
    pooled = mean_of_last(x)
    exact = x.double().mean(-1)
    assert pooled.dtype == torch.float32
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(pooled.double(), exact, atol=tolerance, rtol=tolerance)


# Architectures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "block"), [("resnet18", "BasicBlock"), ("resnet50", "Bottleneck")])
def test_small_networks_are_torchvisions_behind_another_stem(name, block) -> None:
    ours = Architecture.parse(f"small/{name}", {}, 7).build().eval()
    theirs = torchvision.models.get_model(name, num_classes=7).eval()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=1e-5)
    assert describe(ours, "resnet").units == describe(theirs, "resnet").units
    assert type(ours.get_submodule("layer1.0")).__name__ == block


def test_width_scales_a_small_network() -> None:
    backbone = backbone_of(Architecture.parse("small/resnet34", {"width": 16}).build(), "resnet", (16, 16))
    assert len(backbone.units) == 16
    assert (backbone.stem.width, backbone.units[-1].width, backbone.width) == (16, 128, 128)


@pytest.mark.parametrize(
    ("architecture", "options", "words"),
    [
        ("resnet18", {}, "library/name"),
        ("small/resnet81", {}, "did you mean 'resnet18'"),
        ("small/resnet18", {"widht": 4}, "did you mean 'width'"),
        ("small/resnet18", {"width": 0}, "positive"),
        ("cifar/resnet21", {}, "did you mean"),
        ("cifar/resnet20", {"width": 3}, "no options"),
        ("torchvision/resnet81", {}, "did you mean 'resnet18'"),
        ("torchvision/resnet18", {"depth": 3}, "refused"),
        ("timm/resnet500", {}, "did you mean"),
        ("timm/resnet50.a1_in2k", {}, "did you mean 'resnet50.a1_in1k'"),
        ("open_clip/ViT-B-33", {}, "did you mean"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_refused(architecture, options, words) -> None:
    with pytest.raises(ModelError, match=words):
        Architecture.parse(architecture, options).build()


def test_an_unknown_family_and_one_without_units_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resnet'"):
        describe(InPlace(), "resnets")
    with pytest.raises(ModelError, match="no units"):
        describe(InPlace(), "resnet")


# Stores ----------------------------------------------------------------------------------------


def test_a_stored_model_comes_back_the_same(tmp_path) -> None:
    settings = tiny_local(tmp_path)
    backbone = stored(tmp_path / "model", settings)
    original = Architecture.parse("small/resnet18", {"width": 4}, 5).build().eval()
    original.load_state_dict(load_file(settings["weights"]))
    images = torch.randn(2, 3, 32, 32)
    seen = backbone.capture(images)
    torch.testing.assert_close(seen.logits, original(images))
    assert not backbone.training
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert backbone.identity.mean == tuple(MEAN_STD["mean"])
    assert backbone.head is not None
    assert (backbone.head.name, backbone.head.classes) == ("fc", 5)
    lines = (tmp_path / "model" / "units.csv").read_text().splitlines()
    assert lines[0] == "index,name,type,width,parameters,between"
    assert lines[1].startswith("0,stem,input of unit 1,4,")
    assert lines[2].startswith("1,layer1.0,BasicBlock,4,")
    assert lines[-2].startswith("penultimate,fc,")
    assert lines[-1] == f"head,fc,Linear,5,{(32 + 1) * 5},0"
    assert len(lines) == 1 + 1 + 8 + 1 + 1
    counted = sum(int(number) for line in lines[1:] for number in line.split(",")[-2:])
    assert counted == sum(parameter.numel() for parameter in original.parameters())


def test_the_same_weights_make_the_same_bytes_and_others_another_fingerprint(tmp_path) -> None:
    settings = tiny_local(tmp_path)
    for key in ("a", "b"):
        stored(tmp_path / key, settings)
    for name in ("manifest.json", "arrays/weights.safetensors", "units.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    state = load_file(settings["weights"])
    state["layer1.0.conv1.weight"][0, 0, 0, 0] += 1e-6
    save_file(state, settings["weights"])
    stored(tmp_path / "c", settings)
    prints = [json.loads((tmp_path / key / "manifest.json").read_text())["fingerprint"] for key in "ac"]
    assert prints[0] != prints[1]
    weights = tmp_path / "c" / "arrays" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="checksum"):
        load_model(tmp_path / "c" / "manifest.json")


def test_tensors_that_share_memory_and_strided_ones_are_stored_in_full(tmp_path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "b": base, "c": base.T, "d": base[1:]}
    write_weights(tmp_path / "w.safetensors", state, {"classes": 3, "mean": [0.5], "note": "é"})
    back = read_weights(tmp_path / "w.safetensors")
    for key, value in state.items():
        assert torch.equal(back[key], value)
    assert read_metadata(tmp_path / "w.safetensors") == {"classes": 3, "mean": [0.5], "note": "é"}


def test_only_the_library_that_is_needed_is_imported(tmp_path) -> None:
    stored(tmp_path / "model", tiny_local(tmp_path))
    load = f"load_model(Path({str(tmp_path / 'model' / 'manifest.json')!r}))"
    code = f"from pathlib import Path; from nctransfer.models.model_store import load_model; {load}"
    assert loaded_by(code, "timm", "torchvision", "open_clip") == []


def test_a_plan_made_for_another_library_version_is_refused(tmp_path) -> None:
    state = torchvision.models.squeezenet1_1().state_dict()
    save_file(state, tmp_path / "squeezenet.safetensors")
    settings = {
        "source": "local",
        "architecture": "torchvision/squeezenet1_1",
        "weights": str(tmp_path / "squeezenet.safetensors"),
        "unit_layout": "squeezenet",
        "size": [64, 64],
        "native": lookup("torchvision", "squeezenet1_1").native(),
    }
    assert stored(tmp_path / "good", settings).identity.size == (64, 64)
    settings["native"] = settings["native"].model_copy(update={"resize": 248})
    with pytest.raises(ModelError, match="preprocess"):
        stored(tmp_path / "bad", settings)
    assert not (tmp_path / "bad").exists()


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path) -> None:
    network = timm.create_model("test_vit")
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    settings = {
        "source": "local",
        "architecture": "timm/test_vit",
        "weights": str(tmp_path / "vit.safetensors"),
        "unit_layout": "vit",
        "size": [33, 33],
    }
    with pytest.raises(ModelError, match="33 x 33"):
        stored(tmp_path / "model", settings)


# Weights from files ----------------------------------------------------------------------------


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path) -> None:
    settings = tiny_local(tmp_path)
    good = load_file(settings["weights"])
    cases = {
        "missing": {key: value for key, value in good.items() if key != "layer2.0.conv1.weight"},
        "unexpected": good | {"layer9.conv.weight": torch.zeros(1)},
        "another shape": good | {"layer1.1.bn1.weight": torch.zeros(3)},
        "": good | {"conv1.weight": torch.full((4, 3, 3, 3), float("nan"))},
    }
    names = [
        "layer2.0.conv1.weight",
        "layer9.conv.weight",
        r"layer1.1.bn1.weight \(3,\) instead of \(4,\)",
        "conv1.weight holds NaN",
    ]
    for (what, state), name in zip(cases.items(), names, strict=True):
        save_file(state, settings["weights"])
        with pytest.raises(ModelError, match=f"{what}.*{name}"):
            stored(tmp_path / "m", settings)
    with pytest.raises(ModelError, match="and 97 more"):
        load_strictly(Architecture.parse("small/resnet18").build(), {}, "nothing")


def test_a_head_may_be_left_out_or_have_other_classes(tmp_path) -> None:
    settings = tiny_local(tmp_path)
    state = load_file(settings["weights"])
    without = {key: value for key, value in state.items() if not key.startswith("fc.")}
    save_file(without, settings["weights"])
    with pytest.raises(ModelError, match=r"fc.weight.*head: false"):
        stored(tmp_path / "m", settings)
    backbone = stored(tmp_path / "headless", settings | {"head": False})
    seen = backbone.capture(torch.randn(2, 3, 32, 32))
    assert backbone.head is None
    assert seen.logits is None
    assert seen.penultimate.shape == (2, 32)


def test_a_head_of_zeros_is_no_head(tmp_path, caplog) -> None:
    settings = tiny_local(tmp_path, **{"fc.weight": torch.zeros(5, 32)})
    assert stored(tmp_path / "m", settings).capture(torch.randn(1, 3, 32, 32)).logits is None
    assert "fc" in caplog.text


def test_mean_and_std_come_from_somewhere_or_are_asked_for(tmp_path) -> None:
    settings = tiny_local(tmp_path)
    bare = {key: value for key, value in settings.items() if key not in ("mean", "std")}
    with pytest.raises(ModelError, match=r"`mean` and `std`"):
        stored(tmp_path / "m", bare)
    write_weights(Path(settings["weights"]), load_file(settings["weights"]), MEAN_STD)
    assert stored(tmp_path / "m", bare).identity.std == tuple(MEAN_STD["std"])


def test_a_pretraining_checkpoint_describes_itself(tmp_path) -> None:
    network = Architecture.parse("small/resnet18", {"width": 4}, 3).build()
    described = {
        "architecture": "small/resnet18", "options": {"width": 4}, "size": [16, 16], "classes": 3,
        "class_names": ["a", "b", "c"], **MEAN_STD,
    }  # fmt: skip
    path = tmp_path / "weights.safetensors"
    write_weights(path, network.state_dict(), described)
    settings = {"source": "pretraining", "architecture": "small/resnet18", "unit_layout": "resnet"}
    backbone = stored(tmp_path / "m", settings, checkpoint=path)
    assert backbone.head is not None
    assert backbone.head.class_names == ("a", "b", "c")
    assert backbone.identity.size == (16, 16)
    write_weights(path, network.state_dict(), {"architecture": "small/resnet18"})
    with pytest.raises(ModelError, match="options, mean, std, size, classes"):
        stored(tmp_path / "m2", settings, checkpoint=path)


# Downloads -------------------------------------------------------------------------------------


SQUEEZENET = {
    "source": "torchvision",
    "name": "squeezenet1_1",
    "weights": "IMAGENET1K_V1",
    "unit_layout": "squeezenet",
}


def test_torchvision_weights_are_stored_with_their_class_names(tmp_path, monkeypatch) -> None:
    """Downloading is tested in test_network.py."""
    weights, state = torchvision.models.SqueezeNet1_1_Weights, torchvision.models.squeezenet1_1().state_dict()
    monkeypatch.setattr(weights, "get_state_dict", lambda self, **_: copy.copy(state))
    native = lookup("torchvision", "squeezenet1_1").native()
    backbone = stored(tmp_path / "m", SQUEEZENET | {"native": native})
    found = backbone.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert backbone.head.class_names[0] == "tench"

    def refuse(self, **_):
        raise OSError("HTTP Error 404")

    monkeypatch.setattr(weights, "get_state_dict", refuse)
    with pytest.raises(ModelError, match=r"squeezenet1_1.*IMAGENET1K_V1.*404.*source: local"):
        stored(tmp_path / "n", SQUEEZENET)
    assert not (tmp_path / "n").exists()


def test_googlenet_is_built_as_torchvision_builds_it_for_its_weights(monkeypatch) -> None:
    """Its weights want another normalisation, which the library's network does by itself."""
    entry = torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1
    with_aux = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=True)
    state = with_aux.state_dict()
    monkeypatch.setattr(type(entry), "get_state_dict", lambda self, **_: copy.copy(state))
    settings = ModelJobSettings(
        source="torchvision", name="googlenet", weights="IMAGENET1K_V1", unit_layout="googlenet"
    )
    ours = variants.load(sources, "torchvision").fetch(settings, None).network.eval()
    theirs = torchvision.models.googlenet(weights=entry).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))


def test_densenets_old_names_are_understood() -> None:
    network = torchvision.models.densenet121()
    state = network.state_dict()
    old = {}
    for key, value in state.items():
        for layer in ("norm1", "norm2", "conv1", "conv2"):
            key = key.replace(f"denselayer1.{layer}.", f"denselayer1.{layer[:-1]}.{layer[-1]}.")
        if not key.endswith("num_batches_tracked"):  # older than this counter
            old[key] = value
    assert not set(old) <= set(state)
    load_strictly(network, torchvision_library.adapt("densenet121", old), "old")


TIMM_TEST = {"source": "timm", "name": "test_vit.r160_in1k", "unit_layout": "vit"}


def test_timm_weights_are_stored_with_their_own_normalisation(tmp_path, monkeypatch) -> None:
    state = timm.create_model("test_vit").state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(state))
    backbone = stored(tmp_path / "m", TIMM_TEST)
    config = timm.get_pretrained_cfg(TIMM_TEST["name"])
    assert backbone.identity.mean == tuple(config.mean)
    assert backbone.identity.native == lookup("timm", TIMM_TEST["name"]).native()
    assert all(torch.equal(backbone.network.state_dict()[key], value) for key, value in state.items())
    assert backbone.head is not None
    assert backbone.head.class_names is not None
    assert "tench" in backbone.head.class_names[0]
    state.pop("norm.weight")
    with pytest.raises(ModelError, match="test_vit"):
        stored(tmp_path / "n", TIMM_TEST)


def test_without_a_network_the_hubs_models_are_refused_with_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    clip = {"source": "open_clip", "name": "ViT-B-32-quickgelu", "weights": "openai", "unit_layout": "clip"}
    for settings in (TIMM_TEST, clip):
        with pytest.raises(ModelError, match=f"{settings['name']}.*source: local"):
            stored(tmp_path / "m", settings)
    assert not (tmp_path / "m").exists()


@pytest.fixture
def tiny_clip(tmp_path, monkeypatch) -> str:
    """A tiny CLIP with published weights, as open_clip's registries would hold it."""
    text = {"context_length": 8, "vocab_size": 16, "width": 32, "heads": 2, "layers": 1}
    for name, quick in (("tiny", False), ("tiny-quickgelu", True)):
        config = {"embed_dim": 16, "vision_cfg": SMALL_TOWER, "text_cfg": text, "quick_gelu": quick}
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, config)
        path = tmp_path / "clip.pt"
        entry = {
            "test": {"file": str(path), "quick_gelu": True, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
        }
        monkeypatch.setitem(open_clip.pretrained._PRETRAINED, name, entry)
    torch.save(open_clip.create_model("tiny-quickgelu", load_weights=False).state_dict(), path)
    return "tiny"


def test_the_image_tower_of_a_clip_model_is_stored(tiny_clip, tmp_path) -> None:
    settings = {"source": "open_clip", "name": "tiny-quickgelu", "weights": "test", "unit_layout": "clip"}
    backbone = stored(tmp_path / "m", settings)
    state = torch.load(tmp_path / "clip.pt", weights_only=True)
    found = backbone.network.state_dict()
    assert {f"visual.{key}" for key in found} == {key for key in state if key.startswith("visual.")}
    assert all(torch.equal(value, state[f"visual.{key}"]) for key, value in found.items())
    assert backbone.identity.mean == (0.1, 0.2, 0.3)
    whole = open_clip.create_model("tiny-quickgelu", pretrained="test").eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone.capture(images).output, whole.encode_image(images))


def test_unknown_names_are_refused_by_the_sources_too(tiny_clip, tmp_path) -> None:
    clip = {"source": "open_clip", "unit_layout": "clip"}
    for settings, words in (
        (clip | {"name": tiny_clip, "weights": "test"}, r"QuickGELU.*`name: tiny-quickgelu`"),
        (SQUEEZENET | {"weights": "IMAGENET1K_V9"}, "did you mean 'IMAGENET1K_V1'"),
        (TIMM_TEST | {"name": "test_vit9"}, "did you mean"),
        (clip | {"name": "ViT-B-32"}, "must name one of"),
        ({"source": "torchvision", "unit_layout": "resnet"}, "`name`: a model of torchvision must be named"),
        (clip | {"name": "ViT-B-32", "weights": "opanai"}, "did you mean 'openai'"),
    ):
        with pytest.raises(ModelError, match=words):
            stored(tmp_path / "m", settings)


# Real weights ----------------------------------------------------------------------------------


def real(shared_data: Path, folder: Path, architecture: str, unit_layout: str, name: str, **more) -> Backbone:
    settings = {"source": "local", "architecture": architecture, "unit_layout": unit_layout, **more}
    return stored(folder, settings | {"weights": str(shared_data / f"{name}.safetensors")})


@pytest.mark.parametrize(
    ("architecture", "unit_layout", "units", "width", "mean", "classes"),
    [
        (
            "torchvision/mobilenet_v2",
            "mobilenet",
            17,
            1280,
            tuple(MEAN_STD["mean"]),
            None,
        ),  # without usable head
        ("torchvision/squeezenet1_1", "squeezenet", 8, 512, tuple(MEAN_STD["mean"]), 1000),
        ("timm/vit_tiny_patch16_224", "vit", 12, 192, (0.5, 0.5, 0.5), 1000),
    ],
)
def test_real_weights_load_whole(
    shared_data, tmp_path, architecture, unit_layout, units, width, mean, classes
) -> None:
    backbone = real(shared_data, tmp_path / "m", architecture, unit_layout, architecture.partition("/")[2])
    assert (len(backbone.units), backbone.width, backbone.identity.mean) == (units, width, mean)
    assert (backbone.head and backbone.head.classes) == classes


def cifar10_images(shared_data: Path, per_class: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first test images of each class from the shared sheets."""
    import io

    images, labels = [], []
    with np.load(shared_data / "cifar10_test.npz") as pack:
        for label, _ in pack["counts"]:
            sheet = np.asarray(Image.open(io.BytesIO(pack[f"class{label:03d}"].tobytes())).convert("RGB"))
            rows, columns = sheet.shape[0] // 32, sheet.shape[1] // 32
            tiles = sheet.reshape(rows, 32, columns, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)
            images.append(tiles[:per_class])
            labels += [int(label)] * per_class
    return torch.from_numpy(np.concatenate(images)), torch.tensor(labels)


@pytest.mark.parametrize(("name", "units", "least"), [("resnet20", 9, 0.895), ("resnet56", 27, 0.89)])
def test_real_cifar_networks_reach_their_accuracy(shared_data, tmp_path, name, units, least) -> None:
    """91.7 % and 93.2 % on 5,000 test images; 90.0 % and 89.3 % on these 300."""
    backbone = real(shared_data, tmp_path / "m", f"cifar/{name}", "resnet", f"cifar10_{name}", **MEAN_STD)
    assert len(backbone.units) == units
    images, labels = cifar10_images(shared_data, 30)
    with torch.inference_mode():
        logits = backbone.capture(backbone.normalise(images)).logits
    assert logits is not None
    assert (logits.argmax(1) == labels).float().mean() >= least
