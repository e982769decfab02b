"""Every value of the configuration has a reader: another value changes a job."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml

from nctransfer.config import load as loading
from nctransfer.config import yaml_files
from nctransfer.config.configuration import Configuration
from nctransfer.config.reference import classes_below
from nctransfer.config.study import Study
from nctransfer.config.training import SGDSettings
from nctransfer.dag.plan import Plan
from nctransfer.dag.resources import Requests
from nctransfer.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EVERY = yaml_files.read_mapping(ROOT / "tests" / "every_key.yaml")
OTHERS = yaml_files.read_mapping(ROOT / "tests" / "other_values.yaml")

# Read while a job runs, since no result depends on them: the plan knows nothing of these.
WHILE_RUNNING = {
    "PathsSettings.downloads",
    "OperationSettings.checkpoint_minutes",
    "OperationSettings.prefix_cache_gb",
    "OperationSettings.tensorboard",
    "DownloadSettings.silent_seconds",
    "DownloadSettings.least_kb_per_second",
    "DownloadSettings.tries",
    "DownloadSettings.hours",
    "ResourcesSettings.threads",
    "RerunsSettings.software",
}
Place = tuple[str | int, ...]
RUNS: Place = ("tables", "methods", "panels", 0, "runs", 0)
PLACES: dict[str, Place] = OTHERS["places"]
# what to set, and where if not in the class's place
CHANGES: dict[str, dict[str, Any]] = OTHERS["values"]


def holds_settings(annotation: Any) -> bool:
    """Whether a field holds settings, whose fields are tried one by one."""
    is_settings = isinstance(annotation, type) and issubclass(annotation, Settings)
    return is_settings or any(map(holds_settings, get_args(annotation)))


def owner(settings: type[Settings], name: str) -> str:
    """Name of the class that a field is inherited from; what two sections share is tried in both."""
    return next(
        base.__name__
        for base in reversed(settings.__mro__)
        if name in getattr(base, "model_fields", ()) and base is not SGDSettings
    )


FIELDS = {
    f"{owner(settings, name)}.{name}": field.annotation
    for settings in classes_below(Configuration).values()
    for name, field in settings.model_fields.items()
    if not holds_settings(field.annotation) and field.annotation != tuple[()]
}


def choices(annotation: Any) -> list[Any]:
    """The words that a choice allows, in unions too."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [word for part in get_args(annotation) for word in choices(part)]


def another(annotation: Any, value: Any) -> Any:
    """Another allowed value of a switch, a choice or a number."""
    if isinstance(value, bool):
        return not value
    if words := choices(annotation):
        return next(word for word in words if word not in (value, None))
    if isinstance(value, int) and float not in (annotation, *get_args(annotation)):
        return value + 1
    if isinstance(value, int | float):
        return value / 2 if value else 0.25
    raise AssertionError(f"say in other_values.yaml what to try instead of {value!r}")


def set_in(mapping: Any, place: Place, value: Any) -> None:
    *above, key = place
    for step in above:
        mapping = mapping.setdefault(step, {}) if isinstance(mapping, dict) else mapping[step]
    mapping[key] = value


