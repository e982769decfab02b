"""Zero-shot classification by CLIP's text tower: prompts, class embeddings, and what is refused."""

import json
import logging
import re
from pathlib import Path

import open_clip
import pytest
import torch
from networks import loaded_by, stored
from safetensors.torch import save_file
from torch.nn.functional import normalize
from torchvision import datasets

from nctransfer.data.sources.torchvision.dataset import SETS
from nctransfer.errors import ConfigError, ModelError
from nctransfer.finetuning import prompts, text
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import open_clip as library
from nctransfer.models.settings import TextTowerSettings, has_text_tower

TINY = {
    "layers": 2,
    "width": 32,
    "head_width": 16,
    "patch_size": 8,
    "image_size": 16,
    "embed_dim": 12,
    "text_cfg": {"width": 16, "heads": 2, "layers": 1},
}
NAMES = ["aquarium fish", "cat", "F-16A/B", "dog", "sea"]
TEMPLATES = ["a photo of a {}.", "a blurry photo of the {}.", "{} in a video game"]


@pytest.fixture(scope="module")
def whole() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = library.build_whole("ViT-B-32", TINY).eval()
        model.logit_scale.data.fill_(3.25)
    return model


@pytest.fixture
def settings(whole, tmp_path) -> dict:
    path = tmp_path / "clip.safetensors"
    save_file(whole.state_dict(), path)
    return {"source": "local", "architecture": "open_clip/ViT-B-32", "options": TINY, "weights": str(path)}


def text_classifier(model: dict, *others) -> tuple[torch.Tensor, float]:
    return text.text_classifier(TextTowerSettings.read(model), *others)


# Prompts ---------------------------------------------------------------------------------------


def test_every_known_data_set_has_its_standard_prompts() -> None:
    counts = {name: len(prompts.templates(name)) for name in [*SETS, "Resisc45", "Retinopathy"]}
    assert counts == {
        "CIFAR10": 18, "CIFAR100": 18, "FGVCAircraft": 2, "DTD": 8, "OxfordIIITPet": 1, "Flowers102": 1, "SUN397": 2,
        "SVHN": 6, "STL10": 2, "EuroSAT": 3, "Caltech101": 34, "Food101": 1, "ImageNet": 80, "Resisc45": 18, "Retinopathy": 1,
    }  # fmt: skip
    theirs = {template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES}
    assert set(prompts.templates("ImageNet")) == theirs
    for known in prompts.TEMPLATES.values():
        assert len(set(known)) == len(known)
        assert not any("*" in template or "  " in template for template in known)
        assert all(re.sub("[^{}]", "", template) == "{}" for template in known)


def test_prompts_are_found_whatever_the_case_and_the_rest_has_the_simple_one() -> None:
    assert prompts.templates("cifar10") == prompts.templates("CIFAR10")
    assert prompts.templates("CIFAR10")[9] == "a photo of the {}."
    assert prompts.templates("timm/oxford-iiit-pet") == ("a photo of a {}, a type of pet.",)
    assert prompts.templates("ILSVRC/imagenet-1k") == prompts.templates("ImageNet")
    for unknown in (None, "", "leaves", "me/cifar10-cats"):
        assert prompts.templates(unknown) == ("a photo of a {}.",)


@pytest.mark.parametrize(
    ("name", "data_set", "expected"),
    [
        ("aquarium_fish", "CIFAR100", "aquarium fish"),
        ("airplane", "CIFAR10", "airplane"),
        ("polka-dotted", "DTD", "polka-dotted"),
        ("F-16A/B", "FGVCAircraft", "F-16A/B"),
        ("F/A-18", "FGVCAircraft", "F/A-18"),
        ("theater/indoor_procenium", "SUN397", "theater indoor procenium"),
        ("SeaLake", "EuroSAT", "lake or sea"),
        ("SeaLake", None, "SeaLake"),
        ("Faces_easy", "Caltech101", "centered face"),
        ("water_lilly", "Caltech101", "water lilly"),
        ("7", "SVHN", "seven"),
        ("7", None, "7"),
        ("0", "Retinopathy", "no diabetic retinopathy"),
        ("n01440764", "ImageNet", "tench"),
        ("n15075141", None, "toilet paper"),
        ("n00000000", "ImageNet", "n00000000"),
    ],
)
def test_class_names_are_written_as_in_a_sentence(name, data_set, expected) -> None:
    assert prompts.readable(name, data_set) == expected


