"""Estimates of what a job needs, computed from what it does: memory, time, disk and downloads.

They use sizes of data sets (``data.dataset``), costs of networks (``catalog.network_costs``) and the speed of
a device (``dag.speeds``, with all other constants of the model). Times are meant to be close; estimates of
memory rather sufficient, because a job that is killed at its limit costs more than one that waits longer.

Memory is host memory. With a GPU it holds the process, images in transit and features; the network's
activations count only on a CPU. Features always count, because they are read from memory-mapped files, whose
pages a cluster charges to the job.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from nctransfer.catalog.network_costs import NetworkCosts, network_costs
from nctransfer.config.finetuning_runs import options_of
from nctransfer.config.training import loss_class
from nctransfer.dag import speeds
from nctransfer.dag.speeds import FLOAT32, FLOAT64, MB
from nctransfer.dag.stages import Stages
from nctransfer.dag.views import View
from nctransfer.data.dataset import DataSetSize, data_set
from nctransfer.data.settings import BYTES_PER_PIXEL


@dataclass(frozen=True)
class Need:
    """Estimated need of a job, without margin."""

    memory: float  # of the host, in MB
    seconds: float  # with its downloads
    disk: float = 0.1  # MB that its results take
    download: float = 0.0  # MB, if nothing has been downloaded yet
    origin: str = ""  # what is downloaded, which other jobs may need too


@dataclass(frozen=True)
class Needs:
    """Estimated needs of the jobs of a plan.

    ``gpu`` is one of ``speeds.GPUS``, or ``none``: all is computed on the CPU, as with ``device: cpu``.
    """

    # whose jobs ask for a GPU and `resources.threads`
    rules_on_gpu: ClassVar = {
        "pretrain", "features", "features_shard", "finetune", "metrics", "classifier_metrics", "head_metrics",
        "probes", "scores",
    }  # fmt: skip

    plan: Stages
    gpu: str = "v100"

    def need(self, rule: str, *keys: str) -> Need:
        """Need of a job of any rule."""
        if rule in ESTIMATES:
            return ESTIMATES[rule](self, *keys)
        return Need(speeds.WITHOUT_GPU, speeds.FIXED.get(rule, 0.5), speeds.PICTURE)

    def cores(self, rule: str) -> int:
        """Threads of the jobs of a rule."""
        return self._threads if rule in self.rules_on_gpu or rule == "images" else 1

    # --- one method per rule, in the order of the data flow ------------------------------

    def images(self, key: str) -> Need:
        """Download, decode, write; every job includes the download, since it may be the first."""
        view = self.plan.image_stores[key]
        size, threads = self._size(view.dataset), self._threads
        stored = size.images * _stored_image(size, view)
        entry = self.plan.configuration.datasets[view.dataset]
        # images of one size are read all at once; photographs are decoded a few at a time
        memory = (
            self._device.process + 2 * stored
            if size.pixels
            else speeds.WITHOUT_GPU + self._photographs(view, size)
        )
        if self.plan.is_streamed(view):
            stored = size.images * speeds.LISTED / MB
        rate = speeds.UNPACKED if size.pixels else speeds.DECODED * threads
        seconds = speeds.READER + size.download * MB / speeds.FETCHED + size.images / rate
        origin = f"{entry.source}/{data_set(entry).common_name or view.dataset}"
        return Need(max(self._device.process, memory), seconds, stored, size.download, origin)

    def pretrain(self, model: str) -> Need:
        """Train from scratch: every epoch passes the training images, then the test images."""
        entry = self.plan.trained(model)
        training, size = self.plan.study.training(entry), self._size(entry.dataset)
        costs, batch = self._costs(model, entry.dataset), training.batch_size
        views, half = 2 if loss_class(training.loss).embeds else 1, training.precision == "bfloat16"
        adversary, epochs = training.adversary, training.epochs
        attack = adversary.steps * speeds.ATTACK_STEP * speeds.TRAINING if adversary.level else 0.0
        attacked = (epochs // adversary.evaluate_every + 1) * attack
        step = self._passes(costs, views * size.train, views * batch, half)
        scored = self._passes(costs, size.test, speeds.SCORED_BATCHES * batch, half)
        seconds = (
            (speeds.TRAINING + attack) * epochs * step
            + speeds.UPDATE * epochs * -(-size.train // batch)
            + max(epochs, 1) * scored
            + attacked * self._passes(costs, size.test, batch, half)
        )
        images = size.images * 3 * math.prod(self.plan.facts(model, entry.dataset).size) / MB
        weights = FLOAT32 * costs.parameters
        memory = self._device.process + 2 * images + 4 * weights
        activations = self._activations(costs, views * batch, speeds.SCORED_BATCHES * batch, 1.0)
        every = training.snapshot_every
        snapshots = epochs // every if every else 0
        return Need(memory + activations, self._device.start + seconds, (1 + snapshots) * weights)

    def model(self, model: str) -> Need:
        """Fetch the weights, possibly with a text tower, and inspect the network's units."""
        weights = FLOAT32 * self._costs(model).parameters
        known = self.plan.facts(model).known
        fetched = 0.0 if self.plan.training_of(model) or self.plan.weights_file(model) else weights
        fetched *= 2 if known.source == "open_clip" else 1
        seconds = speeds.INSPECTED * self._costs(model).units + fetched * MB / speeds.FETCHED
        origin = f"{known.source}/{known.name}/{known.weights}"
        return Need(
            self._device.process + 4 * weights, speeds.cpu(1).start + seconds, weights, fetched, origin
        )

    def features(self, model: str, view: str) -> Need:
        """One forward pass of all images; a batch of features waits to be written."""
        shown, settings = self.plan.find_view(model, view), self.plan.configuration.features
        dataset = shown.dataset
        costs, size, batch = self._costs(model, dataset), self._size(dataset), settings.batch_size
        width = self._stored_width(model) * FLOAT32
        written = size.images * width
        seconds = self._passes(costs, size.images, batch, settings.precision == "bfloat16")
        streamed = 0.0
        if self.plan.is_streamed(shown):
            streamed, decoding = self._photographs(shown, size), size.images / speeds.DECODED / self._threads
            # beside a GPU's work, but with the same cores as that of a CPU
            seconds = seconds + decoding if self.on_cpu else max(seconds, decoding)
        seconds += written / speeds.WRITTEN + 2 * self._columns(model) * speeds.COLUMN
        memory = self._device.process + 2 * FLOAT32 * costs.parameters + 4 * batch * width / MB
        stored = written / MB / (2 if settings.dtype == "float16" else 1)
        activations = streamed + self._activations(costs, 0, batch, 0.0)
        return Need(memory + activations, self._device.start + speeds.LOADED + seconds, stored)

    def features_shard(self, model: str, view: str, _: str) -> Need:
        """A part of the images; its store is deleted when the parts have been joined."""
        whole, start = self.features(model, view), self._device.start + speeds.LOADED
        shards = self.plan.shards(self.plan.find_view(model, view))
        return Need(whole.memory, start + (whole.seconds - start) / shards, whole.disk / shards)

    def features_joined(self, model: str, view: str) -> Need:
        """Check, read and write all features; only rows of one batch are in memory."""
        whole, batch = self.features(model, view), self.plan.configuration.features.batch_size
        memory = speeds.WITHOUT_GPU + 4 * batch * self._stored_width(model) * FLOAT32 / MB
        seconds = speeds.READER + 2 * whole.disk * MB / speeds.WRITTEN
        return Need(memory, seconds + 2 * self._columns(model) * speeds.COLUMN, whole.disk)

    def finetune(self, run: str) -> Need:
        """Train a part of a network; the units below it need a forward pass, once if it can be cached.

        On a CPU the cache gets half of the requested memory.
        """
        tuning = self.plan.run(run)
        assert tuning is not None
        options, facts = options_of(self.plan.configuration.finetuning, tuning), self.plan.facts(run)
        costs, size = self._costs(run, tuning.dataset), self._size(tuning.dataset)
        train = min(size.train, (tuning.per_class or size.train) * size.classes)
        epochs, batch = options.epochs, options.batch_size
        if not tuning.facts.trains:
            epochs, batch = 0, speeds.SCORED_IMAGES
        # of the network from the lowest trained unit upwards: the part that a backward pass reaches
        share = 1.0 if tuning.method == "full_ft" else 0.0
        last = max(tuning.units, default=costs.units) if tuning.method == "layer_lp" else costs.units
        if tuning.facts.tunes_units:
            share = max(last - min(tuning.units, default=1) + 1, 1) / costs.units
        # what is below stays the same, unless images change or statistics of normalisation are updated
        normalised = options.statistics == "update" and "avg" in facts.known.poolings
        cached = epochs > 0 and options.augmentation.level == 1 and share < 1 and not normalised
        half = options.precision == "bfloat16"
        step = self._passes(costs, train, batch, half)
        scored = self._passes(costs, size.test, speeds.SCORED_BATCHES * batch, half)
        tests = math.ceil(epochs / options.evaluate_every)
        forward = share if cached else last / costs.units
        seconds = epochs * ((forward + (speeds.TRAINING - 1) * share) * step) + tests * forward * scored
        # all images once more: the cache, or the accuracy after training
        seconds += step + scored + speeds.UPDATE * epochs * -(-train // batch)
        scored_at_once = min(speeds.SCORED_BATCHES * batch, max(size.test, train))
        activations = self._activations(costs, min(batch, train), scored_at_once, share)
        if tuning.method != "full_ft":
            activations *= 2
        memory = self._device.process + 4 * FLOAT32 * costs.parameters + activations
        return Need(memory, self._device.start + speeds.LOADED + seconds, FLOAT32 * costs.parameters * share)

    def metrics(self, model: str, view: str) -> Need:
        """NC1 of every unit, with true and permuted labels, and decompositions of the covariance."""
        return self._measured(model, view, 1 + self.plan.configuration.metrics.permutations)

    def classifier_metrics(self, model: str, view: str) -> Need:
        """Class means of every unit, compared with the probes' classifiers."""
        return self._measured(model, view, 1)

    def head_metrics(self, model: str, view: str) -> Need:
        """Class means of the penultimate feature, compared with the network's own classifier."""
        return self._measured(model, view, 1, columns=1)

    def probes(self, model: str, view: str) -> Need:
        """Probes of all units together; several rates and decays share a pass over the features."""
        probes, size = self.plan.configuration.probes, self._size_of(model, view)
        width = self._stored_width(model)
        trained = len(probes.weight_decays)
        if probes.solver == "lbfgs":  # neither seeds nor rates matter; products, and changes of the basis
            widest = self._costs(model).widest
            evaluation = 4 * size.classes * width * (size.train + widest)
            moments = 4 * size.train * width * widest
            seconds = (moments + trained * speeds.EVALUATIONS * evaluation) / self._device.float64
        else:
            trained *= len(probes.learning_rates) * probes.seeds
            steps = probes.seeds * probes.epochs * math.ceil(size.train / probes.batch_size)
            flops = 6 * size.train * width * size.classes * probes.epochs * trained
            # such narrow matrices reach only a tenth of the device's arithmetic
            seconds = steps * speeds.PROBE_STEP + 10 * flops / self._device.float32
        seconds += self._columns(model) * speeds.COLUMN
        classifiers = trained * width * size.classes * FLOAT32 / MB
        memory = self._device.process + size.images * width * FLOAT32 / MB + 4 * classifiers
        return Need(memory, self._device.start + seconds, classifiers)

    def scores(self, model: str, view: str) -> Need:
        """All scores of every unit, for one pooling."""
        costs, size = self._costs(model), self._size_of(model, view)
        samples = min(size.train, self.plan.configuration.rank.samples or size.train)
        matrices = 1 if self._penultimate_only(model) else costs.units + 1
        widths = costs.width if matrices == 1 else costs.width + costs.unit_widths
        each = min(samples, speeds.MIXTURE) * size.classes * widths * speeds.SCORES_EACH
        algebra = 4 * matrices * costs.widest**2 * (samples + 10 * costs.widest) / speeds.SCORED_FLOPS
        memory = speeds.SCORE_COPIES * samples * costs.widest * FLOAT32 + 10 * costs.widest**2 * FLOAT64
        seconds = self._device.start + matrices * speeds.SCORES + each + algebra
        return Need(self._device.process + memory / MB, seconds)

    def few_shot(self, model: str, view: str) -> Need:
        """Episodes on the penultimate feature of both splits, which are joined."""
        few_shot, size = self.plan.configuration.few_shot, self._size_of(model, view)
        features = size.images * self._costs(model).width * FLOAT32
        seconds = speeds.EPISODE * few_shot.episodes * len(few_shot.shots)
        return Need(self._device.process + speeds.COPIES * features / MB, speeds.cpu(1).start + seconds)

    # --- helpers ---------------------------------------------------------------------

    def _measured(self, model: str, view: str, labelings: int, columns: int = 0) -> Need:
        """Measure all units of both splits, or so many features, one after the other.

        FLOP per unit: covariance 2 N d^2, decompositions about 20 d^3, and 4 N d K per labelling for the
        products of the class means (N samples, width d, K classes).
        """
        costs, size, device = self._costs(model), self._size_of(model, view), self._device
        # wide features count for more in the products
        widest = columns or self._stored_width(model) / costs.widest
        width, samples = costs.widest, size.images
        products = 2 * samples * width**2 + 4 * labelings * samples * width * size.classes
        algebra = products / device.float64 + 2 * 20 * width**3 / device.decompositions
        each = labelings * (speeds.MEASURED + samples * speeds.MEASURED_EACH) + speeds.COLUMN
        seconds = device.start + widest * algebra + (columns or self._columns(model)) * each
        memory = speeds.COPIES * max(size.train, size.test) * width * FLOAT32 + 6 * width**2 * FLOAT64
        return Need(self._device.process + memory / MB, seconds)

    def _photographs(self, view: View, size: DataSetSize) -> float:
        """MB of what is being decoded."""
        # sources without files are of one size
        largest = getattr(self.plan.configuration.datasets[view.dataset], "max_megapixels", 0)
        return self._threads * (speeds.BLOCK * _stored_image(size, view) + largest * BYTES_PER_PIXEL)

    @property
    def on_cpu(self) -> bool:
        """Whether networks run on the CPU."""
        return self.gpu == "none" or self.plan.configuration.device == "cpu"

    @property
    def _threads(self) -> int:
        return self.plan.configuration.resources.threads

    @property
    def _device(self) -> speeds.Device:
        return speeds.cpu(self._threads) if self.on_cpu else speeds.GPUS[self.gpu]

    def _passes(self, costs: NetworkCosts, images: int, batch: int, half: bool) -> float:
        return self._device.passes(costs, images, batch, half)

    def _size(self, dataset: str) -> DataSetSize:
        return data_set(self.plan.configuration.datasets[dataset]).size()

    def _size_of(self, model: str, view: str) -> DataSetSize:
        return self._size(self.plan.find_view(model, view).dataset)

    def _costs(self, model: str, dataset: str | None = None) -> NetworkCosts:
        return network_costs(self.plan.facts(model, dataset))

    def _activations(self, costs: NetworkCosts, trained: int, scored: int, share: float) -> float:
        """MB of host memory for the activations of a batch: none on a GPU.

        ``trained`` and ``scored`` are images per batch with and without a backward pass, which reaches a
        ``share`` of the network.
        """
        if not self.on_cpu:
            return 0.0
        backward = trained * (share * speeds.BACKWARD + (1 - share) * speeds.INFERENCE_SHARE)
        return costs.activations * max(backward, scored * speeds.INFERENCE_SHARE)

    def _penultimate_only(self, model: str) -> bool:
        return self.plan.study.kept_units(model) == "penultimate"

    def _columns(self, model: str) -> int:
        """Number of stored features: stem and units with all poolings, and the penultimate feature."""
        if self._penultimate_only(model):
            return 1
        return (self._costs(model).units + 1) * len(self.plan.facts(model).poolings) + 1

    def _stored_width(self, model: str) -> int:
        """Stored numbers per image: all units with all poolings, and the penultimate feature."""
        costs = self._costs(model)
        if self._penultimate_only(model):
            return costs.width
        return costs.unit_widths * len(self.plan.facts(model).poolings) + costs.width


def _stored_image(size: DataSetSize, view: View) -> float:
    """MB of a decoded image as it is stored."""
    if size.pixels:
        return 3 * math.prod(size.pixels) / MB
    resize, crop = view.geometry.resize, view.geometry.crop
    height, width = (crop, crop) if crop else resize if isinstance(resize, tuple) else (resize, resize)
    return 3 * (height or 0) * (width or 0) / MB


# Rules with estimated needs; the others need, and request, a small fixed amount.
ESTIMATES: Mapping[str, Callable[..., Need]] = {
    "images": Needs.images,
    "pretrain": Needs.pretrain,
    "model": Needs.model,
    "features": Needs.features,
    "features_shard": Needs.features_shard,
    "features_joined": Needs.features_joined,
    "finetune": Needs.finetune,
    "metrics": Needs.metrics,
    "classifier_metrics": Needs.classifier_metrics,
    "head_metrics": Needs.head_metrics,
    "probes": Needs.probes,
    "scores": Needs.scores,
    "few_shot": Needs.few_shot,
}
