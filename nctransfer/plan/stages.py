"""The stages of the grid: every job from images to metrics and probes.

A job is derived when it is asked for, from keys alone; entries of the configuration
that no target needs are never looked at.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

from nctransfer.dag.digest import job_stamp
from nctransfer.errors import ConfigError
from nctransfer.plan import catalogue, families, finetuning, ranking, runs, subsets
from nctransfer.plan.documents import given, merge
from nctransfer.plan.model_facts import LIBRARIES, ModelFacts
from nctransfer.plan.readings import Readings
from nctransfer.plan.schema import key_path
from nctransfer.plan.training import training_settings
from nctransfer.plan.views import Views
from nctransfer.stamp import UNSTAMPED, Stamp

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Job:
    """One job of the workflow.

    Attributes:
        rule: its rule, and the name of its script.
        keys: its wildcards.
        settings: what the configuration says to it, plain values.
        stamp: digests of all that decides its result: code, settings, inputs.
        inputs: files that it reads, by name.
        variants: dotted names of the modules that its settings choose.
    """

    rule: str
    keys: tuple[str, ...]
    settings: dict[str, Any]
    stamp: Stamp
    inputs: dict[str, str]
    variants: frozenset[str]

    @property
    def script(self) -> str:
        """Path of its script, relative to the project's root."""
        return f"workflow/scripts/{self.rule}.py"

    def told(self) -> dict[str, Any]:
        """The parameter that carries the job to its script; Snakemake compares its ``repr``."""
        return {"settings": self.settings, "stamp": self.stamp.to_json()}


def once(method: Callable[..., Job]) -> Callable[..., Job]:
    """Derive each job once: Snakemake asks for its inputs and settings one by one."""

    @wraps(method)
    def derived(plan: "Stages", *keys: str) -> Job:
        name = (method.__name__, *keys)
        if name not in plan.jobs:
            plan.jobs[name] = replace(method(plan, *keys), keys=keys)
        return plan.jobs[name]

    return derived


