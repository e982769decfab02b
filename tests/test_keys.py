"""Every key of the configuration is described, has a default or is required, and has a reader that it changes."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from key_readers import chains_read, keys_read, schema_keys

from nctransfer.plan import config, documents, schema
from nctransfer.plan.grid import Plan
from nctransfer.plan.resources import Requests

ROOT = Path(__file__).resolve().parents[1]
RULES = documents.read_mapping(config.SCHEMA)
KEYS = schema_keys(RULES)
EVERY = documents.read_mapping(ROOT / "tests" / "every_key.yaml")
# What only says which keys are allowed, or describes them, reads none.
CHECKS = {"checks.py", "run_checks.py", "episode_checks.py", "schema.py", "reference.py", "names.py"}
FILES = [
    path
    for path in [*(ROOT / "nctransfer").rglob("*.py"), *(ROOT / "workflow" / "scripts").glob("*.py")]
    if path.name not in CHECKS
]


def unread(rules: dict[str, Any]) -> list[str]:
    read = keys_read(FILES)
    return [path for path in schema_keys(rules) if path.rpartition(".")[2] not in read]


def test_code_reads_every_key():
    assert unread(RULES) == []


@pytest.mark.parametrize(
    "place",
    [("properties", "probes"), ("properties", "datasets", "additionalProperties"), ("$defs", "augmentation", "properties", "jitter")],
    ids=lambda place: ".".join(place),
)  # fmt: skip
def test_a_key_that_nothing_reads_is_found(place):
    rules = copy.deepcopy(RULES)
    node = rules
    for step in place:
        node = node[step]
    node["properties"]["undreamt_of"] = {"description": "Read by nothing.", "type": "integer", "default": 1}
    assert [path.rpartition(".")[2] for path in unread(rules)] == ["undreamt_of"]


def test_lists_of_allowed_keys_what_is_written_and_docstrings_are_no_readers(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""settings["in_docstring"]"""\nALLOWED = {"in_a_set", "b"}\nTABLE = ("in_a_tuple",)\n\n\n'
        "def write(settings, key):\n    settings['written'] = {'in_a_dict': 1}\n"
        "    return settings['read'], settings.get('asked'), settings[key]\n\n\nwrite({}, 'through_an_argument')\n"
    )
    assert keys_read([module]) == {"read", "asked", "through_an_argument"}


# --- what a key changes --------------------------------------------------------------------

