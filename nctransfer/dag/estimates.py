"""Estimates of the host memory and time that a job needs, computed from what it does.

They use sizes of data sets (``data.dataset``), costs of networks (``catalog.network_costs``) and the speed of
a modest GPU (:data:`GPU`). Estimates should be sufficient rather than close: a job that is killed
at its limit costs more than one that waits a little longer.

Memory is host memory. With a GPU it holds the process, images in transit and features; the network's
activations count only with ``device: cpu``. Features always count, because they are read from memory-mapped
files, whose pages a cluster charges to the job.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nctransfer.catalog.network_costs import NetworkCosts, network_costs
from nctransfer.config.finetuning_runs import options_of
from nctransfer.config.training import loss_class
from nctransfer.dag.stages import Stages
from nctransfer.dag.views import View
from nctransfer.data.dataset import DataSetSize, data_set
from nctransfer.data.settings import BYTES_PER_PIXEL

# MB of a process with torch and a CUDA context before it loads any data (an assumption; a process on a CPU
# took 1,500 with its images, docs/real-input.md).
PROCESS = 5_000
WITHOUT_GPU = 1_000
# Cost of a training step in forward passes: a backward pass costs twice a forward one.
TRAINING = 3.0
# Cost of an attack step in training steps: 2/3 by arithmetic (only gradients of the input), plus overhead; a
# training step with an attack of 7 steps then costs 1 + 7 * 0.76 = 6.3.
ATTACK_STEP = 0.76
# Share of the activations that is in memory at once without a backward pass (the first feature maps are the
# largest), and the factor on all activations with one.
INFERENCE_SHARE = 0.2
BACKWARD = 1.5
# Batches that a training evaluates at once, and images that a method without training does.
SCORED_BATCHES, SCORED_IMAGES = 4, 512

FETCHED = 5e6  # bytes per second of a download, including verification and unpacking
DECODED = 50  # photographs of some megapixels that one thread decodes and resizes per second
BLOCK = 32 * 3  # images that a decoding thread has in memory: in preparation and waiting
MB = 1e6
FLOAT32, FLOAT64 = 4, 8  # bytes; networks have millions of parameters

LAUNCHES = 0.005  # seconds per step of the probes: up to five groups of units of one width, 1 ms each
ALGEBRA = 20e9  # FLOP/s of products and decompositions in float64, one core
COPIES = 4  # float32 copies of a feature matrix that a metric has in memory: mapped, read, sorted, in use
# All scores of a feature matrix: seconds, and seconds per image, width and class. Measured on two cores with
# d = 2,048 (docs/ranking.md): 42 s (N = 20,000, K = 397) and 106 s (50,000 and 1,000; 10,000 in the mixture).
SCORES, SCORES_EACH, MIXTURE = 30.0, 4e-9, 10_000
SCORE_COPIES = 6  # from the same measurements: 2.7 and 4.7 GiB
EPISODE = 0.2  # seconds per few-shot episode: a logistic regression and the NC1 of its queries


@dataclass(frozen=True)
class Device:
    """A device as the estimates see it."""

    flops: float  # sustained floating-point operations per second
    bandwidth: float  # sustained bytes per second
    launch: float  # minimum seconds for one pass of a batch through a network

    def passes(self, multiply_adds: float, activations: float, images: int, batch: int) -> float:
        """Seconds to pass images through a network once.

        Arithmetic and memory traffic are added, as if they never overlapped; the activations kept of an image
        are written and read once. A backward pass takes two such passes. Multiply-adds (billions) and
        activations (MB) are per image.
        """
        image = 2e9 * multiply_adds / self.flops + 2e6 * activations / self.bandwidth
        return max(images * image, -(-images // batch) * self.launch)


# A GPU of 2017 (V100): it trains ResNet50 at about 380 images/s in float32 (NVIDIA's DeepLearningExamples),
# 24.5 GFLOP each; less than half of its 900 GB/s. Networks for small images are limited by kernel launches.
GPU = Device(flops=10e12, bandwidth=400e9, launch=0.01)


def cpu(threads: int) -> Device:
    """A CPU, about 25 (8 threads) to 200 times (one) slower than the GPU.

    One core reached 25 (MobileNetV2) to 110 (ViT-Ti) GFLOP/s in the runs of docs/real-input.md.
    """
    return Device(flops=threads * 50e9, bandwidth=threads * 5e9, launch=0.01)


@dataclass(frozen=True)
class Need:
    """Estimated need of a job, without margin: host memory in MB, and seconds."""

    memory: float
    seconds: float


@dataclass(frozen=True)
class Needs:
    """Estimated needs of the jobs of a plan."""

    plan: Stages

    # --- one method per rule, in the order of the data flow ------------------------------

    def images(self, key: str) -> Need:
        """Download, decode, write; every job includes the download, since it may be the first."""
        view = self.plan.image_stores[key]
        size, threads = self._size(view.dataset), self._threads
        # images of one size are read all at once; photographs are decoded a few at a time
        fixed_size = 2 * size.images * _stored_image(size, view)
        entry = self.plan.configuration.datasets[view.dataset]
        # sources without files are of one size
        decoded = getattr(entry, "max_megapixels", 0) * BYTES_PER_PIXEL
        photographs = threads * (BLOCK * _stored_image(size, view) + decoded)
        memory = PROCESS + fixed_size if size.pixels else max(PROCESS, WITHOUT_GPU + photographs)
        seconds = size.download * MB / FETCHED + size.images / (DECODED * threads)
        return Need(memory, seconds)

    def pretrain(self, model: str) -> Need:
        """Train from scratch: every epoch passes the training images, then the test images."""
        entry = self.plan.trained(model)
        training, size = self.plan.study.training(entry), self._size(entry.dataset)
        costs, batch = self._costs(model, entry.dataset), training.batch_size
        epochs, views = training.epochs, 2 if loss_class(training.loss).embeds else 1
        adversary = training.adversary
        attack = adversary.steps * ATTACK_STEP * TRAINING if adversary.level else 0.0
        shown = views * epochs * size.train
        scored = epochs * size.test
        attacked = scored // adversary.evaluate_every + size.test if adversary.level else 0
        seconds = (
            (TRAINING + attack) * self._passes(costs, shown, batch)
            + self._passes(costs, scored, SCORED_BATCHES * batch)
            + attack * self._passes(costs, attacked, batch)
        )
        images = size.images * 3 * math.prod(self.plan.facts(model, entry.dataset).size) / MB
        memory = PROCESS + 2 * images + 4 * FLOAT32 * costs.parameters
        return Need(memory + self._activations(costs, views * batch, SCORED_BATCHES * batch, 1.0), seconds)

    def model(self, model: str) -> Need:
        """Fetch the weights, possibly with a text tower, and inspect the network's units."""
        weights = FLOAT32 * self._costs(model).parameters
        return Need(PROCESS + 4 * weights, 60 + 2 * weights * MB / FETCHED)

    def features(self, model: str, view: str) -> Need:
        """One forward pass of all images; a batch of features waits to be written."""
        dataset = self.plan.find_view(model, view).dataset
        costs, size = self._costs(model, dataset), self._size(dataset)
        batch = self.plan.configuration.features.batch_size
        written = size.images * self._stored_width(model) * FLOAT32
        seconds = self._passes(costs, size.images, batch) + written / (50 * MB) + size.images / 1_000
        memory = (
            PROCESS + 2 * FLOAT32 * costs.parameters + 4 * batch * self._stored_width(model) * FLOAT32 / MB
        )
        return Need(memory + self._activations(costs, 0, batch, 0.0), seconds)

    def finetune(self, run: str) -> Need:
        """Train a part of a network; the units below it only need a forward pass.

        The prefix cache only saves time. On a CPU it gets half of the requested memory.
        """
        tuning = self.plan.run(run)
        assert tuning is not None
        options = options_of(self.plan.configuration.finetuning, tuning)
        costs, size = self._costs(run, tuning.dataset), self._size(tuning.dataset)
        train = min(size.train, (tuning.per_class or size.train) * size.classes)
        epochs, batch = (options.epochs, options.batch_size) if tuning.facts.trains else (0, SCORED_IMAGES)
        # of the network from the lowest trained unit upwards: the part that a backward pass reaches
        share = 1.0 if tuning.method == "full_ft" else 0.0
        if tuning.facts.tunes_units:
            share = max(costs.units - min(tuning.units, default=1) + 1, 1) / costs.units
        scored = (math.ceil(epochs / options.evaluate_every) + 1) * size.test + train
        seconds = (1 + (TRAINING - 1) * share) * self._passes(costs, epochs * train, batch)
        seconds += self._passes(costs, scored, SCORED_BATCHES * batch)
        scored_at_once = min(SCORED_BATCHES * batch, max(size.test, train))
        activations = self._activations(costs, min(batch, train), scored_at_once, share)
        if tuning.method != "full_ft":
            activations *= 2
        return Need(PROCESS + 4 * FLOAT32 * costs.parameters + activations, 120 + seconds)

    def metrics(self, model: str, view: str) -> Need:
        """NC1 of every unit, with true and permuted labels, and decompositions of the covariance."""
        return self._measured(model, view, 1 + self.plan.configuration.metrics.permutations)

    def classifier_metrics(self, model: str, view: str) -> Need:
        """Class means of every unit, compared with the probes' classifiers."""
        return self._measured(model, view, 1)

    def probes(self, model: str, view: str) -> Need:
        """Probes of all units together; several rates and decays share a pass over the features."""
        probes, size = self.plan.configuration.probes, self._size_of(model, view)
        width = self._stored_width(model)
        settings = len(probes.learning_rates) * len(probes.weight_decays)
        steps = probes.seeds * probes.epochs * math.ceil(size.train / probes.batch_size)
        flops = 6 * size.train * width * size.classes * probes.epochs * probes.seeds * settings
        # such narrow matrices reach only a tenth of the device's arithmetic
        seconds = steps * LAUNCHES + 10 * flops / self._device.flops
        classifiers = 4 * settings * probes.seeds * width * size.classes * FLOAT32
        return Need(PROCESS + (size.images * width * FLOAT32 + classifiers) / MB, 60 + seconds)

    def scores(self, model: str, view: str) -> Need:
        """All scores of every unit, for one pooling."""
        costs, size = self._costs(model), self._size_of(model, view)
        samples = min(size.train, self.plan.configuration.rank.samples or size.train)
        matrices = 1 if self._penultimate_only(model) else costs.units + 1
        widths = costs.width if matrices == 1 else costs.width + costs.unit_widths
        each = min(samples, MIXTURE) * size.classes * widths * SCORES_EACH
        algebra = 4 * matrices * costs.widest**2 * (samples + 10 * costs.widest) / ALGEBRA
        memory = SCORE_COPIES * samples * costs.widest * FLOAT32 + 10 * costs.widest**2 * FLOAT64
        return Need(PROCESS + memory / MB, matrices * SCORES + each + algebra)

    def few_shot(self, model: str, view: str) -> Need:
        """Episodes on the penultimate feature, in float64."""
        few_shot, size = self.plan.configuration.few_shot, self._size_of(model, view)
        features = size.images * self._costs(model).width * FLOAT64
        seconds = EPISODE * few_shot.episodes * len(few_shot.shots)
        return Need(PROCESS + COPIES * features / MB, 60 + seconds)

    # --- helpers ---------------------------------------------------------------------

    def _measured(self, model: str, view: str, labelings: int) -> Need:
        """Measure all units of both splits, one after the other.

        FLOP per unit: covariance 2 N d^2, decompositions about 20 d^3, and 4 N d K per labelling for the
        products of the class means (N samples, width d, K classes).
        """
        costs, size = self._costs(model), self._size_of(model, view)
        columns = self._stored_width(model) / costs.widest
        width, samples = costs.widest, size.images
        flops = 2 * samples * width**2 + 2 * 20 * width**3 + 4 * labelings * samples * width * size.classes
        memory = COPIES * max(size.train, size.test) * width * FLOAT32 + 6 * width**2 * FLOAT64
        return Need(PROCESS + memory / MB, 60 + columns * (5 + flops / ALGEBRA))

    @property
    def on_cpu(self) -> bool:
        """Whether networks run on the CPU for certain; the choice of ``auto`` is not known here."""
        return self.plan.configuration.device == "cpu"

    @property
    def _threads(self) -> int:
        return self.plan.configuration.resources.threads

    @property
    def _device(self) -> Device:
        return cpu(self._threads) if self.on_cpu else GPU

    def _passes(self, costs: NetworkCosts, images: int, batch: int) -> float:
        return self._device.passes(costs.multiply_adds, costs.activations, images, batch)

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
        backward = trained * (share * BACKWARD + (1 - share) * INFERENCE_SHARE)
        return costs.activations * max(backward, scored * INFERENCE_SHARE)

    def _penultimate_only(self, model: str) -> bool:
        return self.plan.study.kept_units(model) == "penultimate"

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


# Rules with estimated needs; the others request a small fixed amount.
ESTIMATES: Mapping[str, Callable[..., Need]] = {
    "images": Needs.images,
    "pretrain": Needs.pretrain,
    "model": Needs.model,
    "features": Needs.features,
    "finetune": Needs.finetune,
    "metrics": Needs.metrics,
    "classifier_metrics": Needs.classifier_metrics,
    "head_metrics": Needs.classifier_metrics,
    "probes": Needs.probes,
    "scores": Needs.scores,
    "few_shot": Needs.few_shot,
}