def test_rewritten_names_are_names_of_the_data_set() -> None:
    assert set(prompts.CLASS_NAMES["Flowers102"]) <= set(datasets.Flowers102.classes)
    assert set(prompts.CLASS_NAMES) <= set(prompts.TEMPLATES)
    for names in prompts.CLASS_NAMES.values():
        assert len(set(names.values())) == len(names)


def test_imagenets_1000_folders_have_names() -> None:
    names = prompts._imagenet_names()
    assert len(names) == 1000
    assert list(names) == sorted(names)
    assert names["n02510455"] == "giant panda"


# The classifier --------------------------------------------------------------------------------


def brute_force(model: torch.nn.Module, names: list[str], templates: list[str]) -> torch.Tensor:
    """One prompt at a time."""
    tokenize = open_clip.get_tokenizer("ViT-B-32")
    rows = []
    with torch.no_grad():
        for name in names:
            total = torch.zeros(12)
            for template in templates:
                embedding = model.encode_text(tokenize([template.replace("{}", name)]))[0]
                total += embedding / embedding.norm()
            rows.append(total / len(templates) / (total / len(templates)).norm())
    return torch.stack(rows)


@pytest.mark.parametrize("at_once", [1, 6, 256])
def test_embeddings_are_those_of_one_prompt_at_a_time(
    whole, settings, monkeypatch, at_once, capsys, caplog
) -> None:
    monkeypatch.setattr(text, "PROMPTS_AT_ONCE", at_once)
    with caplog.at_level(logging.WARNING):
        embeddings, scale = text_classifier(settings, None, NAMES, TEMPLATES, "cpu")
    assert (capsys.readouterr(), caplog.records) == (("", ""), [])  # nothing is printed
    assert (embeddings.shape, embeddings.dtype, embeddings.requires_grad) == ((5, 12), torch.float32, False)
    torch.testing.assert_close(embeddings, brute_force(whole, NAMES, TEMPLATES), atol=1e-6, rtol=1e-5)
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    theirs = open_clip.build_zero_shot_classifier_legacy(whole, tokenizer, NAMES, TEMPLATES)
    torch.testing.assert_close(embeddings.T, theirs, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5), atol=1e-6, rtol=0)
    assert torch.pdist(embeddings).min() > 1e-3
    assert scale == pytest.approx(float(torch.tensor(3.25).exp()))


def test_logits_are_the_models_own(whole, settings, tmp_path) -> None:
    """With one prompt a class; the image's embedding is that of the model store."""
    embeddings, scale = text_classifier(settings, None, NAMES, TEMPLATES[:1], "cpu")
    extra = {"unit_layout": "clip", "mean": [0.5] * 3, "std": [0.5] * 3, "size": [16, 16]}
    backbone = stored(tmp_path / "m", settings | extra)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    tokens = open_clip.get_tokenizer("ViT-B-32")([TEMPLATES[0].format(name) for name in NAMES])
    with torch.no_grad():
        logits = scale * normalize(backbone.network(images), dim=1) @ embeddings.T
        expected, _ = whole.get_logits(images, tokens)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


def test_prompts_longer_than_the_context_are_cut(settings, tmp_path) -> None:
    options = TINY | {"text_cfg": TINY["text_cfg"] | {"context_length": 6}}
    path = tmp_path / "short.safetensors"
    save_file(library.build_whole("ViT-B-32", options).state_dict(), path)
    long = ["a fish that swims far out", "a fish that swims nearby", "cat"]
    embeddings, _ = text_classifier(settings | {"options": options}, path, long, ["{}"], "cpu")
    torch.testing.assert_close(embeddings[0], embeddings[1])
    assert not torch.allclose(embeddings[0], embeddings[2])


def test_the_checkpoint_goes_before_the_weights_of_the_entry(whole, settings, tmp_path) -> None:
    halves = {f"module.{key}": value.half() for key, value in whole.state_dict().items()}
    torch.save({"state_dict": halves}, tmp_path / "half.pt")
    embeddings, _ = text_classifier(settings, None, NAMES, TEMPLATES, "cpu")
    other = settings | {"weights": "nowhere.safetensors"}
    halved, _ = text_classifier(other, tmp_path / "half.pt", NAMES, TEMPLATES, "cpu")
    assert halved.dtype == torch.float32
    torch.testing.assert_close(halved, embeddings, atol=5e-3, rtol=0)