# Read while a job runs, since no result depends on them: the plan knows nothing of these.
WHILE_RUNNING = {
    "paths.downloads",
    "runs.checkpoint_minutes",
    "runs.prefix_cache_gb",
    "runs.tensorboard",
    "resources.threads",
}
PANEL, RUNS = ("figures", "tuned", "panels", 0), ("tables", "methods", "panels", 0, "runs", 0)
PLACES = {  # where the parts stand that have a place in several sections
    "$defs/training": ("training",),
    "$defs/finetuning": ("finetuning",),
    "$defs/augmentation": ("training", "augmentation"),
    "$defs/rates.*": ("finetuning", "rates", "convolutional", "lp"),
    "$defs/sweep": RUNS,
    "$defs/panels.*": PANEL,
    "families.*.members.*": ("families", "family", "members"),
    "families.*": ("families", "family"),
    "finetuned.*": ("finetuned", "run"),
    "figures.*": ("figures", "points"),
    "tables.*": ("tables", "methods"),
    "datasets.*": ("datasets", "all"),
    "models.*": ("models", "plain"),
}
HUB, PUBLISHED, POINTS = ("datasets", "hub"), ("models", "published"), ("figures", "points", "panels", 0)
# Values for keys that are no numbers, choices or switches, and other places where one section has several kinds.
CHANGES: dict[str, tuple[tuple[str | int, ...] | None, Any]] = {
    "study": (None, "other"),
    "datasets.*.source": (("datasets", "named"), "torchvision"),
    "datasets.*.name": (HUB, "someone/else"),
    "datasets.*.path": (("datasets", "arrays"), "other.npz"),
    "datasets.*.train": (("datasets", "two-arrays"), "other.npz"),
    "datasets.*.test": (("datasets", "two-arrays"), "other.npz"),
    "datasets.*.test_fraction": (None, 0.5),
    "datasets.*.split_seed": (None, 1),
    "datasets.*.config": (HUB, "large"),
    "datasets.*.revision": (HUB, "main"),
    "datasets.*.image_column": (HUB, "picture"),
    "datasets.*.label_column": (HUB, "class"),
    "datasets.*.label_bins": (HUB, 2),
    "datasets.*.train_split": (HUB, "first"),
    "datasets.*.test_split": (HUB, "second"),
    "datasets.*.classes": (("datasets", "few"), ["0", "1", "2"]),
    "datasets.*.per_class": (("datasets", "some"), 10),
    "datasets.*.test_per_class": (("datasets", "some"), 10),
    "datasets.*.count": (("datasets", "small-hub"), 50),
    "datasets.*.validation": (("datasets", "small-hub"), 20),
    "models.*.source": (PUBLISHED, "timm"),
    "models.*.name": (PUBLISHED, "resnet34"),
    "models.*.weights": (("models", "file"), "other.safetensors"),
    "models.*.architecture": (None, "small/resnet34"),
    "models.*.options": (None, {"width": 8}),
    "models.*.family": (("models", "cut"), "stages"),
    "models.*.size": (None, 12),
    "models.*.preprocess": (PUBLISHED, "native"),
    "models.*.mean": (("models", "file"), [0, 0, 0]),
    "models.*.std": (("models", "file"), [1, 1, 1]),
    "models.*.head": (("models", "file"), False),
    "models.*.poolings": (("models", "vit"), ["patch_mean"]),
    "models.*.units": (("models", "squared"), "penultimate"),
    "models.*.source_accuracy": (PUBLISHED, 50),
    "models.*.dataset": (None, "all"),
    "models.*.training": (None, {"epochs": 9}),
    "rank.datasets": (None, ["all", "few", "some"]),
    "rank.models": (None, ["plain", "published"]),
    "rank.scores": (None, ["nc1"]),
    "rank.samples": (None, 50),
    "rank.runs": (None, None),
    "rank.measured": (None, "measured.csv"),
    "families.*.architecture": (None, "small/resnet34"),
    "families.*.options": (None, {"width": 8}),
    "families.*.dataset": (None, "all"),
    "families.*.size": (None, 12),
    "families.*.family": (("families", "cut"), "stages"),
    "families.*.poolings": (("families", "tokens"), ["cls"]),
    "families.*.units": (None, "penultimate"),
    "families.*.training": (None, {"epochs": 9}),
    "families.*.members.*.augmentation": (("families", "family", "members", "aug"), [1, 3]),
    "families.*.members.*.adversary": (("families", "family", "members", "adv"), [1, 3]),
    "families.*.members.*.heads": (("families", "family", "members", "head"), ["none", "mlp2"]),
    "families.*.members.*.training": (("families", "family", "members", "head"), {"epochs": 9}),
    "probes.solver": (None, "lbfgs"),
    "probes.learning_rates": (None, [0.2]),
    "probes.weight_decays": (None, [0.2]),
    "fewshot.shots": (None, [2]),
    "finetuned.*.model": (None, "squared"),
    "finetuned.*.dataset": (None, "few"),
    "finetuned.*.method": (None, "scl_ft"),
    "finetuned.*.units": (None, [4]),
    "finetuned.*.per_class": (None, 10),
    "finetuned.*.learning_rate": (None, 0.3),
    "finetuned.*.weight_decay": (None, 0.3),
    "finetuned.*.features": (("finetuned", "second"), "penultimate"),
    "finetuned.*.options": (None, {"epochs": 9}),
    "features.units": (None, "penultimate"),
    "figures.*.kind": (None, "comparison"),
    "figures.*.section": (None, "Section 3"),
    "tables.*.section": (None, "Section 3"),
    "report.claims": (None, "other.yaml"),
    "report.pictures": (None, []),
    "$defs/panels.*.method": (("figures", "diagram", "panels", 0), "scl_ft"),
    "$defs/panels.*.units": (("figures", "diagram", "panels", 0), [4]),
    "figures.*.panels": (None, [{"dataset": "all", "series": [{"models": {"plain": "plain"}}]}]),
    "tables.*.panels": (None, [{"model": "plain", "dataset": "all", "runs": [{"methods": ["lp"]}]}]),
    "tables.*.kind": (None, "search"),
    "style.nc1_color": (None, "#000000"),
    "style.accuracy_color": (None, "#000000"),
    "style.fit_color": (None, "#000000"),
    "style.titles": (None, {"all": "All digits"}),
    "resources.mem_mb": (None, 9000),
    "resources.runtime": (None, 99),
    "resources.runtime_limit": (None, 1),
    "$defs/training.loss": (None, "mean_squared_error"),
    "$defs/training.mse_weight": (None, 3),
    "$defs/training.projection.head": (None, "mlp1"),
    "$defs/training.projection.hidden": (None, 9),
    "$defs/training.adversary.level": (("models", "plain", "training", "adversary"), 1),
    "$defs/training.adversary.radii": (None, [4, 5]),
    "$defs/training.decay_epochs": (None, [2]),
    "$defs/finetuning.alpha": (None, 9),
    "$defs/panels.*.model": (None, "squared"),
    "$defs/panels.*.dataset": (None, "few"),
    "$defs/panels.*.datasets": (("figures", "sets", "panels", 0), ["few", "some"]),
    "$defs/panels.*.nc1_on": (POINTS, "few"),
    "$defs/panels.*.series": (POINTS, [{"models": {"plain": "plain"}}]),
    "$defs/panels.*.series.*.name": ((*POINTS, "series", 0), "Alone"),
    "$defs/panels.*.series.*.group": ((*POINTS, "series", 1), "family-adv"),
    "$defs/panels.*.series.*.models": ((*POINTS, "series", 0), {"plain": "plain"}),
    "$defs/panels.*.rank": (("figures", "ranked", "panels", 0), "few"),
    "$defs/panels.*.runs": (None, [{"methods": ["lp"]}]),
    "$defs/panels.*.abscissa": (None, "count"),
    "$defs/panels.*.pooling": (("figures", "layers", "panels", 1), "cls"),
    "$defs/panels.*.title": (None, "Title"),
    "$defs/sweep.methods": (None, ["lp"]),
    "$defs/sweep.units": (None, [4]),
    "$defs/sweep.per_class": (None, [5]),
    "$defs/sweep.learning_rates": (None, [0.3]),
    "$defs/sweep.weight_decays": (None, [0.3]),
    "$defs/sweep.seeds": (None, 2),
    "$defs/sweep.features": (None, "penultimate"),
    "$defs/sweep.options": (None, {"epochs": 9}),
}