class Stages(Views):
    """Every job that a configuration describes but figures and tables.

    Args:
        config: a complete configuration (see ``config.load``).
        root: the project's root, where the package and the scripts are.
    """

    def __init__(self, config: Mapping[str, Any], root: Path) -> None:
        super().__init__(config)
        self.root = Path(root)
        study = config["study"]
        self.results = "/".join(filter(None, ("results", study)))
        self.figures = "/".join(filter(None, ("figures", study)))
        self.tables = "/".join(filter(None, ("tables", study)))
        self.logs = "/".join(filter(None, ("logs", study)))
        self.jobs: dict[tuple[str, ...], Job] = {}

    # --- jobs, in the order of the river -----------------------------------------------

    @once
    def images(self, key: str) -> Job:
        """Decode a data set once and store it as uint8."""
        view = self.image_stores[key]
        entry = given(self.config["datasets"][view.dataset])
        if problems := catalogue.validate_dataset(entry):
            lines = (f"{key_path(('datasets', view.dataset, *path))}: {text}" for path, text in problems)
            raise ConfigError("\n".join(lines))
        stored = None if catalogue.has_fixed_size(entry) else view.geometry
        seed = self._seed("images", subsets.draw_name(view.dataset, entry))
        settings = catalogue.image_settings(entry, stored) | {"seed": seed}
        # files are inputs, whose contents Snakemake compares; of folders names and sizes count
        files = {f"file_{index}": path for index, path in enumerate(catalogue.input_files(entry))}
        contents = "".join(catalogue.folder_digest(folder) for folder in catalogue.input_folders(entry))
        variant = f"nctransfer.data.sources.{settings['source']}"
        return self._job("images", settings, files, variants=[variant], outside=contents)

    @once
    def pretrain(self, model: str) -> Job:
        """Train a source model."""
        entry = self.config["models"][model]
        images = self.view(model, entry["dataset"]).images
        training = training_settings(merge(self.config["training"], entry["training"]))
        settings = {
            "architecture": entry["architecture"],
            "options": entry["options"],
            "geometry": self.view(model, entry["dataset"]).geometry,
            "size": list(self.facts(model).size),
            "training": training,
            "seed": self._seed("pretrain", model),
            "device": self.config["device"],
        }
        inputs = {split: self._store("images", images, split) for split in SPLITS}
        variants = [
            f"nctransfer.training.losses.{training['loss']['name']}",
            f"nctransfer.models.architectures.{self.facts(model).library}",
        ]
        return self._job("pretrain", settings, inputs, dict.fromkeys(SPLITS, self.images(images)), variants)

    @once
    def model(self, model: str) -> Job:
        """Fetch a model's weights and say which units it has."""
        if self.run(model) is not None:
            where = f"{self.results}/finetuning/{self.config['models'][model]['store']}"
            raise ConfigError(
                f"{model!r} is a fine-tuned model: what it changed of {self.base(model)!r} is in {where}"
            )
        entry, facts = self.config["models"][model], self.facts(model)
        hidden = {
            "poolings",
            "units",
            "preprocess",
            "training",
            "dataset",
            "source_accuracy",
            *families.DERIVED,
        }
        settings = {name: value for name, value in given(entry).items() if name not in hidden}
        settings |= {"family": facts.family, "size": list(facts.size)}
        if entry["source"] in LIBRARIES and (entry["preprocess"] or self.config["preprocess"]) == "native":
            settings["native"] = facts.geometry("native")  # checked against the installed library
        inputs, parents = {}, {}
        if entry["source"] == "pretraining":
            trained = entry.get("snapshot_of", model)
            settings |= {"epoch": entry["epoch"]} if "epoch" in entry else {}
            inputs["checkpoint"] = self._store("pretraining", trained)
            parents["checkpoint"] = self.pretrain(trained)
        elif entry["source"] == "local":
            inputs["checkpoint"] = _existing(f"models.{model}.weights", entry["weights"])
            del settings["weights"]
        variants = [
            f"nctransfer.models.sources.{entry['source']}",
            *self._network_variants(facts),
        ]
        return self._job("model", settings, inputs, parents, variants)

    @once
    def features(self, model: str, view: str) -> Job:
        """Leave the features of all units, from one forward pass."""
        shown, facts = self.find_view(model, view), self.facts(model)
        settings = {
            **self.config["features"],
            "geometry": shown.geometry,
            "poolings": list(facts.poolings),
            "units": runs.kept_units(self.config, model),
            "loader": "stored" if self.run(model) is None else "tuned",
            "device": self.config["device"],
        }
        inputs, parents = self._model_inputs(model)
        inputs |= {split: self._store("images", shown.images, split) for split in SPLITS}
        parents |= dict.fromkeys(SPLITS, self.images(shown.images))
        loader = f"nctransfer.models.loaders.{settings['loader']}"
        return self._job("features", settings, inputs, parents, [loader, *self._network_variants(facts)])

    def _model_inputs(self, model: str) -> tuple[dict[str, str], dict[str, Job]]:
        """What a model is read from, and the jobs that make it: its store, and a tuned one's run."""
        base = self.base(model)
        inputs, parents = {"model": self._store("models", base)}, {"model": self.model(base)}
        if base != model:
            store = self.config["models"][model]["store"]
            inputs["tuned"], parents["tuned"] = self._store("finetuning", store), self.finetune(store)
        return inputs, parents

    @property
    def run_keys(self) -> list[str]:
        """Keys of all fine-tuning runs, for wildcard constraints."""
        return sorted({entry["store"] for entry in self.config["models"].values() if "store" in entry})

    @once
    def finetune(self, key: str) -> Job:
        """Fine-tune a model."""
        run = self.run(key)
        assert run is not None
        there = self.config["datasets"][run.dataset]["per_class"]
        if run.per_class and there and run.per_class > there:
            raise ConfigError(
                f"run {key}: {run.per_class} images a class of {run.dataset!r}, which has {there} "
                f"(datasets.{run.dataset}.per_class)"
            )
        config, facts, view = self.config, self.facts(key), self.view(key, run.dataset)
        inputs, parents = {"model": self._store("models", run.model)}, {"model": self.model(run.model)}
        settings = {
            **finetuning.run_settings(config, key, run),
            "geometry": view.geometry,
            # the same for all methods: they begin with the same classifier, images and order
            "seed": self._seed("finetuning", run.model, run.dataset, str(run.seed)),
            "subset_seed": self._seed("subset", run.dataset, str(run.seed)),
            "device": config["device"],
        }
        base = config["models"][run.model]
        if not runs.method_facts(run.method).trains and base["source"] == "local":
            inputs["checkpoint"] = _existing(f"models.{run.model}.weights", base["weights"])
        inputs |= {split: self._store("images", view.images, split) for split in SPLITS}
        parents |= dict.fromkeys(SPLITS, self.images(view.images))
        variants = [
            f"nctransfer.finetuning.methods.{run.method}",
            "nctransfer.training.losses.cross_entropy",
            *self._network_variants(facts),
        ]
        return self._job("finetune", settings, inputs, parents, variants)

    @once
    def metrics(self, model: str, view: str) -> Job:
        """Measure the collapse of every unit's features."""
        settings = {
            **self.config["metrics"],
            "names": {"model": model, "view": view},
            "seed": self._seed("metrics", model, view),
            "device": self.config["device"],
        }
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("metrics", settings, self._feature_stores(model, view), parents)

    @once
    def fewshot(self, model: str, view: str) -> Job:
        """Draw few-shot episodes from a view's images, and score a classifier in each."""
        settings = {
            **self.config["fewshot"],
            "permutations": self.config["metrics"]["permutations"],
            "names": {"model": model, "view": view},
            # the same for all models: they meet the same episodes
            "seed": self._seed("fewshot", self.find_view(model, view).dataset),
        }
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("fewshot", settings, self._feature_stores(model, view), parents)

    @once
    def probes(self, model: str, view: str) -> Job:
        """Train linear probes on the features of all units at once."""
        probes = self.config["probes"]
        settings = {
            **probes,
            "names": {"model": model, "view": view},
            "seeds": [self._seed("probes", model, view, str(index)) for index in range(probes["seeds"])],
            "device": self.config["device"],
        }
        variants = [f"nctransfer.probing.solvers.{probes['solver']}"]
        inputs = self._feature_stores(model, view)
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("probes", settings, inputs, parents, variants)

    @once
    def classifier_metrics(self, model: str, view: str) -> Job:
        """Measure how the probes' classifiers align with the class means (NC3, NC4)."""
        settings = {"names": {"model": model, "view": view}, "device": self.config["device"]}
        inputs = self._feature_stores(model, view) | {"probes": self._store("probes", f"{model}/{view}")}
        parents = dict.fromkeys(SPLITS, self.features(model, view)) | {"probes": self.probes(model, view)}
        return self._job("classifier_metrics", settings, inputs, parents)

    @once
    def head_metrics(self, model: str, view: str) -> Job:
        """Measure how a model's own classifier aligns with the class means of its source data (NC3, NC4)."""
        if self.run(model) is not None:
            raise ConfigError(
                f"{model!r} is a fine-tuned model; head_metrics are of models that come with a classifier"
            )
        settings = {"names": {"model": model, "view": view}, "device": self.config["device"]}
        inputs = self._feature_stores(model, view) | {"model": self._store("models", model)}
        parents = dict.fromkeys(SPLITS, self.features(model, view)) | {"model": self.model(model)}
        return self._job("head_metrics", settings, inputs, parents)

    @once
    def scores(self, model: str, view: str) -> Job:
        """Score the features of all units: how well will they transfer?"""
        rank = self.config["rank"]
        settings = {
            **{name: rank[name] for name in ("scores", *ranking.LIMITS)},
            "names": {"model": model, "view": view},
            "pooling": self.facts(model).poolings[0],
            # the same for all models: they are scored on the same images
            "seed": self._seed("scores", self.find_view(model, view).dataset),
            "device": self.config["device"],
        }
        inputs = {"train": self._store("features", f"{model}/{view}", "train")}
        variants = [f"{ranking.SCORES}.{name}" for name in rank["scores"]]
        return self._job("scores", settings, inputs, {"train": self.features(model, view)}, variants)

    @once
    def ranking(self, dataset: str) -> Job:
        """Rank models and units on a data set, and compare with measured accuracies."""
        config, rank, readings = self.config, self.config["rank"], Readings(self)
        ranked = []
        for model in ranking.ranked_models(config):
            view = self.view(model, dataset).key
            readings.scores(model, view)
            readings.probes(model, view)
            source = ranking.source_of(config, model)
            if source["history"] is not None:
                readings.history(source["history"])
            ranked.append({"model": model, "view": view, **source})
            if rank["runs"]:
                for run, _ in finetuning.expand(config, ranking.panel(config, model, dataset)):
                    readings.finetuning(runs.run_key(config, run))
        settings = {
            "dataset": dataset,
            "measured": ranking.measured_accuracies(config, dataset),
            "scores": rank["scores"],
            "models": ranked,
            "learning_rate": config["probes"]["learning_rates"][0],
            "weight_decay": config["probes"]["weight_decays"][0],
            "resamples": rank["resamples"],
            "tables": readings.tables,
            "seed": self._seed("rank", dataset),
        }
        variants = [f"{ranking.SCORES}.{name}" for name in rank["scores"]]
        return self._job("ranking", settings, readings.inputs, readings.parents, variants)

    # --- pieces ------------------------------------------------------------------------

    @staticmethod
    def _network_variants(facts: ModelFacts) -> list[str]:
        """Modules that build a network and cut it into units."""
        return [
            f"nctransfer.models.architectures.{facts.library}",
            f"nctransfer.models.families.{facts.family}",
        ]

    def _feature_stores(self, model: str, view: str) -> dict[str, str]:
        return {split: self._store("features", f"{model}/{view}", split) for split in SPLITS}

    def _store(self, stage: str, key: str, split: str = "") -> str:
        return "/".join(filter(None, (self.results, stage, key, split, "manifest.json")))

    def _seed(self, *name: str) -> int:
        """Derive a job's seed from the study's seed and the job's name."""
        digest = hashlib.sha256("/".join((str(self.config["seed"]), *name)).encode())
        return int.from_bytes(digest.digest()[:4], "big") >> 1

    def _job(
        self,
        script: str,
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        parents: Mapping[str, Job] | None = None,
        variants: Iterable[str] = (),
        outside: str = "",
    ) -> Job:
        """Complete a job.

        Args:
            script: name of its script.
            settings: what it is told.
            inputs: files that it reads, by name.
            parents: the jobs that make those of its inputs that are made.
            variants: modules that its settings choose.
            outside: digest of what it reads beyond its inputs.
        """
        # Snakemake compares parameters by repr: sorted plain values, always alike.
        plain = json.loads(json.dumps(settings, sort_keys=True))
        job = Job(script, (), plain, UNSTAMPED, dict(inputs), frozenset(variants))
        stamp = job_stamp(
            self.root,
            job.script,
            plain,
            [dict(sorted(inputs.items())), outside],
            {name: parent.stamp.digest for name, parent in (parents or {}).items()},
            job.variants,
        )
        return replace(job, stamp=stamp)


def _existing(key: str, path: str) -> str:
    """Return a file that the configuration names, if it is there; ConfigError names the key."""
    if not Path(path).expanduser().is_file():
        raise ConfigError(f"{key}: no file {path!r}")
    return str(Path(path).expanduser())