def test_older_files_keep_the_text_tower_at_the_top(tmp_path) -> None:
    options = {"text_cfg": {"width": 16, "heads": 2, "layers": 1}, "embed_dim": 12}
    model = library.build_whole("ViTamin-S", options)
    state = {key.removeprefix("text."): value for key, value in model.state_dict().items()}
    assert "text_projection" in state
    save_file(state | {"vocab_size": torch.tensor(49408)}, tmp_path / "old.safetensors")
    settings = {"source": "local", "architecture": "open_clip/ViTamin-S", "options": options}
    embeddings, _ = text_classifier(settings, tmp_path / "old.safetensors", NAMES, ["a {}"], "cpu")
    tokens = open_clip.get_tokenizer("ViTamin-S")([f"a {name}" for name in NAMES])
    with torch.no_grad():
        expected = model.eval().encode_text(tokens, normalize=True)
    torch.testing.assert_close(embeddings, expected, atol=1e-6, rtol=1e-5)


@pytest.fixture
def published(whole, tmp_path, monkeypatch) -> dict:
    """The tiny model as open_clip's registries would hold it."""
    config = open_clip.get_model_config("ViT-B-32")
    vision = {key: value for key, value in TINY.items() if key not in ("text_cfg", "embed_dim")}
    config["embed_dim"] = TINY["embed_dim"]
    config["vision_cfg"] |= vision
    config["text_cfg"] |= TINY["text_cfg"]
    path = tmp_path / "clip.pt"
    torch.save(whole.state_dict(), path)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", config)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {"test": {"file": str(path)}})
    return {"source": "open_clip", "name": "tiny", "weights": "test"}


def test_published_models_give_the_same(published, settings) -> None:
    embeddings, scale = text_classifier(published, None, NAMES, TEMPLATES, "cpu")
    expected, other = text_classifier(settings, None, NAMES, TEMPLATES, "cpu")
    torch.testing.assert_close(embeddings, expected, atol=0, rtol=0)
    assert scale == other


# Options of the architecture -------------------------------------------------------------------


def test_the_image_tower_of_a_shrunk_model_is_the_same_network(whole) -> None:
    own = open_clip.get_model_config("ViT-B-32")
    tower = Architecture("open_clip", "ViT-B-32", TINY).build()
    shapes = {key: value.shape for key, value in tower.state_dict().items()}
    assert shapes == {key: value.shape for key, value in whole.visual.state_dict().items()}
    assert tower.proj.shape == (32, 12)
    again = Architecture.from_json(json.loads(json.dumps(Architecture("open_clip", "x", TINY).to_json())))
    assert again.options == TINY
    library.build_whole("ViT-B-32", TINY)
    assert open_clip.get_model_config("ViT-B-32") == own


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text_cfg": 3}, "text_cfg: 3 is not a mapping"),
        ({"text_cfg": {"hf_tokenizer_name": "bert"}}, "hf_tokenizer_name: 'bert' is not allowed"),
        ({"vision_cfg": {"layers": 1}}, "vision_cfg"),
        ({"width": 8}, "refused"),
    ],
)
def test_wrong_options_are_refused(options, words) -> None:
    with pytest.raises(ModelError, match=f"open_clip/ViT-B-32.*{words}"):
        Architecture("open_clip", "ViT-B-32", TINY | {"head_width": 16} | options).build()


def test_wrong_options_of_the_text_tower_are_refused_with_it() -> None:
    options = TINY | {"text_cfg": {"widht": 16}}
    with pytest.raises(ModelError, match=r"open_clip/ViT-B-32: cannot be built.*widht"):
        library.build_whole("ViT-B-32", options)


# What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "visual."])
def test_an_image_tower_alone_has_no_text_tower(whole, settings, tmp_path, prefix) -> None:
    path = tmp_path / "tower.safetensors"
    save_file({f"{prefix}{key}": value for key, value in whole.visual.state_dict().items()}, path)
    with pytest.raises(ModelError, match=r"tower.safetensors: has no text tower.*zero_shot needs"):
        text_classifier(settings, path, NAMES, TEMPLATES, "cpu")


