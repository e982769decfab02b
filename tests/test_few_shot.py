"""Few-shot learning: networks, step decay, episodes, what a classifier reaches in them, and Table 2's plan."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from feature_stores import feature_store
from networks import backbone_of
from sklearn.linear_model import LogisticRegression

from nctransfer.catalog import known_models
from nctransfer.collapse.measure import measure
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.data.images import ImageStore, prepare_images
from nctransfer.data.settings import Geometry, ImagesJobSettings
from nctransfer.errors import DegenerateInputError, ModelError
from nctransfer.features.feature_store import FeatureStore
from nctransfer.few_shot.episodes import Shape, draw_episodes, require_enough
from nctransfer.few_shot.evaluation import episode_accuracies, query_nc1, unit_length
from nctransfer.few_shot.settings import FewShotJobSettings
from nctransfer.intervals import mean_interval
from nctransfer.models import write_known_models
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone, Head
from nctransfer.reporting.output import save_table
from nctransfer.reporting.settings import EpisodesPanel, EpisodesPoint, TableSettings
from nctransfer.reporting.table_cells import Cell, Emphasis
from nctransfer.reporting.tables.few_shot import table as few_shot
from nctransfer.settings import ViewNames
from nctransfer.stamp import UNSTAMPED
from nctransfer.tidy.few_shot import few_shot_table
from nctransfer.training.learning_rate_schedule import learning_rate
from nctransfer.training.settings import AugmentationSettings, LoopSettings, StepDecaySettings

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ("convnet4", "resnet12", "seresnet12")


# --- networks -----------------------------------------------------------------------------------


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_backbones_have_the_published_numbers_of_parameters():
    gates = sum(2 * width * (width // 4) + width // 4 + width for width in (64, 160, 320, 640))
    assert gates == 272_328
    published = {"convnet4": 113_088, "resnet12": 12_424_320, "seresnet12": 12_424_320 + gates}
    for name, count in published.items():
        with torch.device("meta"):
            network = Architecture.parse(f"few_shot/{name}", {}, 64).build()
        assert parameters(network) - parameters(network.fc) == count, name


def backbone(name: str, size: int, **options: Any) -> Backbone:
    torch.manual_seed(0)
    network = Architecture.parse(f"few_shot/{name}", options, 7).build()
    return backbone_of(network, "few_shot", (size, size), Head("fc", 7)).eval()


@pytest.mark.parametrize("size", [8, 15, 32, 84])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_unit_is_a_block_with_its_pool_and_the_stem_is_the_image(name, size):
    model = backbone(name, size, width=8)
    widths = (8, 8, 8, 8) if name == "convnet4" else (8, 20, 40, 80)
    assert [(unit.index, unit.name, unit.width) for unit in model.units] == [
        (index, f"blocks.{index - 1}", width) for index, width in enumerate(widths, start=1)
    ]
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        seen, maps = model.capture(images), model.capture(images, poolings=("none",)).units
        logits = model(images)
    assert (model.stem.width, logits.shape) == (3, (3, 7))
    torch.testing.assert_close(maps[0]["none"], images, rtol=0, atol=0)
    sides = [maps[unit]["none"].shape[2] for unit in range(1, 5)]
    assert sides == [size // 2, size // 4, size // 8, size // 8]  # pooled after the first three
    torch.testing.assert_close(seen.penultimate, maps[4]["none"].mean((2, 3)))
    torch.testing.assert_close(model.network.fc(seen.penultimate), seen.logits, rtol=0, atol=0)
    torch.testing.assert_close(seen.logits, logits)


def test_resnet12_computes_what_its_definition_says():
    model = backbone("seresnet12", 16, width=4)
    block, x = model.network.blocks[1], torch.randn(2, 4, 8, 8)
    leaky = torch.nn.LeakyReLU(0.1)
    with torch.no_grad():
        out = leaky(block.bn1(block.conv1(x)))
        out = leaky(block.bn2(block.conv2(out)))
        out = block.bn3(block.conv3(out))
        hidden = torch.relu(block.se.squeeze(out.mean((2, 3))))
        out = out * torch.sigmoid(block.se.excite(hidden))[:, :, None, None]
        out = torch.nn.functional.max_pool2d(leaky(out + block.downsample(x)), 2)
        torch.testing.assert_close(block(x), out)
    assert block.se.squeeze.out_features == 10 // 4


def test_dropout_follows_two_blocks_and_dropblock_the_others():
    network = Architecture.parse(
        "few_shot/resnet12", {"width": 4, "drop_rate": 0.3, "block_size": 2}, 3
    ).build()
    assert [type(block.drop).__name__ for block in network.blocks] == ["Dropout"] * 2 + ["DropBlock2d"] * 2
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(network(x), network(x))
    torch.testing.assert_close(network.eval()(x), network(x), rtol=0, atol=0)
    plain = Architecture.parse("few_shot/resnet12", {"width": 4}, 3).build()
    assert {type(block.drop) for block in plain.blocks} == {torch.nn.Identity}
    assert plain.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet21", {}, "no few-shot network 'resnet21' (did you mean 'resnet12'?)"),
        ("convnet4", {"drop_rate": 0.1}, "no option 'drop_rate'"),
        ("resnet12", {"widht": 8}, "no option 'widht' (did you mean 'width'?)"),
        ("resnet12", {"width": 7}, "width 7 is odd"),
        ("convnet4", {"width": 0}, "width 0 is not a positive whole number"),
        ("seresnet12", {"drop_rate": 1}, "drop_rate 1 is not a number from 0 to below 1"),
        ("seresnet12", {"block_size": 0}, "block_size 0 is not"),
    ],
)
def test_unknown_networks_and_options_are_refused(name, options, words):
    with pytest.raises(ModelError) as raised:
        Architecture.parse(f"few_shot/{name}", options, 3).build()
    assert words in str(raised.value)


def test_the_table_of_known_models_is_what_its_writer_finds():
    rows = list(write_known_models.own_rows("few_shot"))
    assert [row["name"] for row in rows] == list(NETWORKS)
    for row in rows:
        text = {key: str(value) for key, value in row.items()}
        assert known_models._rows()["few_shot"][row["name"]] == [text]


# --- step decay ---------------------------------------------------------------------------------


def test_the_step_decay_is_torchs():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.05)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [45, 60, 75], gamma=0.1)
    settings = LoopSettings(
        learning_rate=0.05, decay=StepDecaySettings(epochs=(45, 60, 75), factor=0.1), epochs=90, batch_size=8,
        momentum=0.9, weight_decay=0, precision="float32", channels_last=True, compile=False,
        augmentation=AugmentationSettings(), adversary=None, snapshots=(),
    )  # fmt: skip
    for epoch in range(90):
        expected = optimiser.param_groups[0]["lr"]
        assert learning_rate(settings, epoch, epoch % 3, 3) == pytest.approx(expected, rel=1e-9)
        optimiser.step()
        schedule.step()


def plan(folder: Path, text: str = "") -> Plan:
    path = folder / "overlay.yaml"
    path.write_text("study: x\n" + text)
    return Plan(load(ROOT / "config.yaml", [path]), ROOT)


def test_only_trainings_that_decay_in_steps_read_its_options(tmp_path):
    before = plan(tmp_path)
    cosine, steps = before.pretrain("cifar100-resnet50-aug1"), before.pretrain("cifar-fs-convnet4")
    options = {"learning_rate_min", "warmup_epochs"}
    assert cosine.settings.training.decay is None
    assert options <= cosine.settings.training.model_fields_set
    assert not options & steps.settings.training.model_fields_set

    other = plan(tmp_path, "training: {decay_factor: 0.2}\n")
    assert other.pretrain("cifar100-resnet50-aug1").stamp.digest == cosine.stamp.digest
    assert other.pretrain("cifar-fs-convnet4").stamp.digest != steps.stamp.digest
    lower = plan(tmp_path, "training: {learning_rate_min: 1e-5}\n")
    assert lower.pretrain("cifar100-resnet50-aug1").stamp.digest != cosine.stamp.digest
    assert lower.pretrain("cifar-fs-convnet4").stamp.digest == steps.stamp.digest


# --- episodes -----------------------------------------------------------------------------------

LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 3, 4, 5, 7], [30, 22, 41, 25, 20, 33]))


@pytest.mark.parametrize("shape", [Shape(5, 1, 15), Shape(5, 5, 15), Shape(2, 3, 1), Shape(6, 5, 15)])
def test_an_episode_is_balanced_and_learns_from_other_images_than_it_is_tested_on(shape):
    for episode in draw_episodes(LABELS, shape, 50, seed=3):
        assert len(set(episode.classes)) == shape.ways
        assert episode.support.shape == (shape.ways, shape.shots)
        assert episode.query.shape == (shape.ways, shape.queries)
        rows = np.concatenate([episode.support, episode.query], axis=1)
        assert len(np.unique(rows)) == rows.size
        assert (LABELS[rows] == episode.classes[:, None]).all()


def test_episodes_follow_from_seed_and_number_alone():
    one, again, longer, other = (
        list(draw_episodes(LABELS, Shape(3, 1, 4), count, seed))
        for count, seed in ((5, 0), (5, 0), (9, 0), (5, 1))
    )
    for first, second, third in zip(one, again, longer, strict=False):
        for part in ("classes", "support", "query"):
            np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
            np.testing.assert_array_equal(getattr(first, part), getattr(third, part))
    drawn = {tuple(episode.query.ravel()) for episode in (*longer, *other)}
    assert len(drawn) == 9 + 5  # no two alike


def test_more_shots_add_to_the_same_episode():
    few, many = (list(draw_episodes(LABELS, Shape(4, shots, 6), 20, seed=2)) for shots in (1, 5))
    for one, five in zip(few, many, strict=True):
        np.testing.assert_array_equal(one.query, five.query)
        np.testing.assert_array_equal(one.support, five.support[:, :1])


def test_every_class_and_image_has_its_turn():
    labels = np.repeat(np.arange(6), 10)
    episodes = list(draw_episodes(labels, Shape(3, 2, 3), 400, seed=0))
    classes = Counter(label for episode in episodes for label in episode.classes.tolist())
    images = Counter(row for episode in episodes for row in episode.support.ravel().tolist())
    assert all(abs(count - 200) < 50 for count in classes.values())  # 5 standard deviations
    assert len(images) == 60
    assert max(images.values()) < 3 * min(images.values())


def test_too_few_classes_or_images_are_refused_by_name():
    names = ["a", "b", "no image", "c", "d", "e", "no image either", "f"]
    require_enough(LABELS, names, Shape(6, 5, 15))
    with pytest.raises(DegenerateInputError, match=r"few_shot\.ways: 7 classes per episode, but there are 6"):
        require_enough(LABELS, names, Shape(7, 1, 1))
    with pytest.raises(DegenerateInputError) as raised:
        require_enough(LABELS, names, Shape(5, 8, 15))
    assert str(raised.value) == (
        "few_shot: an episode takes 23 images per class (8 shots, 15 queries), but 'b' has 22, 'e' has 20"
    )


# --- evaluation ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problem() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 40)
    return rng.normal(size=(8, 12))[labels] + 1.5 * rng.normal(size=(320, 12)) + 2, labels


@pytest.mark.parametrize("shots", [1, 5])
def test_accuracies_are_those_of_an_independent_loop(problem, shots):
    features, labels = problem
    episodes = list(draw_episodes(labels, Shape(5, shots, 15), 12, seed=4))
    unit = features / np.sqrt((features**2).sum(1, keepdims=True))
    expected = []
    for episode in episodes:
        rows, asked = episode.support.ravel(), episode.query.ravel()
        model = LogisticRegression(solver="lbfgs", C=1, max_iter=1000).fit(unit[rows], labels[rows])
        expected.append(100 * model.score(unit[asked], labels[asked]))
    found = episode_accuracies(features, labels, episodes, normalise=True)
    np.testing.assert_allclose(found, expected)
    assert 20 < found.mean() < 100
    assert not np.array_equal(found, episode_accuracies(features, labels, episodes, normalise=False))


def test_a_row_of_zeros_stays_where_others_get_unit_length():
    features = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_length(features), [[0.6, 0.8], [0, 0]])


def test_nc1_of_query_images_is_measured_episode_by_episode(problem):
    features, labels = problem
    episodes = list(draw_episodes(labels, Shape(5, 1, 10), 6, seed=1))
    queries = [episode.query.ravel() for episode in episodes]
    expected = [measure(features[rows], labels[rows]).values["nc1"] for rows in queries]
    np.testing.assert_allclose(query_nc1(features, labels, episodes), expected)


def test_episodes_without_nc1_are_left_out_with_the_reason(problem, caplog):
    features, labels = problem
    features = features.copy()
    features[labels == 0] = features[labels == 1] = 1.0
    episodes = list(draw_episodes(labels, Shape(2, 1, 5), 60, seed=1))
    same = sum(set(episode.classes.tolist()) == {0, 1} for episode in episodes)
    assert same > 0
    assert len(query_nc1(features, labels, episodes)) == 60 - same
    assert f"no NC1 of the query images of {same} episodes" in caplog.text
    single = list(draw_episodes(labels, Shape(5, 1, 1), 3, seed=1))
    assert query_nc1(features, labels, single).size == 0


# --- the tidy table -----------------------------------------------------------------------------

NAMES = ViewNames(model="m", view="v")
SETTINGS = FewShotJobSettings(names=NAMES, queries=10, episodes=8, permutations=2, seed=7)


@pytest.fixture
def stores(problem, tmp_path) -> dict[str, FeatureStore]:
    features, labels = problem
    held = np.arange(len(labels)) % 4 == 0
    last, stem = ("penultimate", 5, "penultimate", ""), ("unit00.avg", 0, "stem", "avg")
    return {
        split: feature_store(
            tmp_path / split,
            {stem: features[rows, :2], last: features[rows]},
            labels[rows],
            [f"class {label}" for label in range(8)],
        )
        for split, rows in (("train", ~held), ("test", held))
    }


def test_the_tidy_table_holds_a_row_for_each_number_of_shots(stores):
    found = few_shot_table(stores, SETTINGS)
    features = np.concatenate([stores[split]["penultimate"] for split in ("train", "test")]).astype(float)
    labels = np.concatenate([stores[split].labels for split in ("train", "test")])
    assert list(found["shots"]) == [1, 5]
    whole = measure(features, labels, permutations=2, seed=7)
    for row in found.itertuples():
        episodes = list(draw_episodes(labels, Shape(5, row.shots, 10), 8, seed=7))
        accuracies = episode_accuracies(features, labels, episodes, normalise=True)
        expected = accuracies.mean(), *mean_interval(accuracies)
        assert (row.accuracy, row.accuracy_low, row.accuracy_high) == pytest.approx(expected)
        assert row.nc1 == pytest.approx(whole.values["nc1"], rel=1e-9)
        assert row.nc1_shuffled == pytest.approx(whole.values["nc1_shuffled"], rel=1e-9)
        assert (row.samples, row.classes, row.width, row.rank) == (320, 8, 12, 7)  # both splits
        assert row.nc1_query == pytest.approx(query_nc1(features, labels, episodes).mean())
        assert (row.episodes, row.nc1_query_episodes, row.ways, row.queries) == (8, 8, 5, 10)
    assert found["accuracy"].is_monotonic_increasing
    pd.testing.assert_frame_equal(found, few_shot_table(stores, SETTINGS))


def test_normalisation_is_the_classifiers_alone(stores):
    as_they_are = few_shot_table(stores, SETTINGS.model_copy(update={"normalise": False}))
    found = few_shot_table(stores, SETTINGS)
    assert not np.array_equal(found["accuracy"], as_they_are["accuracy"])
    for column in ("nc1", "nc1_shuffled", "nc1_query"):
        pd.testing.assert_series_equal(found[column], as_they_are[column])


def test_a_single_query_image_has_no_nc1_but_an_accuracy(stores):
    found = few_shot_table(stores, SETTINGS.model_copy(update={"queries": 1}))
    assert found["nc1_query"].isna().all()
    assert (found["nc1_query_episodes"] == 0).all()
    assert found["accuracy"].between(0, 100).all()


def test_nothing_is_fitted_where_the_largest_episode_cannot_be_drawn(stores):
    with pytest.raises(DegenerateInputError, match=r"takes 41 images per class \(31 shots, 10 queries\)"):
        few_shot_table(stores, SETTINGS.model_copy(update={"shots": (31, 1)}))


# --- the table ----------------------------------------------------------------------------------


def episodes_of(accuracy: float, nc1: float, query: float) -> pd.DataFrame:
    rows = [
        {"model": "m", "view": "v", "ways": 5, "shots": shots, "episodes": 600, "accuracy": accuracy + shots, "nc1": nc1,
         "accuracy_low": accuracy + shots - 0.5, "accuracy_high": accuracy + shots + 0.5, "nc1_query": query}
        for shots in (1, 5)
    ]  # fmt: skip
    return pd.DataFrame(rows)


TABLES = {
    ("few_shot", "a", "v"): episodes_of(60.123, 38.12, 2.0),
    ("few_shot", "b", "v"): episodes_of(66.0, 29.13, 0.1234),
    ("few_shot", "c", "v"): episodes_of(63.0, 28.4, np.nan),
    ("few_shot", "a", "w"): episodes_of(50.0, 0.5, 1.0),
}


def panel(title: str, view: str, models: str) -> EpisodesPanel:
    points = [EpisodesPoint(series="", label=f"Net {model}", model=model, view=view) for model in models]
    return EpisodesPanel(title=title, points=tuple(points))


SHOWN = TableSettings[EpisodesPanel](
    kind="few_shot", panels=(panel("V", "v", "abc"), panel("W", "w", "a")), tables=()
)


def test_the_table_shows_a_row_a_network_and_marks_the_best_of_a_data_set(tmp_path):
    numbers = few_shot.tabulate(SHOWN, TABLES)
    assert list(numbers["panel"]) == ["a"] * 6 + ["b"] * 2
    assert numbers["accuracy"].iloc[0] == 61.123  # in full precision
    readable = few_shot.present(numbers, SHOWN)
    assert list(readable.columns) == [
        "Data set", "Architecture", "5-way 1-shot (%, ± 95 %)", "5-way 5-shot (%, ± 95 %)",
        "NC1 of the meta-test images", "NC1 of the query images",
    ]  # fmt: skip
    best, second = Emphasis.BEST, Emphasis.SECOND
    assert readable.to_numpy().tolist() == [
        ["V", "Net a", "61.12 ± 0.50", "65.12 ± 0.50", "38.1", "2.00"],
        ["V", "Net b", Cell("67.00 ± 0.50", best), Cell("71.00 ± 0.50", best), Cell("29.1", second), Cell("0.123", best)],
        ["V", "Net c", Cell("64.00 ± 0.50", second), Cell("68.00 ± 0.50", second), Cell("28.4", best), "\N{EN DASH}"],
        ["W", "Net a", "51.00 ± 0.50", "55.00 ± 0.50", "0.500", "1.00"],
    ]  # fmt: skip
    files = [tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")]
    save_table(numbers, readable, *files, "r")
    assert "**67.00 ± 0.50**" in files[1].read_text()
    assert r"\textbf{67.00 $\pm$ 0.50}" in files[2].read_text()
    pd.testing.assert_frame_equal(pd.read_csv(files[0]), numbers.assign(series=np.nan), check_dtype=False)


# --- the plan -----------------------------------------------------------------------------------


def test_few_shot_models_ask_for_no_probes(tmp_path):
    shown = plan(tmp_path).shown
    assert not [name for name in shown if name.startswith(("cifar-fs", "mini-imagenet"))]


# --- miniImageNet as the hub has it -------------------------------------------------------------


def test_classes_of_one_split_of_the_hub_make_a_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    def write(split: str, labels: range) -> None:
        rows: dict[str, list[Any]] = {"image": [], "label": []}
        for label in labels:
            for number in range(20):
                rows["image"].append(Image.fromarray(np.full((9, 9, 3), 8 * label + number % 8, np.uint8)))
                rows["label"].append(label)
        features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
        (tmp_path / "hub").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(
            tmp_path / "hub" / f"{split}-00000-of-00001.parquet"
        )

    write("train", range(6))
    write("validation", range(6, 8))
    write("test", range(8, 13))
    entries = load(ROOT / "config.yaml").configuration.datasets
    for split, first, held_out in (("train", 0, 1), ("test", 8, 10)):
        entry = entries[f"mini-imagenet-{split}"]
        local = {"path": str(tmp_path / "hub"), "train_split": entry.train_split}
        options = local | {"test_fraction": entry.test_fraction}
        manifests = {part: tmp_path / split / part / "manifest.json" for part in ("train", "test")}
        settings = ImagesJobSettings(
            source="huggingface", options=options, geometry=Geometry(resize=(8, 8)), seed=0
        )
        prepare_images(manifests, settings, UNSTAMPED, tmp_path / "cache")
        stores = {part: ImageStore(manifest) for part, manifest in manifests.items()}
        count = {"train": 6, "test": 5}[split]
        names = tuple(sorted(map(str, range(first, first + count)), key=int))
        for part, images in (("train", 20 - held_out), ("test", held_out)):
            assert tuple(stores[part].class_names) == names
            assert np.bincount(stores[part].labels).tolist() == [images] * count
        for store_ in stores.values():  # pixels say which class they are of
            pixels = store_.read(0, len(store_))[:, 0, 0, 0]
            np.testing.assert_array_equal(pixels // 8 - first, store_.labels)
