"""The small study: the whole paper on real images without a GPU (config/small.yaml)."""

from pathlib import Path

import pytest
import small_offline
import yaml
from project import ROOT

from nctransfer.config.load import load
from nctransfer.config.models import LibraryModelSettings
from nctransfer.dag import cost
from nctransfer.dag.plan import Plan
from nctransfer.data.dataset import data_set

SMALL = ROOT / "config" / "small.yaml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """As a user with a network has it."""
    return Plan(load(ROOT / "config.yaml", [SMALL]), ROOT)


@pytest.fixture(scope="module")
def needed(plan) -> set[tuple[str, ...]]:
    """Names of all its jobs."""
    return set(cost.targets(plan, ["all"])["provenance"])


@pytest.fixture(scope="module")
def datasets(plan, needed) -> set[str]:
    """Keys of the data sets that are decoded."""
    return {plan.image_stores[name[1]].dataset for name in needed if name[0] == "images"}


def test_every_picture_of_the_paper_and_every_claim_is_in_it(plan):
    paper, own = load(ROOT / "config.yaml").configuration, plan.study.configuration
    assert own.study == "small"
    for section in ("figures", "tables"):
        assert set(paper.pictures(section)) == set(own.pictures(section))
    judged = plan.scorecard()
    assert len({row.claim for row in judged.settings.claims}) == 33
    assert all("small" in said for said in judged.settings.set_ups.values())


def test_it_is_computed_on_published_networks_and_on_subsets_of_published_data(plan, needed, datasets):
    """Models, sizes and numbers of images, as a network gives them; all within an afternoon and 6 GB."""
    names = {name[1] for name in needed if name[0] == "model"}
    given = {key: plan.study.models[key].entry for key in names}
    published = {
        (entry.source, entry.name): plan.facts(key).size
        for key, entry in given.items()
        if isinstance(entry, LibraryModelSettings)
    }
    side = {"torchvision": {"resnet18": 224, "squeezenet1_1": 224}}
    assert all(published["torchvision", name] == (size, size) for name, size in side["torchvision"].items())
    assert {name for _, name in published} == {
        "resnet18", "mobilenet_v2", "squeezenet1_1", "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        "tf_efficientnet_lite0.in1k", "tf_efficientnet_lite1.in1k", "tf_efficientnet_lite2.in1k",
    }  # fmt: skip
    trained = {key for key in names if plan.training_of(key) == key}
    assert len(trained) == 24 + 1 + 9  # the slim networks, the one that is fine-tuned, the few-shot networks
    sizes = {}
    for key in datasets:
        entry = plan.study.configuration.datasets[key]
        assert entry.source == "torchvision"
        size = data_set(entry).size()
        sizes[key] = (size.train, size.test, size.classes)
        assert size.images <= 11_000, key
    assert sizes["cifar100"] == (8_000, 2_500, 50)
    assert sizes["cifar10"] == (1_000, 1_000, 10)
    assert sizes["cifar10-more-tests"] == (1_000, 5_000, 10)
    assert sizes["dtd"] == (400, 400, 10)
    assert sizes["vtab-svhn"] == (200, 250, 10)
    price = cost.Prices(plan, cost.NO_GPU)
    computing = [name for name in needed if name[0] != "images"]  # which wait for downloads
    hours = sum(price.need(name).seconds for name in computing) / 3600
    assert 5 < hours < 10  # of one core


SMALLER = {
    "fig1": [
        "small/resnet18 (width 8) in place of small/resnet50", "32 to 48 of 32 to 128 px a side",
        "Aircraft: 10 of 100 classes, 40 training images a class, 30 test images a class",
        "30 of 200 epochs of pre-training", "2 of 7 attack steps",
    ],
    "fig2": ["vit_tiny_patch16_224", "in place of", "DTD: 10 of 47 classes"],
    "fig8": [
        "networks trained here in place of published ones", "15 of 200 epochs of fine-tuning",
        "CIFAR-10: 3 to 100 training images a class", "32 to 112 of 224 px a side",
    ],
    "fig9": ["CIFAR-100 (50-69): 20 of 100 classes, 5 training images a class", "112 of 384 px a side"],
    "fig11": ["30 to 50 of 200 epochs of pre-training"],
    "rank-dtd": ["DTD: 10 of 47 classes, 40 training images a class"],
    "table2": [
        "16 of 90 to 100 epochs of pre-training", "CIFAR-FS (meta-train): 100 training images a class",
    ],
    "table3": [
        "(img_size 112)", "15 of 200 epochs of fine-tuning", "CIFAR-10: 24 training images a class",
        "DTD: 10 of 47 classes, 16 to 24 training images a class",
    ],
    "table4": ["400 training images, 200 of 5000 held-out images", "1 to 2 of 2 weight decays"],
    "table5": ["200 of 1000 training images"],
}  # fmt: skip


@pytest.mark.parametrize("picture", SMALLER)
def test_pages_say_what_is_smaller_in_the_papers_units(plan, picture):
    section = "tables" if picture.startswith("table") else "figures"
    said = "; ".join(plan.picture(section, picture).settings.smaller)
    assert [words for words in SMALLER[picture] if words not in said] == []
    # three seeds where a verdict rests on them
    assert "repetitions" not in said
    # the networks of fine-tuning figures are not trained for fewer epochs than the paper's, which are published
    assert ("epochs of pre-training" in said) == (picture in ("fig1", "fig11", "table2"))


def test_nothing_is_said_to_be_smaller_where_all_is_the_papers():
    paper = Plan(load(ROOT / "config.yaml"), ROOT)
    assert {paper.figure(key).settings.smaller for key in ("fig1", "fig3", "fig8")} == {()}
    own = "{mine: {kind: layerwise, panels: [{model: resnet18, dataset: cifar10}]}}"
    study = Plan(load(ROOT / "config.yaml", [], ["study=x", "probes={epochs: 3}", f"figures={own}"]), ROOT)
    assert study.figure("mine").settings.smaller == ()  # the paper has no such figure
    assert study.figure("fig3").settings.smaller == ("3 of 200 epochs of linear probes",)


# --- where nothing can be downloaded ---------------------------------------------------------


def test_an_overlay_of_files_at_hand_changes_only_where_images_and_weights_are_from(
    plan, datasets, shared_data: Path, tmp_path: Path
):
    small_offline.unpack(shared_data, tmp_path)
    text = yaml.safe_dump(small_offline.overlay(shared_data, tmp_path))
    (tmp_path / "small.yaml").write_text(text)
    study = load(ROOT / "config.yaml", [SMALL, tmp_path / "small.yaml"])
    offline, online = study.configuration, plan.study.configuration
    for section in ("training", "finetuning", "probes", "few_shot", "families", "metrics", "features"):
        assert getattr(offline, section) == getattr(online, section)
    for key in datasets:
        one, other = offline.datasets[key], online.datasets[key]
        assert one.source in ("arrays", "imagefolder")
        for name in ("per_class", "test_per_class", "count", "validation"):
            assert getattr(one, name) == getattr(other, name), key
    for section in ("figures", "tables"):
        for key, picture in offline.pictures(section).items():
            counts = [len(panel.runs) for panel in picture.panels if hasattr(panel, "runs")]
            theirs = online.pictures(section)[key].panels
            assert counts == [len(panel.runs) for panel in theirs if hasattr(panel, "runs")]
    titles = {panel.title for panel in offline.figures["fig7"].panels}
    assert titles == {f"CIFAR-100 70-79, unit {unit}" for unit in (1, 3, 5, 7)}  # named for what it is
    assert [panel.title for panel in offline.tables["table5"].panels] == [
        "Cifar100", "CIFAR-100 50-99", "DTD", "CIFAR-100 90-99", "CIFAR-100 80-89", "MNIST", "CIFAR-10",
    ]  # fmt: skip