@pytest.mark.parametrize(
    "entry",
    [
        {"source": "timm", "name": "test_vit.r160_in1k"},
        {"source": "local", "architecture": "timm/test_vit", "weights": "x"},
        {"source": "pretraining", "architecture": "open_clip/ViT-B-32"},
    ],
)
def test_other_models_are_refused(entry) -> None:
    with pytest.raises(ModelError, match=r"has no text tower.*`source: open_clip`.*open_clip/NAME"):
        text_classifier(entry, None, NAMES, TEMPLATES, "cpu")


def test_damaged_missing_and_ill_fitting_files_are_refused(whole, settings, tmp_path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(Path(settings["weights"]).read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        text_classifier(settings, damaged, NAMES, TEMPLATES, "cpu")
    with pytest.raises(ModelError, match="no such weights file"):
        text_classifier(settings | {"weights": "nowhere.pt"}, None, NAMES, TEMPLATES, "cpu")
    other = settings | {"options": TINY | {"text_cfg": {"width": 16, "heads": 2, "layers": 2}}}
    with pytest.raises(ModelError, match="missing"):
        text_classifier(other, None, NAMES, TEMPLATES, "cpu")
    nan = {key: value.clone() for key, value in whole.state_dict().items()}
    nan["ln_final.weight"][0] = torch.nan
    save_file(nan, tmp_path / "nan.safetensors")
    with pytest.raises(ModelError, match=r"nan.safetensors: the text classifier holds NaN"):
        text_classifier(settings, tmp_path / "nan.safetensors", NAMES, TEMPLATES, "cpu")


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(settings) -> None:
    options = TINY | {"text_cfg": TINY["text_cfg"] | {"vocab_size": 100}}
    with pytest.raises(ModelError, match=r"vocab_size: 100, but its tokenizer has 49408"):
        text_classifier(settings | {"options": options}, None, NAMES, TEMPLATES, "cpu")


def test_without_a_network_weights_and_tokenizers_are_refused_with_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    clip = {"source": "open_clip", "name": "ViT-B-32-quickgelu", "weights": "openai"}
    with pytest.raises(
        ModelError, match=r"ViT-B-32-quickgelu.*'openai' could not be downloaded.*source: local"
    ):
        text_classifier(clip, None, NAMES, TEMPLATES, "cpu")

    def offline(*_, **__):
        raise OSError("no route to the hub\nand more")

    monkeypatch.setattr(open_clip, "get_tokenizer", offline)
    siglip = {"source": "open_clip", "name": "ViT-B-16-SigLIP", "weights": "webli"}
    with pytest.raises(ModelError, match=r"SigLIP: its tokenizer.*\(OSError: no route to the hub\)"):
        text_classifier(siglip, None, NAMES, TEMPLATES, "cpu")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "ViT-B-32", "weights": "opanai"}, "did you mean 'openai'"),
        ({"name": "ViT-B-32", "weights": "openai"}, "name: ViT-B-32-quickgelu"),
        ({"name": "ViT-B32", "weights": "openai"}, "did you mean"),
    ],
)
def test_unknown_published_models_are_refused(entry, words) -> None:
    with pytest.raises(ModelError, match=words):
        text_classifier({"source": "open_clip"} | entry, None, NAMES, TEMPLATES, "cpu")
    with pytest.raises(ConfigError, match="must name one of"):
        text_classifier({"source": "open_clip", "name": "ViT-B-32"}, None, NAMES, TEMPLATES, "cpu")


# For the plan ----------------------------------------------------------------------------------


def test_the_plan_knows_which_models_have_text_towers() -> None:
    assert has_text_tower("open_clip", "ViT-B-32")
    assert has_text_tower("local", "open_clip/ViT-B-32")
    assert not has_text_tower("local", "timm/vit_base_patch16_clip_224")
    assert not has_text_tower("local", None)
    assert not has_text_tower("timm", "open_clip/ViT-B-32")


def test_prompts_and_the_plan_import_no_library() -> None:
    code = (
        "import nctransfer.models.settings, nctransfer.finetuning.prompts as prompts;"
        "import nctransfer.finetuning.methods.zero_shot;"
        "prompts.templates('ImageNet'), prompts.readable('a_b', 'SVHN')"
    )
    assert loaded_by(code, "torch", "timm", "open_clip", "numpy", "yaml") == []
