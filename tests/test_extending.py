"""docs/extending.md, followed literally: its files, configurations and commands in a copy of the project."""

import importlib
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from project import ROOT, Project

from nctransfer import variants
from nctransfer.config.kinds import kind_of
from nctransfer.config.training import loss_class
from nctransfer.config.yaml_files import merge
from nctransfer.data.dataset import data_set
from nctransfer.data.settings import DataSetSettings
from nctransfer.errors import ConfigError
from nctransfer.finetuning.method import method_facts
from nctransfer.models.architecture import Architecture

PAGE = (ROOT / "docs" / "extending.md").read_text()
OVERLAY = "mine.yaml"
# By kind the section that adds it.
SECTIONS = {
    "score": "A transferability score", "loss": "A loss", "method": "A fine-tuning method",
    "unit layout": "A unit layout", "figure": "A figure", "architecture": "An architecture",
    "data source": "A data source",
}  # fmt: skip


# --- what the page says ----------------------------------------------------------------------


def section(heading):
    """Text of a section; of none, what stands before the first."""
    if heading is None:
        return PAGE.partition("\n## ")[0]
    assert PAGE.count(f"\n## {heading}\n") == 1, heading
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def files(heading):
    """Contents of the files that a section has one write, by path."""
    found = re.findall(r"^`(\S+)`:\n\n```python\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    assert len(found) == section(heading).count("```python"), f"{heading}: code without its place"
    return dict(found)


def configuration(heading):
    """What a section adds to the overlay."""
    return merge({}, *map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", section(heading), re.DOTALL)))


def commands(heading):
    """The command lines of a section."""
    return [
        line.split()
        for block in re.findall(r"```sh\n(.*?)```", section(heading), re.DOTALL)
        for line in block.splitlines()
    ]


def target(kind):
    """What the last command of a section asks for."""
    *typed, name = commands(SECTIONS[kind])[-1]
    assert typed == ["snakemake", "-j2", "--configfile", OVERLAY, "--"]
    return name


# --- the page, followed ----------------------------------------------------------------------

# Digests of every job of an overlay's study.
STAMPS = """
import json, sys
from pathlib import Path
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan

plan = Plan(load(Path("config.yaml"), [Path(sys.argv[1])], []), Path.cwd())
plan.overview(), plan.provenance(), plan.models()
print(json.dumps({" ".join(key): job.stamp.digest for key, job in plan.jobs.items()}))
"""
# The work of the workflow's scripts, in one process; what fails is told by name.
WORK = """
import json, sys, traceback
from pathlib import Path
import pandas as pd
import torch
from nctransfer.config.load import load
from nctransfer.dag.estimates import Needs
from nctransfer.dag.speeds import cpu
from nctransfer.dag.plan import Plan
from nctransfer.data.dataset import data_set
from nctransfer.data.image_store import ImageStore
from nctransfer.data.images import prepare_images
from nctransfer.features.extract import extract_features
from nctransfer.features.feature_store import FeatureStore
from nctransfer.finetuning.run import finetune
from nctransfer.models.model_store import load_model, save_model
from nctransfer.training.operation import Operation
from nctransfer.training.pretraining import pretrain

torch.set_num_threads(1)
plan = Plan(load(Path("config.yaml"), [Path("mine.yaml")], []), Path.cwd())
made = Path("made")


def told(job):
    return type(job.settings).read(json.loads(json.dumps(job.settings.told()))), job.stamp


def operation(key):
    return Operation(torch.device("cpu"), made / "checkpoints" / key)


def images(key):
    manifests = {split: made / "images" / key / split / "manifest.json" for split in ("train", "test")}
    if not manifests["train"].exists():
        prepare_images(manifests, *told(plan.images(key)), Path("downloads"))
    return {split: ImageStore(path) for split, path in manifests.items()}


def model(key):
    trained, manifest = made / "pretraining" / key / "manifest.json", made / "models" / key / "manifest.json"
    if not manifest.exists():
        pretrain(images(plan.source_images(key)), trained, *told(plan.pretrain(key)), operation(key))
        save_model(manifest, *told(plan.model(key)), trained)
    return manifest


def history(store):
    table = pd.read_parquet(store / "history.parquet")
    return [list(map(float, table["loss"])), len(table)]


def loss():
    model("hinged")
    return history(made / "pretraining" / "hinged")


def method():
    key = plan.study.models["last"].store
    manifest = made / "finetuning" / key / "manifest.json"
    job = plan.finetune(key)
    finetune(model("tiny"), images(plan.downstream_images(key)), manifest, *told(job), operation(key))
    base = load_model(model("tiny"))
    from safetensors.torch import load_file
    before, stored = base.network.state_dict(), load_file(manifest.parent / "arrays/tuned.safetensors")
    changed = [
        name for name, weights in stored.items()
        if name.endswith((".weight", ".bias")) and not torch.equal(weights, before.get(name, torch.zeros(0)))
    ]  # no running statistics
    units = [unit.name for unit in base.units]
    return [history(manifest.parent), changed, units, [list(job.settings.method.units), job.settings.training.learning_rate]]


def layout():
    backbone, view = load_model(model("staged")), plan.view("staged", "digits59")
    job = plan.features("staged", view.key)
    store = made / "features" / "manifest.json"
    extract_features(backbone, images(view.images)["train"], store, *told(job))
    return [[unit.name for unit in backbone.units], [column.module for column in FeatureStore(store).unit_columns]]


def real_layout():
    from nctransfer.models.architecture import Architecture
    from nctransfer.models.model_store import describe
    with torch.device("meta"):
        return describe(Architecture("torchvision", "resnet34").build(), "resnet_stages").units


def architecture():
    backbone, facts = load_model(model("plain")), plan.facts("plain")
    return [[unit.name for unit in backbone.units], facts.known.units, history(made / "pretraining" / "plain")]


def source():
    size = data_set(plan.configuration.datasets["gratings"]).size()
    view = plan.view("tiny", "gratings")
    store = images(view.images)
    need = Needs(plan, "none").images(view.images).memory - cpu(1).process
    counts = {split: [list(part.images.shape), sorted(set(part.labels.tolist()))] for split, part in store.items()}
    return [[size.train, size.test, size.classes, size.pixels], counts, need, plan.metrics("tiny", view.key).stamp.digest]


def metric():
    from nctransfer.collapse.measure import measure
    generator = torch.Generator().manual_seed(0)
    return measure(torch.randn(60, 5, generator=generator), torch.arange(60) % 3).values


def claim():
    from nctransfer.config.claims import read_claims
    from nctransfer.reporting.scorecard.verdicts import read_options
    (row,) = read_claims(Path("mine-claims.yaml"))
    read_options(row)
    return row.statement


answers = {}
for work in (loss, method, layout, real_layout, architecture, source, metric, claim):
    try:
        answers[work.__name__] = work()
    except Exception:
        answers[work.__name__] = traceback.format_exc()
print("\\n" + json.dumps(answers))
"""


def python(project, code, *arguments):
    """What Python prints last that knows no other package than the copy's."""
    typed = [sys.executable, "-c", code, *arguments]
    run = subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def write(project, heading):
    """Do what a section says: its files, and an ``__init__.py`` in folders of their own."""
    for name, text in files(heading).items():
        path = project.folder / name
        assert not path.exists(), f"{name} is there already"
        if not path.parent.exists():
            path.parent.mkdir()
            (path.parent / "__init__.py").write_text(f'"""The {path.parent.name}."""\n')
        path.write_text(text)


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A project to which one of every kind was added; the digests of an older study before and after."""
    project = Project.fresh(tmp_path_factory.mktemp("extended") / "p")
    before = python(project, STAMPS, "tiny.yaml")
    for heading in SECTIONS.values():
        write(project, heading)
    typed, _ = commands(SECTIONS["architecture"])
    assert typed[0] == "python"
    run = subprocess.run(
        [sys.executable, *typed[1:]], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    parts = [configuration(heading) for heading in (None, *SECTIONS.values())]
    (project.folder / OVERLAY).write_text(yaml.safe_dump(merge({}, *parts)))
    return project, before, python(project, STAMPS, "tiny.yaml")


@pytest.fixture(scope="module")
def added(extended):
    """The project that was extended."""
    return extended[0]


@pytest.fixture(scope="module")
def worked(added, tmp_path_factory):
    """What comes of everything whose test needs no Snakemake; of a metric and a claim too."""
    project = added.clone(tmp_path_factory.mktemp("worked") / "p")
    write(project, "A metric")
    (line,) = re.findall(r"the line `(.*?)` in the dictionary", section("A metric"))
    measure = "nctransfer/collapse/measure.py"
    project.edit(measure, '            "vci": vci,\n', f'            "vci": vci,\n            {line}\n')
    project.edit(
        measure,
        "\nfrom functools import partial\n",
        "\nfrom functools import partial\nfrom nctransfer.collapse.within_share import within_share\n",
    )
    (claims,) = re.findall(r"```yaml\n(.*?)```", section("A claim or a statistic"), re.DOTALL)
    (project.folder / "mine-claims.yaml").write_text(claims)
    answers = python(project, WORK)

    def answer(name):
        if isinstance(answers[name], str) and "Traceback" in answers[name]:
            pytest.fail(answers[name])
        return answers[name]

    return answer


@pytest.fixture(scope="module")
def run(added):
    """Snakemake's run for the score and the figure."""
    done = added.run(target("score"), target("figure"), overlay=OVERLAY)
    assert done.returncode == 0, done.stdout + done.stderr
    return added


@pytest.mark.slow
def test_what_is_added_makes_nothing_stale(extended):
    _, before, after = extended
    assert len(before) > 1000
    assert after == before


def test_every_kind_of_the_table_has_a_section_whose_names_are_there():
    rows = re.findall(r"^\| \[(.*?)\]\(#(.*?)\) \| (.*?) \|", PAGE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)}
    assert {anchor for _, anchor, _ in rows} == anchors
    packages = [path for _, _, text in rows for path in re.findall(r"`(nctransfer/\S+?)/<", text)]
    assert len(packages) == 11
    assert all((ROOT / package / "__init__.py").is_file() for package in packages)
    # every file that the page names is there, or is one that it has written
    written = {name for heading in (*SECTIONS.values(), "A metric") for name in files(heading)}
    named = set(re.findall(r"`((?:nctransfer|config|docs)/[\w./]+)`", PAGE))
    assert {name for name in named - written if not (ROOT / name).exists()} == set()


@pytest.mark.slow
def test_the_last_command_of_every_section_asks_for_a_target(added):
    assert added.planned(*map(target, SECTIONS), overlay=OVERLAY)["finetune"] == 1


@pytest.mark.slow
def test_a_score_is_a_row_of_the_table_of_scores(run):
    ranking = pd.read_parquet(run.folder / target("score"))
    scored = ranking[(ranking["name"] == "separation") & (ranking["comparison"] == "units")]
    assert set(scored["unit"]) >= set(range(1, 9))
    assert (scored["value"] > 0).all()
    assert set(scored["label"]) == {"Separation"}


@pytest.mark.slow
def test_a_figure_kind_is_drawn_as_pdf_png_and_csv(run):
    name = target("figure").removesuffix(".pdf")
    for suffix in ("pdf", "png", "csv"):
        assert (run.folder / f"{name}.{suffix}").stat().st_size > 100
    numbers = pd.read_csv(run.folder / f"{name}.csv")
    assert list(numbers.columns) == ["panel", "title", "unit", "rank"]
    assert list(numbers["unit"]) == list(range(1, 9))
    assert (numbers["rank"] > 0).all()


@pytest.mark.slow
def test_a_loss_trains_a_model(worked):
    losses, rows = worked("loss")
    assert rows == 3  # the training split while it trained and at the end, the test split
    assert all(0 < loss < 100 for loss in losses)


@pytest.mark.slow
def test_a_fine_tuning_method_trains_what_it_says(worked):
    (losses, rows), changed, units, told = worked("method")
    assert told == [[5], 0.05]
    assert rows == 2
    assert all(0 < loss < 100 for loss in losses)
    trained = {index for index, unit in enumerate(units, 1) if any(unit in name for name in changed)}
    assert trained == {5, 6, 7, 8}


@pytest.mark.slow
def test_a_unit_layout_cuts_a_network(worked):
    stages = ["layer1", "layer2", "layer3", "layer4"]
    units, columns = worked("layout")
    assert units == stages
    assert [name for name in columns if name in stages] == stages
    assert worked("real_layout") == stages


@pytest.mark.slow
def test_an_architecture_has_rows_of_the_table_and_is_trained(added, worked):
    table = pd.read_csv(added.folder / "nctransfer/catalog/known_models.csv", keep_default_na=False)
    original = pd.read_csv(ROOT / "nctransfer/catalog/known_models.csv", keep_default_na=False)
    (row,) = table[table["source"] == "plain"].to_dict("records")
    assert (row["name"], row["unit_layout"], row["units"], row["width"], row["crop"]) == (
        "convnet3",
        "stages",
        3,
        64,
        "32",
    )
    assert row["unit_widths"] == 3 + 16 + 32 + 64
    assert float(row["parameters"]) == 0.0243  # 24,346
    assert min(float(row["multiply_adds"]), float(row["activations"])) > 0
    pd.testing.assert_frame_equal(table[table["source"] != "plain"].reset_index(drop=True), original)
    units, planned, (losses, _) = worked("architecture")
    assert units == ["stages.0", "stages.1", "stages.2"]
    assert planned == 3
    assert all(0 < loss < 100 for loss in losses)


@pytest.mark.slow
def test_a_data_source_is_planned_with_its_own_size(worked):
    size, counts, need, _ = worked("source")
    assert size == [200, 200, 4, [16, 16]]
    assert counts == {split: [[200, 16, 16, 3], [0, 1, 2, 3]] for split in ("train", "test")}
    assert need == pytest.approx(2 * 400 * 16 * 16 * 3 / 1e6)


@pytest.mark.slow
def test_a_metric_is_measured(worked):
    values = worked("metric")
    assert 0 < values["within_share"] < 1
    assert values["nc1"] > 0


@pytest.mark.slow
def test_a_claim_is_read(worked):
    assert worked("claim").startswith("Over the units")


# --- data sources that say less ------------------------------------------------------------------

SIZE = """
import json
from nctransfer import variants
from nctransfer.data import sources
from nctransfer.data.dataset import data_set
from nctransfer.data.settings import DataSetSettings

print(json.dumps([[size.train, size.classes] for name in ("folder", "alone", "silent") for size in [
    data_set(variants.settings_class(sources, name, DataSetSettings)(source=name)).size()]]))
"""


def test_a_data_source_of_unknown_size_is_planned_as_a_large_one(tmp_path):
    project = Project.fresh(tmp_path / "p")
    sources = project.folder / "nctransfer/data/sources"
    read = "def open_split(options, split, root):\n    return None\n"
    for name, text in {
        "folder/read.py": read, "alone.py": read, "silent/read.py": read,
        "silent/dataset.py": "from nctransfer.data.dataset import DataSet\nDATA_SET = DataSet\n",
    }.items():  # fmt: skip
        (sources / name).parent.mkdir(exist_ok=True)
        (sources / name).write_text(text)
    assert python(project, SIZE) == [[100_000, 1_000]] * 3


# --- variants in one module --------------------------------------------------------------------------


PRETRAIN = STAMPS.replace("plan.overview(), plan.provenance(), plan.models()", 'plan.pretrain("tiny")')


def test_the_code_of_a_variant_that_is_one_module_counts(tmp_path):
    project = Project.fresh(tmp_path / "p")
    project.edit("tiny.yaml", "training: {", "training: {loss: other, ")
    project.edit("tiny.yaml", 'source: digits, classes: ["0"', 'source: other, classes: ["0"')
    stamps = set()
    for loss, source in (("print", "print"), ("input", "print"), ("input", "input")):
        (project.folder / "nctransfer/training/losses/other.py").write_text(f"build = {loss}\n")
        (project.folder / "nctransfer/data/sources/other.py").write_text(f"open_split = {source}\n")
        stamps.add(python(project, PRETRAIN, "tiny.yaml")["pretrain tiny"])
    assert len(stamps) == 3


# --- a file that lacks a name ----------------------------------------------------------------------------


def own_rows(name):
    from nctransfer.models.write_known_models import own_rows

    return list(own_rows(name))


def objective(name):
    return variants.load(importlib.import_module("nctransfer.training.losses"), name, "loss", ["build"])


LACKING = {
    "figure": ("reporting.figures", {"kind.py": ""}, "kind.py", "KIND", lambda: kind_of("figures", "lacking")),
    "no kind": ("reporting.tables", {"table.py": ""}, "kind.py", "KIND", lambda: kind_of("tables", "lacking")),
    "table": ("reporting.tables", {"kind.py": ""}, "kind.py", "KIND", lambda: kind_of("tables", "lacking")),
    "loss": ("training.losses", {"settings.py": ""}, "settings.py", "SETTINGS", lambda: loss_class("lacking")),
    "no loss": ("training.losses", {"settings.py": ""}, "loss.py", "build", lambda: objective("lacking")),
    "method": ("finetuning.methods", {"lacking.py": ""}, "lacking.py", "METHOD", lambda: method_facts("lacking")),
    "source": ("data.sources", {"dataset.py": ""}, "dataset.py", "DATA_SET", lambda: data_set(DataSetSettings(source="lacking"))),
    "architecture": ("models.architectures", {"lacking.py": ""}, "lacking.py", "build, metadata, adapt", lambda: Architecture("lacking", "x").build()),
    "rows": ("models.architectures", {"lacking.py": ""}, "lacking.py", "UNIT_LAYOUTS", lambda: own_rows("lacking")),
}  # fmt: skip


@pytest.mark.parametrize("name", LACKING)
def test_a_file_that_lacks_a_name_is_told(tmp_path, monkeypatch, name):
    package_name, texts, file, attribute, ask = LACKING[name]
    package = importlib.import_module(f"nctransfer.{package_name}")
    for path, text in texts.items():
        place = tmp_path / path if path == "lacking.py" else tmp_path / "lacking" / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    variants._are_folders.cache_clear()
    loaded = set(sys.modules)
    try:
        with pytest.raises(ConfigError) as error:
            ask()
    finally:
        variants._are_folders.cache_clear()
        for module in set(sys.modules) - loaded:
            if ".lacking" in module:
                del sys.modules[module]
    assert re.fullmatch(rf"\S*/{file}: (missing; it )?must define {attribute}", str(error.value))
