"""Units of timm's networks, compared with the library's own intermediate features; the sweep of all is slow."""

import inspect
import json

import open_clip
import pytest
import timm
import torch
import torchvision
from networks import backbone_of, stored
from safetensors.torch import save_file
from timm.models import _registry as registry
from torch import nn

from nctransfer import variants
from nctransfer.catalog import known_models
from nctransfer.catalog.known_models import lookup
from nctransfer.config import study
from nctransfer.config.models import LibraryModelSettings, LocalModelSettings
from nctransfer.errors import ConfigError, ModelError
from nctransfer.models import sources, write_unsupported_models
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone
from nctransfer.models.model_store import load_model
from nctransfer.models.settings import ModelJobSettings

# One network of each of timm's modules that this project cannot cut into units.
UNSUPPORTED = {
    "coat": "coat_lite_tiny", "crossvit": "crossvit_9_240", "efficientvim": "efficientvim_m1",
    "hrnet": "hrnet_w18_small", "tnt": "tnt_s_patch16_224", "twins": "twins_svt_small",
}  # fmt: skip
# Options and sizes of networks of which the smallest is large.
SMALLER = {
    "beit": {"img_size": 64, "depth": 2}, "deepseek_vit": {"img_size": 56, "depth": 2},
    "gemma4_vit": {"img_size": 96, "depth": 2}, "naflexvit": {"img_size": 64, "depth": 2},
    "qwen3_vit": {"img_size": 64, "depth": 2}, "vision_transformer_sam": {"img_size": 64},
}  # fmt: skip
SIZES = {"convmixer": 63, "hieradet_sam2": 224, "mobilenetv5": 96}