def get_in(part: Any, place: Place) -> Any:
    for step in place:
        part = getattr(part, step) if isinstance(part, Settings) else part[step]
    return part


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("weights.safetensors", "other.safetensors", "data.npz", "other.npz"):
        (folder / name).write_text(name)
    for name in ("data", "other"):
        for split in ("train", "test"):
            (folder / name / split / name).mkdir(parents=True)
    claim = {
        "claim": 1, "statement": "Any.", "where": ["points"], "statistic": "correlation", "effect": "r",
        "options": {"x": "nc1", "y": "transfer_accuracy"}, "direction": "below", "threshold": 0, "source": "Us",
    }  # fmt: skip
    for name, number in (("claims", 1), ("other", 2)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump([claim | {"claim": number}]))
    ends = ",".join(f"{axis}{end}" for axis in ("abscissa", "ordinate") for end in ("", "_low", "_high"))
    (folder / "windows.csv").write_text(f"figure,panel,title,{ends}\npoints,a,any,nc1,1,2,accuracy,3,4\n")
    (folder / "measured.csv").write_text("dataset,model,accuracy\nall,plain,50\nfew,plain,50\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def paper() -> Iterator[None]:
    """Every plan is compared with the paper's, which is read once: it would take half of the time."""

    @cache
    def read(path: Path, *overrides: str) -> Study:
        return loading.load(path, [], overrides)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nctransfer.dag.plan.load", lambda path, _, overrides: read(path, *overrides))
        yield


def plan_of(mapping: dict[str, Any], folder: Path) -> Plan:
    with pytest.MonkeyPatch.context() as patched:  # reading YAML, tested elsewhere, would take long
        patched.setattr(yaml_files, "read_mapping", {folder / "every.yaml": mapping}.__getitem__)
        return Plan(loading.load(folder / "every.yaml"), ROOT)


def fingerprint(mapping: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings, digest, files and requests of every job that the figures and tables of a configuration need."""
    plan = plan_of(mapping, folder)
    for figure in plan.configuration.figures:
        plan.figure(figure)
    for table in plan.configuration.tables:
        plan.table(table)
    plan.scorecard()
    asked = Requests(plan)
    unasked = ("figure", "table", "ranking", "chance", "scorecard")
    requests = {name: asked.request(*name) for name in plan.jobs if name[0] not in unasked}
    return {"jobs": plan.jobs, "requests": requests}


def in_full(folder: Path) -> dict[str, Any]:
    """The configuration of the tests with what cannot stand in a file: other files' places."""
    mapping = copy.deepcopy(EVERY) | {"device": "cpu"}  # which engines other than torch need
    mapping["models"]["file"] = {
        "source": "local", "architecture": "cifar/resnet20", "weights": str(folder / "weights.safetensors"),
        "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2],
    }  # fmt: skip
    data = str(folder / "data.npz")
    mapping["datasets"]["arrays"] = {"source": "arrays", "path": data, "test_fraction": 0.5}
    mapping["datasets"]["two-arrays"] = {"source": "arrays", "train": data, "test": data}
    kinds = {"saved": "huggingface", "folder": "imagefolder", "photos": "torchvision"}
    for dataset, source in kinds.items():
        mapping["datasets"][dataset] = {"source": source, "path": str(folder / "data")}
    mapping["datasets"]["photos"]["name"] = "DTD"
    panels = mapping["figures"]["layers"]["panels"]
    panels += [{"model": "plain", "dataset": dataset} for dataset in ("arrays", "two-arrays", *kinds)]
    mapping["figures"]["points"]["panels"][0]["series"][0]["models"]["file"] = "file"
    mapping["report"] = {"claims": str(folder / "claims.yaml")}
    mapping["figures"]["ranked"] = {"kind": "ranking", "panels": [{"rank": "all"}]}
    return mapping


@pytest.fixture(scope="module")
def before(folder) -> dict[str, Any]:
    return fingerprint(in_full(folder), folder)


@pytest.mark.parametrize("field", sorted(FIELDS.keys() - WHILE_RUNNING))
def test_another_value_changes_a_job(field, folder, before):
    mapping, (settings, _, name) = in_full(folder), field.partition(".")
    change = CHANGES.get(field, {})
    place, value = change.get("at") or PLACES[settings], change.get("value")
    if field not in CHANGES:
        value = another(FIELDS[field], get_in(plan_of(mapping, folder).configuration, (*place, name)))
    if (value == "other" and name != "study") or Path(str(value)).suffix in (
        ".npz",
        ".safetensors",
        ".csv",
        ".yaml",
    ):
        value = str(folder / value)
    set_in(mapping, (*place, name), value)
    assert fingerprint(mapping, folder) != before


# Sections that override others: what they hold is tried one by one above, but not at these places.
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("models", "plain", "training"), {"epochs": 9}),
        (("families", "family", "training"), {"epochs": 9}),
        (("families", "family", "members", "head", "training"), {"epochs": 9}),
        (("finetuned", "run", "options"), {"epochs": 9}),
        ((*RUNS, "options"), {"epochs": 9}),
        (("rank", "runs"), None),
    ],
)
def test_an_override_changes_a_job(place, value, folder, before):
    mapping = in_full(folder)
    set_in(mapping, place, value)
    assert fingerprint(mapping, folder) != before


@pytest.mark.parametrize("field", sorted(WHILE_RUNNING))
def test_what_a_job_reads_while_it_runs_is_read(field):
    section, key = field.replace("Settings", "").lower().split(".")
    reading = rf'configuration\.{section}\.{key}\b|\b{section}("\])?\["{key}"\]|limits\.{key}\b'
    folders = ("nctransfer/runtime", "nctransfer/dag", "workflow/rules", "workflow/scripts")
    files = [path for folder in folders for path in (ROOT / folder).glob("*.*")]
    assert any(re.search(reading, path.read_text()) for path in files)