def is_leaf(part: dict[str, Any]) -> bool:
    """Whether a key holds a value: what is below other keys is tried one by one."""
    below = part.get("items") if "array" in part.get("type", ()) else part.get("additionalProperties")
    return "properties" not in part and not (
        isinstance(below, dict)
        and ("properties" in schema.resolved(below, RULES))
        and part["type"] == "object"
    )


def place_of(path: str) -> tuple[str | int, ...]:
    for prefix, place in PLACES.items():
        if path.startswith(f"{prefix}."):
            return (*place, *path.removeprefix(f"{prefix}.").split("."))
    return tuple(path.split("."))


def another(part: dict[str, Any], value: Any) -> Any:
    """Another allowed value of a switch, a choice or a number."""
    if isinstance(value, bool):
        return not value
    if "enum" in part:
        return next(choice for choice in part["enum"] if choice not in (value, None))
    if isinstance(value, int) and "integer" in part["type"]:
        return value + 1 if value + 1 <= part.get("maximum", value + 1) else value - 1
    if isinstance(value, int | float):
        return value / 2 if value else 0.25
    raise AssertionError(f"say in CHANGES what to try instead of {value!r}")


def set_in(mapping: Any, place: tuple[str | int, ...], value: Any) -> None:
    *above, key = place
    for step in above:
        mapping = mapping.setdefault(step, {}) if isinstance(mapping, dict) else mapping[step]
    mapping[key] = value