def network_of(name: str, **options: object) -> nn.Module:
    """A network whose blocks all do something: gains, biases and tokens are moved away from 0 and 1."""
    torch.manual_seed(0)
    network = timm.create_model(name, **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim < 2 or parameter.shape[0] == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return network


def intermediates(network: nn.Module, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    """The library's maps, (N, C, H, W), and its tokens before the patches, (N, prefix, C), if it gives them."""
    known = inspect.signature(network.forward_intermediates).parameters
    # without a class token that of relpos asks for tokens which it does not have
    prefixed = "return_prefix_tokens" in known and getattr(network, "num_prefix_tokens", 1)
    options = {"return_prefix_tokens": True} if prefixed else {}
    found = network.forward_intermediates(images, intermediates_only=True, **options)
    return [one if isinstance(one, tuple) else (one, None) for one in found]


def counterparts(network: nn.Module, backbone: Backbone) -> dict[int, int]:
    """Which of the library's intermediate features each unit is; blocks are compared at the ends of stages."""
    count = len(network.feature_info)
    if backbone.identity.unit_layout in ("stages", "vit"):
        return {index: index - len(backbone.units) - 1 for index in range(1, len(backbone.units) + 1)}
    stages = [entry["module"] for entry in network.feature_info]
    ends = {
        place: [unit.index for unit in backbone.units if f"{unit.name}.".startswith(f"{stage}.")]
        for place, stage in enumerate(stages)
    }
    return {units[-1]: place - count for place, units in ends.items() if units}


def compare(network: nn.Module, backbone: Backbone, images: torch.Tensor, within: float = 1e-4) -> int:
    """Compare all poolings of all units and the penultimate feature; the number of units that were compared."""
    close = {"atol": within, "rtol": within}
    with torch.no_grad():
        seen = backbone.capture(images, poolings=backbone.layout.poolings)
        theirs = intermediates(network, images)
        torch.testing.assert_close(seen.output, network(images), **close)
        if hasattr(network, "dist_token"):  # the class token's; the library averages both
            feature = network.forward_features(images)[:, 0]
        elif hasattr(network, "get_classifier"):
            feature = network.forward_head(network.forward_features(images), pre_logits=True)
        else:  # an encoder for a language model
            feature = theirs[-1][0].mean((2, 3))
    pairs = counterparts(network, backbone)
    for index, place in pairs.items():
        patches, prefix = theirs[place][0].flatten(2).transpose(1, 2), theirs[place][1]
        expected = {"avg": patches.mean(1), "patch_mean": patches.mean(1)}
        if prefix is not None:
            expected["cls"] = prefix[:, 0]
            expected["token_mean"] = torch.cat([prefix, patches], 1).mean(1)
        elif not backbone.layout.form(index).prefix:
            expected["token_mean"] = patches.mean(1)
        else:  # the library does not give the class token of ConViT
            seen.units[index].pop("token_mean", None)
        for pooling, ours in seen.units[index].items():
            torch.testing.assert_close(ours, expected[pooling], **close, msg=f"unit {index}, {pooling}")
            assert ours.shape[1] == backbone.units[index - 1].width
    feature = feature[0] if isinstance(feature, tuple) else feature
    if backbone.layout.penultimate.module.startswith("head.") and hasattr(network.head, "bn"):
        feature = network.head.bn(feature)  # what the linear layer sees
    torch.testing.assert_close(seen.penultimate, feature.flatten(1), **close)
    return len(pairs)


@pytest.mark.parametrize(
    ("name", "options", "size", "unit_layout", "count"),
    [
        ("cait_xxs24_224", {"img_size": 64, "depth": 3}, 64, "stages", 3),
        ("xcit_nano_12_p16_224", {"img_size": 64, "depth": 3}, 64, "stages", 3),
        ("convit_tiny", {"img_size": 64, "depth": 4, "local_up_to_layer": 2}, 64, "stages", 4),
        ("convit_tiny", {"img_size": 64, "depth": 4, "local_up_to_layer": 2}, 64, "vit", 4),
        ("vit_relpos_base_patch16_cls_224", {"img_size": 64, "depth": 2}, 64, "vit", 2),
        ("naflexvit_base_patch16_parfac_gap", {"img_size": 64, "depth": 2}, 64, "stages", 2),
        ("mvitv2_small_cls", {"img_size": 64}, 64, "stages", 4),
        ("levit_128s", {}, 224, "stages", 3),
        ("legacy_xception", {}, 96, "stages", 4),
        ("inception_resnet_v2", {}, 96, "stages", 3),
        ("volo_d1_224", {"img_size": 64}, 64, "stages", 4),
        ("samvit_base_patch16_224", {"img_size": 64, "depth": 2}, 64, "stages", 2),
        ("dla46_c", {}, 64, "stages", 4),
        ("dpn68", {}, 64, "stages", 4),
        ("legacy_seresnet18", {}, 64, "stages", 4),
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 3}, 64, "vit", 3),
        ("vit_small_patch14_reg4_dinov2", {"img_size": 56, "depth": 3}, 56, "vit", 3),
        ("deit_tiny_distilled_patch16_224", {"img_size": 64, "depth": 3}, 64, "vit", 3),
        ("eva02_tiny_patch14_224", {"img_size": 56, "depth": 3}, 56, "vit", 3),
        ("test_resnet", {}, 64, "stages", 4),
        ("test_convnext", {}, 64, "stages", 4),
        ("regnetx_002", {}, 64, "stages", 4),
    ],
)  # fmt: skip
def test_units_are_timms_intermediate_features(name, options, size, unit_layout, count) -> None:
    network = network_of(name, **options)
    backbone = backbone_of(network, unit_layout, (size, size))
    assert len(backbone.units) == count
    assert compare(network, backbone, torch.randn(2, 3, size, size), 1e-6) == count
    stem = backbone.capture(torch.zeros(1, 3, size, size), units=[0]).units[0]
    assert next(iter(stem.values())).shape[1] == backbone.stem.width > 3


