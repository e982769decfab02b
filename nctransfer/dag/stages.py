"""The stages of the graph: every job from images to metrics, probes and rankings.

A job is derived from its keys when it is requested; entries that no target needs are never read.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from nctransfer.catalog.model_facts import LIBRARIES, ModelFacts
from nctransfer.collapse.settings import ClassifierMetricsJobSettings, MetricsJobSettings
from nctransfer.config import ranking
from nctransfer.config.finetuning_runs import options_of, run_key, study_runs
from nctransfer.config.mistakes import key_path
from nctransfer.config.models import LocalModelSettings, PretrainedModelSettings
from nctransfer.config.source_accuracy import source_accuracy
from nctransfer.config.study import Run, Study
from nctransfer.config.training import as_read, loop_settings
from nctransfer.dag.digest import job_stamp
from nctransfer.dag.job import Job, once
from nctransfer.dag.tidy_inputs import TidyInputs
from nctransfer.dag.views import SHARDS, View, Views
from nctransfer.data import sources
from nctransfer.data.contents import Contents
from nctransfer.data.dataset import data_set
from nctransfer.errors import ConfigError
from nctransfer.features import engines
from nctransfer.features.settings import (
    FeatureSettings,
    FeaturesJobSettings,
    FeaturesJoinedJobSettings,
    FeaturesShardJobSettings,
)
from nctransfer.few_shot.settings import FewShotJobSettings
from nctransfer.finetuning.method import MethodSettings
from nctransfer.finetuning.settings import FineTuneJobSettings, RunNames
from nctransfer.models.settings import ModelJobSettings, TextTowerSettings
from nctransfer.models.weights_index import files_of
from nctransfer.probing.settings import ProbeRecipeSettings, ProbesJobSettings
from nctransfer.settings import Settings, ViewNames
from nctransfer.stamp import UNSTAMPED
from nctransfer.training import losses
from nctransfer.training.losses.cross_entropy.settings import CrossEntropyOptions
from nctransfer.training.settings import LoopSettings, PretrainJobSettings
from nctransfer.transferability.settings import (
    RankedModel,
    RankingJobSettings,
    ScoresJobSettings,
    ScoringSettings,
)
from nctransfer.variants import module_name

SPLITS = ("train", "test")
# Settings of the training loop that are taken from ``finetuning:`` unchanged.
_LOOP = (
    "epochs", "batch_size", "learning_rate_min", "warmup_epochs", "momentum", "precision", "channels_last",
    "evaluate_every",
)  # fmt: skip


class Stages(Views):
    """Every job of a study except those that report results.

    ``root`` contains the package. ``workflow_file`` gives a file of the workflow, by its path in the project;
    by default those beside the package.
    """

    def __init__(self, study: Study, root: Path, workflow_file: Callable[[str], Path] | None = None) -> None:
        super().__init__(study)
        self.root = Path(root)
        self.workflow_file = workflow_file or self.root.joinpath
        self.results, self.figures, self.tables, self.logs = (
            "/".join(filter(None, (folder, self.configuration.study)))
            for folder in ("results", "figures", "tables", "logs")
        )
        self.jobs: dict[tuple[str, ...], Job] = {}
        self.contents = Contents(self.configuration.reruns.identity)  # of the user's files

    # --- jobs, in the order of the data flow --------------------------------------------

    @once
    def images(self, key: str) -> Job:
        """Decode a data set once and store it as uint8."""
        view = self.image_stores[key]
        entry = data_set(self.configuration.datasets[view.dataset])
        if problems := list(entry.problems()):
            lines = (f"{key_path(('datasets', view.dataset, *path))}: {text}" for path, text in problems)
            raise ConfigError("\n".join(lines))
        stored = None if entry.has_fixed_size else view.geometry
        settings = entry.job_settings(stored, self._seed("images", entry.draw_name(view.dataset)))
        files = {f"file_{index}": path for index, path in enumerate(entry.input_files())}
        reader = module_name(sources, settings.source, "read")
        # what the user's files contain decides about reruns, not where they are or when they were written
        job = self._job("images", settings, {}, variants=[reader], outside=entry.contents(self.contents))
        return replace(job, inputs=files)

    @once
    def pretrain(self, model: str) -> Job:
        """Train a source model."""
        entry = self.trained(model)
        view, facts = self.view(model, entry.dataset), self.facts(model, entry.dataset)
        training = loop_settings(self.study.training(entry))
        settings = PretrainJobSettings(
            architecture=entry.architecture,
            options=entry.options,
            geometry=view.geometry,
            size=facts.size,
            training=training,
            seed=self._seed("pretrain", model),
            device=self.configuration.device,
        )
        inputs = {split: self._store("images", view.images, split) for split in SPLITS}
        variants = [
            module_name(losses, training.loss.name, "loss"),
            f"nctransfer.models.architectures.{facts.library}",
        ]
        images = dict.fromkeys(SPLITS, self._stored_images(view, f"the training of {model!r}"))
        return self._job("pretrain", settings, inputs, images, variants)

    def trained(self, model: str) -> PretrainedModelSettings:
        """The entry of a model that is trained here; ConfigError for other models."""
        entry = self.study.models[model].entry
        if not isinstance(entry, PretrainedModelSettings):
            raise ConfigError(f"{model!r} is not trained here: its source is {entry.source}")
        return entry

    def source_images(self, model: str) -> str:
        """Key of the image store for the training of a model."""
        return self.view(model, self.trained(model).dataset).images

    def downstream_images(self, run: str) -> str:
        """Key of the image store for a fine-tuning run."""
        return self.view(run, self._fine_tuning_run(run).dataset).images

    def training_of(self, model: str) -> str | None:
        """Key of the model whose training produces a model's weights; None if there is none."""
        derived = self.study.models[model]
        return derived.snapshot_of or model if isinstance(derived.entry, PretrainedModelSettings) else None

    def weights_file(self, model: str) -> str | None:
        """The user's file of a model's weights, None if there is none; ConfigError if it is missing."""
        entry = self.study.models[model].entry
        if not isinstance(entry, LocalModelSettings):
            return None
        path = Path(entry.weights).expanduser()
        if not path.is_file():
            raise ConfigError(f"models.{model}.weights: no file {entry.weights!r}")
        return str(path)

    def _fine_tuning_run(self, key: str) -> Run:
        if (run := self.run(key)) is None:
            raise ConfigError(f"{key!r} is no fine-tuning run")
        return run

    @once
    def model(self, model: str) -> Job:
        """Fetch a model's weights and list its units."""
        planned, facts = self.study.models[model], self.facts(model)
        if planned.run is not None:
            where = f"{self.results}/finetuning/{planned.store}"
            raise ConfigError(
                f"{model!r} is a fine-tuned model: its differences from {planned.run.model!r} are in {where}"
            )
        entry = planned.entry
        read = set(ModelJobSettings.model_fields) - {"unit_layout", "size", "native", "epoch"}
        chosen = entry.chosen(read)
        native = entry.source in LIBRARIES and self.study.preprocess(entry) == "native"
        inputs, parents, given, contents = {}, {}, {}, ""
        if trained := self.training_of(model):
            inputs["checkpoint"] = self._store("pretraining", trained)
            parents["checkpoint"] = self.pretrain(trained)
        elif path := self.weights_file(model):
            given["checkpoint"], contents = path, " ".join(map(self.contents.digest, files_of(Path(path))))
            del chosen["weights"]
        settings = ModelJobSettings(
            **chosen,
            unit_layout=facts.unit_layout,
            size=facts.size,
            native=facts.geometry("native") if native else None,  # checked against the installed library
            epoch=planned.epoch,
        )
        variants = [f"nctransfer.models.sources.{entry.source}", *self._network_variants(facts)]
        job = self._job("model", settings, inputs, parents, variants, outside=contents)
        return replace(job, inputs={**job.inputs, **given})

    @once
    def features(self, model: str, view: str) -> Job:
        """Extract the features of all units in one forward pass; or join those that shards extracted."""
        if self.shards(self.find_view(model, view)) > 1:
            return self.features_joined(model, view)
        return self._job("features", *self._extraction(model, view))

    @once
    def features_shard(self, model: str, view: str, shard: str) -> Job:
        """Extract the features of a part of the images."""
        shards = self.shards(self.find_view(model, view))
        if int(shard) >= shards:
            raise ConfigError(f"{model}/{view} has no shard {shard}; there are {shards}, from 0")
        extraction, inputs, parents, variants = self._extraction(model, view)
        # parts have the format that is copied row by row
        values = extraction.told() | {"format": "npy", "shard": int(shard), "shards": shards}
        settings = FeaturesShardJobSettings.read(values)
        return self._job("features_shard", settings, inputs, parents, variants)

    @once
    def features_joined(self, model: str, view: str) -> Job:
        """Join the features of all parts to one store."""
        shards = self.shards(self.find_view(model, view))
        extraction, inputs, parents, variants = self._extraction(model, view)
        settings = FeaturesJoinedJobSettings.read(extraction.told() | {"shards": shards})
        # the parts are deleted: what made them has to be told by the whole too
        variants.append("nctransfer.features.extract")
        for shard in map(str, range(shards)):
            for split in SPLITS:
                name = f"{split}_{shard}"
                inputs[name] = self._store(SHARDS, f"{model}/{view}/{shard}", split)
                parents[name] = self.features_shard(model, view, shard)
        return self._job("features_joined", settings, inputs, parents, variants)

    def _extraction(
        self, model: str, view: str
    ) -> tuple[FeaturesJobSettings, dict[str, str], dict[str, Job], list[str]]:
        """What a job needs to extract features: settings, inputs, the jobs that make them, and variants."""
        shown, facts = self.find_view(model, view), self.facts(model)
        section = self.configuration.features
        options = {name: getattr(section, name) for name in FeatureSettings.model_fields}
        settings = FeaturesJobSettings(
            **options | {"units": self.study.kept_units(model)},
            geometry=shown.geometry,
            poolings=facts.poolings,
            loader="stored" if self.run(model) is None else "tuned",
            device=self.configuration.device,
        )
        inputs, parents = self._model_inputs(model)
        inputs |= {split: self._store("images", shown.images, split) for split in SPLITS}
        parents |= dict.fromkeys(SPLITS, self.images(shown.images))
        variants = [
            f"nctransfer.models.loaders.{settings.loader}",
            module_name(engines, settings.engine),
            *self._network_variants(facts),
        ]
        return settings, inputs, parents, variants

    def _model_inputs(self, model: str) -> tuple[dict[str, str], dict[str, Job]]:
        """Inputs that contain a model, and the jobs that make them: its store, and the run that tuned it."""
        base, tuned = self.study.base(model), self.study.models[model]
        inputs, parents = {"model": self._store("models", base)}, {"model": self.model(base)}
        if tuned.run is not None:
            inputs["tuned"] = self._store("finetuning", tuned.store)
            parents["tuned"] = self.finetune(tuned.store)
        return inputs, parents

    @property
    def run_keys(self) -> list[str]:
        """Keys of all fine-tuning runs, for wildcard constraints."""
        return sorted({model.store for model in self.study.models.values() if model.store})

    @once
    def finetune(self, key: str) -> Job:
        """Fine-tune a model."""
        run = self._fine_tuning_run(key)
        available = self.configuration.datasets[run.dataset].per_class
        if run.per_class and available and run.per_class > available:
            raise ConfigError(
                f"run {key}: {run.per_class} images per class of {run.dataset!r}, which has {available} "
                f"(datasets.{run.dataset}.per_class)"
            )
        view = self.view(key, run.dataset)
        inputs = {"model": self._store("models", run.model)}
        parents = {"model": self.model(run.model)}
        given = {}
        path = self.weights_file(run.model)
        if path and not run.facts.trains:
            given["checkpoint"] = path  # what it contains counts in the model's own digest
        inputs |= {split: self._store("images", view.images, split) for split in SPLITS}
        parents |= dict.fromkeys(SPLITS, self._stored_images(view, f"the fine-tuning {key!r}"))
        options = options_of(self.configuration.finetuning, run)
        names = {name: getattr(run, name) for name in set(RunNames.model_fields) - {"run", "units"}}
        settings = FineTuneJobSettings(
            names=RunNames(run=key, units=" ".join(map(str, run.units)), **names),
            method=self.method_settings(run),
            statistics=options.statistics if run.facts.trains else "frozen",
            per_class=run.per_class,
            loss=CrossEntropyOptions(label_smoothing=options.label_smoothing),
            training=self._loop(run),
            geometry=view.geometry,
            # the same for all methods: they start with the same classifier, images and order
            seed=self._seed("finetuning", run.model, run.dataset, str(run.seed)),
            subset_seed=self._seed("subset", run.dataset, str(run.seed)),
            device=self.configuration.device,
        )
        variants = [
            f"nctransfer.finetuning.methods.{run.method}",
            "nctransfer.training.losses.cross_entropy.loss",
            *self._network_variants(self.facts(key)),
        ]
        job = self._job("finetune", settings, inputs, parents, variants)
        return replace(job, inputs={**job.inputs, **given})

    def method_settings(self, run: Run) -> MethodSettings:
        """Settings of a run's method: its name, the tuned units, and its own options."""
        facts, options = run.facts, options_of(self.configuration.finetuning, run)
        own = {name: getattr(options, name) for name in facts.options if hasattr(options, name)}
        if not facts.trains:
            entry = self.study.models[run.model].entry
            # a local file of weights is an input
            read = set(TextTowerSettings.model_fields) - ({"weights"} if entry.source == "local" else set())
            own["model"] = TextTowerSettings(**entry.chosen(read))
            own["data_set"] = data_set(self.configuration.datasets[run.dataset]).common_name
        return facts.settings(name=run.method, units=run.units, **own)

    def _loop(self, run: Run) -> LoopSettings | None:
        """Settings of a run's training loop; None if nothing trains."""
        if run.learning_rate is None or run.weight_decay is None:
            return None
        options = options_of(self.configuration.finetuning, run)
        return LoopSettings(
            **{name: getattr(options, name) for name in _LOOP},
            learning_rate=run.learning_rate,
            weight_decay=run.weight_decay,
            augmentation=as_read(options.augmentation),
            adversary=None,
            compile=False,
            snapshots=(),
        )

    @once
    def metrics(self, model: str, view: str) -> Job:
        """Measure the collapse of every unit's features."""
        settings = MetricsJobSettings(
            permutations=self.configuration.metrics.permutations,
            names=ViewNames(model=model, view=view),
            seed=self._seed("metrics", model, self.find_view(model, view).shown),
            device=self.configuration.device,
        )
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("metrics", settings, self._feature_stores(model, view), parents)

    @once
    def few_shot(self, model: str, view: str) -> Job:
        """Draw few-shot episodes from a view's images and evaluate a classifier in each."""
        episodes = self.configuration.few_shot
        settings = FewShotJobSettings(
            **{name: getattr(episodes, name) for name in type(episodes).model_fields},
            permutations=self.configuration.metrics.permutations,
            names=ViewNames(model=model, view=view),
            # the same for all models: they get the same episodes; the key's old spelling keeps their numbers
            seed=self._seed("fewshot", self.find_view(model, view).dataset),
        )
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("few_shot", settings, self._feature_stores(model, view), parents)

    @once
    def probes(self, model: str, view: str) -> Job:
        """Train linear probes on the features of all units together."""
        probes, shown = self.configuration.probes, self.find_view(model, view).shown
        settings = ProbesJobSettings(
            **{name: getattr(probes, name) for name in ProbeRecipeSettings.model_fields},
            names=ViewNames(model=model, view=view),
            seeds=tuple(self._seed("probes", model, shown, str(index)) for index in range(probes.seeds)),
            device=self.configuration.device,
        )
        variants = [f"nctransfer.probing.solvers.{probes.solver}"]
        parents = dict.fromkeys(SPLITS, self.features(model, view))
        return self._job("probes", settings, self._feature_stores(model, view), parents, variants)

    @once
    def classifier_metrics(self, model: str, view: str) -> Job:
        """Measure how the probes' classifiers align with the class means (NC3, NC4)."""
        inputs = self._feature_stores(model, view) | {"probes": self._store("probes", f"{model}/{view}")}
        parents = dict.fromkeys(SPLITS, self.features(model, view)) | {"probes": self.probes(model, view)}
        return self._job("classifier_metrics", self._of_classifiers(model, view), inputs, parents)

    @once
    def head_metrics(self, model: str, view: str) -> Job:
        """Measure how a model's own classifier aligns with the class means of its source data (NC3, NC4)."""
        if self.run(model) is not None:
            raise ConfigError(
                f"{model!r} is a fine-tuned model; head_metrics are for models that come with a classifier"
            )
        inputs = self._feature_stores(model, view) | {"model": self._store("models", model)}
        parents = dict.fromkeys(SPLITS, self.features(model, view)) | {"model": self.model(model)}
        return self._job("head_metrics", self._of_classifiers(model, view), inputs, parents)

    def _of_classifiers(self, model: str, view: str) -> ClassifierMetricsJobSettings:
        return ClassifierMetricsJobSettings(
            names=ViewNames(model=model, view=view), device=self.configuration.device
        )

    @once
    def scores(self, model: str, view: str) -> Job:
        """Compute transferability scores of the features of all units."""
        rank = self.configuration.rank
        settings = ScoresJobSettings(
            **{name: getattr(rank, name) for name in ScoringSettings.model_fields},
            names=ViewNames(model=model, view=view),
            pooling=self.facts(model).poolings[0],
            # the same for all models: they are scored on the same images
            seed=self._seed("scores", self.find_view(model, view).dataset),
            device=self.configuration.device,
        )
        inputs = {"train": self._store("features", f"{model}/{view}", "train")}
        variants = [f"nctransfer.transferability.scores.{name}" for name in rank.scores]
        return self._job("scores", settings, inputs, {"train": self.features(model, view)}, variants)

    @once
    def ranking(self, dataset: str) -> Job:
        """Rank models and units on a data set and compare the ranking with measured accuracies."""
        study, rank, inputs = self.study, self.configuration.rank, TidyInputs(self.results)
        ranked = []
        for key in ranking.ranked_models(self.configuration, study.models):
            view = self.view(key, dataset).key
            inputs.add("scores", self.scores(key, view))
            inputs.add("probes", self.probes(key, view))
            source = source_accuracy(study, key)
            if source.history is not None:
                inputs.add("history", self.pretrain(source.history))
            ranked.append(RankedModel(view=view, **dict(source)))
            if panel := ranking.runs_panel(self.configuration, key, dataset):
                for run, _ in study_runs(study, panel):
                    inputs.add("finetuning", self.finetune(run_key(self.configuration.finetuning, run)))
        probes = self.configuration.probes
        settings = RankingJobSettings(
            dataset=dataset,
            measured=ranking.measured_accuracies(study, dataset),
            scores=rank.scores,
            models=tuple(ranked),
            learning_rate=probes.learning_rates[0],
            weight_decay=probes.weight_decays[0],
            tables=tuple(inputs.tables),
        )
        variants = [f"nctransfer.transferability.scores.{name}" for name in rank.scores]
        return self._job("ranking", settings, inputs.paths, inputs.parents, variants)

    # --- helpers ------------------------------------------------------------------------

    @staticmethod
    def _network_variants(facts: ModelFacts) -> list[str]:
        return [
            f"nctransfer.models.architectures.{facts.library}",
            f"nctransfer.models.unit_layouts.{facts.unit_layout}",
        ]

    def _feature_stores(self, model: str, view: str) -> dict[str, str]:
        return {split: self._store("features", f"{model}/{view}", split) for split in SPLITS}

    def _stored_images(self, view: View, reader: str) -> Job:
        """The job that stores images for who reads them more than once; ConfigError if they are streamed."""
        if self.is_streamed(view):
            raise ConfigError(
                f"datasets.{view.dataset}.store: 'stream' is for data of which only features are extracted, "
                f"and {reader} reads the images many times: allowed is 'pixels'"
            )
        return self.images(view.images)

    def _store(self, stage: str, key: str, split: str = "") -> str:
        return "/".join(filter(None, (self.results, stage, key, split, "manifest.json")))

    def _seed(self, *name: str) -> int:
        """Derive a job's seed from the study's seed and the job's name."""
        digest = hashlib.sha256("/".join((str(self.configuration.seed), *name)).encode())
        return int.from_bytes(digest.digest()[:4], "big") >> 1

    def _job(
        self,
        rule: str,
        settings: Settings,
        inputs: Mapping[str, str],
        parents: Mapping[str, Job] | None = None,
        variants: Iterable[str] = (),
        outside: str = "",
    ) -> Job:
        """Complete a job with its stamp.

        ``inputs`` are the files that it reads and ``parents`` the jobs that make them, by name; ``variants``
        are the modules that its settings choose, and ``outside`` is a digest of anything else that it reads.
        """
        script = self.workflow_file(f"workflow/scripts/{rule}.py")
        job = Job(rule, script, (), settings, UNSTAMPED, dict(inputs), frozenset(variants))
        parents = parents or {}
        made_by = {name: parent.stamp.digest for name, parent in parents.items()}
        read = [dict(sorted(inputs.items())), outside]
        path = str(script.absolute())
        stamp = job_stamp(self.root, path, settings.told(), read, made_by, job.variants)
        return replace(job, stamp=stamp, parents=tuple(parents.values()))