def get_in(mapping: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        mapping = mapping[step]
    return mapping


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("keys")
    for name in ("weights.safetensors", "other.safetensors", "data.npz", "other.npz"):
        (found / name).touch()
    claim = {
        "claim": 1, "statement": "Any.", "where": ["points"], "statistic": "correlation", "effect": "r",
        "options": {"x": "nc1", "y": "transfer_accuracy"}, "direction": "below", "threshold": 0, "source": "Us",
    }  # fmt: skip
    for name, number in (("claims", 1), ("other", 2)):
        (found / f"{name}.yaml").write_text(yaml.safe_dump([claim | {"claim": number}]))
    (found / "measured.csv").write_text("dataset,model,accuracy\nall,plain,50\nfew,plain,50\n")
    return found


def fingerprint(mapping: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings, digest, files and requests of every job that the figures and tables of a configuration need."""
    # reading YAML, tested elsewhere, would take three quarters of the time
    files = {config.SCHEMA: RULES, folder / "every.yaml": mapping}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(documents, "read_mapping", files.__getitem__)
        plan = Plan(config.load(folder / "every.yaml"), ROOT)
    for figure in plan.config["figures"]:
        plan.figure(figure)
    for table in plan.config["tables"]:
        plan.table(table)
    plan.scorecard()
    asked = Requests(plan)
    unasked = ("figure", "table", "ranking", "scorecard")
    requests = {name: asked.request(*name) for name in plan.jobs if name[0] not in unasked}
    return {"jobs": plan.jobs, "requests": requests}


def in_full(folder: Path) -> dict[str, Any]:
    """The configuration of the tests with what cannot stand in a file: other files' places."""
    mapping = copy.deepcopy(EVERY)
    mapping["models"]["file"] = {
        "source": "local", "architecture": "cifar/resnet20", "weights": str(folder / "weights.safetensors"),
        "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2],
    }  # fmt: skip
    data = str(folder / "data.npz")
    mapping["datasets"]["arrays"] = {"source": "arrays", "path": data, "test_fraction": 0.5}
    mapping["datasets"]["two-arrays"] = {"source": "arrays", "train": data, "test": data}
    panels = mapping["figures"]["layers"]["panels"]
    panels += [{"model": "plain", "dataset": dataset} for dataset in ("arrays", "two-arrays")]
    mapping["figures"]["points"]["panels"][0]["series"][0]["models"]["file"] = "file"
    mapping["report"] = {"claims": str(folder / "claims.yaml")}
    mapping["figures"]["ranked"] = {"kind": "ranking", "panels": [{"rank": "all"}]}
    return mapping


@pytest.fixture(scope="module")
def before(folder) -> dict[str, Any]:
    return fingerprint(in_full(folder), folder)


LEAVES = sorted(path for path, part in KEYS.items() if is_leaf(part) and path not in WHILE_RUNNING)


@pytest.mark.parametrize("path", LEAVES)
def test_a_change_of_the_key_changes_a_job(path, folder, before):
    mapping, place = in_full(folder), place_of(path)
    if path in CHANGES:
        elsewhere, value = CHANGES[path]
        place = (*elsewhere, place[-1]) if elsewhere else place
    else:
        complete = schema.with_defaults(mapping, RULES, RULES)
        value = another(KEYS[path], get_in(complete, place))
    if isinstance(value, str) and Path(value).suffix in (".npz", ".safetensors", ".csv", ".yaml"):
        value = str(folder / value)
    set_in(mapping, place, value)
    assert fingerprint(mapping, folder) != before


@pytest.mark.parametrize("path", sorted(WHILE_RUNNING))
def test_a_key_that_a_job_reads_while_it_runs_has_a_reader(path):
    section, key = path.split(".")
    assert (section, key) in chains_read(FILES)