def test_a_unit_without_the_class_token_has_no_such_pooling(tmp_path) -> None:
    """ConViT adds it before the last blocks: up to there nothing is the class token."""
    options = {"img_size": 32, "depth": 4, "local_up_to_layer": 2}
    backbone = backbone_of(network_of("convit_tiny", **options), "vit", (32, 32))
    assert [backbone.layout.form(index).prefix for index in range(5)] == [0, 0, 0, 1, 1]
    assert backbone.layout.poolings == ("token_mean", "patch_mean")
    with pytest.raises(ModelError, match=r"'cls'.*: token_mean, patch_mean; no class token in units 1, 2"):
        backbone.capture(torch.zeros(1, 3, 32, 32), poolings=["cls"])


def test_what_was_seen_is_stored_and_seen_again_in_older_stores(tmp_path) -> None:
    options = {"img_size": 32, "depth": 4, "local_up_to_layer": 2}
    save_file(timm.create_model("convit_tiny", **options).state_dict(), tmp_path / "convit.safetensors")
    settings = {
        "source": "local", "architecture": "timm/convit_tiny", "options": options, "unit_layout": "vit",
        "size": (32, 32), "weights": str(tmp_path / "convit.safetensors"),
    }  # fmt: skip
    layout, manifest = stored(tmp_path / "m", settings).layout, tmp_path / "m" / "manifest.json"
    assert [form.prefix for form in layout.forms] == [0, 0, 0, 1, 1, 1]
    contents = json.loads(manifest.read_text())
    del contents["forms"]
    manifest.write_text(json.dumps(contents))
    assert load_model(manifest).layout == layout


@pytest.mark.parametrize("layer", [nn.Identity(), nn.Linear(8, 8)])
def test_a_network_that_does_not_see_its_images_has_no_prefix(layer) -> None:
    """All tokens are alike for all images; none of them is told from the patches."""

    class Blind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks, self.head = nn.Sequential(layer), nn.Linear(8, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.blocks(torch.ones(len(images), 5, 8)).mean(1))

    backbone = backbone_of(Blind().eval(), "stages", (4, 4))
    assert backbone.layout.form(1).prefix == 0


# Names that a library has, but this project not ------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name", "weights", "reason"),
    [
        *(("timm", name, None, "cannot be read") for name in UNSUPPORTED.values()),
        ("timm", "coat_lite_tiny.in1k", None, "cannot be read"),
        ("timm", "vit_base_patch16_224_in21k", None, "its name is now vit_base_patch16_224.augreg_in21k"),
        ("timm", "vgg11_lost", None, ""),
        ("torchvision", "deeplabv3_resnet50", None, "models.segmentation"),
        ("torchvision", "fasterrcnn_resnet50_fpn", None, "models.detection"),
        ("torchvision", "quantized_resnet18", None, "models.quantization"),
        ("torchvision", "r3d_18", None, "models.video"),
        ("torchvision", "raft_small", None, "models.optical_flow"),
        ("torchvision", "vgg16", "IMAGENET1K_FEATURES", "without a classifier"),
        ("open_clip", "ViT-S-32", None, "publishes no weights"),
        ("open_clip", "RN50x4", None, "set `name: RN50x4-quickgelu`"),
    ],
)
def test_a_name_that_exists_is_answered_as_unsupported(source, name, weights, reason) -> None:
    with pytest.raises(ConfigError) as raised:
        lookup(source, name, weights)
    assert ("exists in" in str(raised.value) and reason in str(raised.value)) == bool(reason)
    assert ("did you mean" in str(raised.value)) != bool(reason)


def test_every_name_of_the_libraries_is_known_or_answered_with_a_reason() -> None:
    libraries = {
        "timm": timm.list_models(), "torchvision": torchvision.models.list_models(), "open_clip": open_clip.list_models(),
    }  # fmt: skip
    for source, names in libraries.items():
        known = {name.partition(".")[0] if source == "timm" else name for name in known_models.names(source)}
        unsupported = {name for library, name in known_models._unsupported() if library == source}
        assert set(names) - known - unsupported == set()
        assert known & unsupported == set()


def test_the_library_refuses_a_network_of_another_kind_by_its_kind() -> None:
    with pytest.raises(ModelError, match=r"fcn_resnet50 exists, but .*models\.segmentation"):
        Architecture.parse("torchvision/fcn_resnet50").build()


# The size of images ----------------------------------------------------------------------------

TINY_VIT = {"source": "timm", "name": "vit_tiny_patch16_224.augreg_in21k_ft_in1k"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (TINY_VIT | {"size": 96}, r"size: .*224 px only, not 96; set `options: \{img_size: 96\}`"),
        (TINY_VIT | {"size": 128, "options": {"img_size": 96}}, r"96 px only, not 128; set .*img_size: 128"),
        ({"source": "torchvision", "name": "vit_b_16", "size": 96}, "224 px only, not 96; leave `size` out"),
        ({"source": "torchvision", "name": "resnet18", "options": {"img_size": 96}}, "options: .*timm"),
        (
            {"source": "local", "architecture": "timm/vit_tiny_patch16_224", "weights": "x.pt", "size": 96},
            r"dynamic_img_size: true.*img_size: 96",
        ),
    ],
)
def test_an_image_size_that_cannot_fit_is_refused_with_the_remedy(entry, message) -> None:
    with pytest.raises(ConfigError, match=message):
        study.describe(
            (LocalModelSettings if entry["source"] == "local" else LibraryModelSettings).read(entry)
        )


@pytest.mark.parametrize(
    ("entry", "side"),
    [
        ({"options": {"img_size": 96}}, 96),
        ({"size": 96, "options": {"dynamic_img_size": True}}, 96),
        ({"options": {"img_size": 96, "dynamic_img_size": True}, "size": 160}, 160),
        ({}, 224),
    ],
)
def test_the_image_size_of_timms_weights_may_be_chosen(entry, side, tmp_path, monkeypatch) -> None:
    entry = LibraryModelSettings.read(TINY_VIT | entry)
    facts = study.describe(entry)
    assert facts.size == (side, side)
    state = timm.create_model("vit_tiny_patch16_224").state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(state))
    settings = {**TINY_VIT, "options": entry.build_options, "unit_layout": "vit", "size": facts.size}
    backbone = stored(tmp_path / "m", settings)
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=True, **entry.build_options).eval()
    images = torch.randn(1, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(backbone.capture(images).output, theirs(images))


def test_an_option_that_the_network_does_not_take_is_refused_before_the_download() -> None:
    settings = ModelJobSettings(
        source="timm", name="resnet18.a1_in1k", options={"img_size": 96}, unit_layout="resnet"
    )
    with pytest.raises(ModelError, match=r"timm/resnet18.*img_size.*refused"):
        variants.load(sources, "timm").fetch(settings, None)


# Every module of timm --------------------------------------------------------------------------


def smallest() -> dict[str, str]:
    """The network with the fewest parameters of each of timm's modules, as far as it is known."""
    found: dict[str, known_models.KnownModel] = {}
    for model in (lookup("timm", name) for name in known_models.names("timm")):
        module = registry._model_to_module[model.name.partition(".")[0]]
        if module not in found or model.parameters < found[module].parameters:
            found[module] = model
    return {module: model.name.partition(".")[0] for module, model in sorted(found.items())}


def test_the_unsupported_modules_of_timm_are_these() -> None:
    assert set(registry._module_to_models) - set(smallest()) == set(UNSUPPORTED)


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name"), smallest().items())
def test_units_of_every_module_are_timms_intermediate_features(module, name) -> None:
    known, options = lookup("timm", name), SMALLER.get(module, {})
    side = options.get("img_size") or SIZES.get(module) or known.size[0]
    network = network_of(name, **options)
    backbone = backbone_of(network, known.unit_layout, (side, side))
    assert len(backbone.units) == known.units or "depth" in options
    assert compare(network, backbone, torch.randn(2, 3, side, side)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", UNSUPPORTED.values())
def test_an_unsupported_module_is_still_unsupported(name) -> None:
    assert "cannot be read" in write_unsupported_models.why_not("timm", name)
