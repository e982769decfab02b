"""Estimates of the host memory and time that a job needs, by arithmetic on what it computes.

Sizes of data sets (``data.dataset``), costs of networks (``catalog.network_costs``) and the speed of a modest
GPU (``dag.device_speeds``). Estimates are meant to be enough, not to be close: a job that is killed
at its limit costs more than one that waits a little longer.

Memory is the host's. On a GPU it holds the process, images on their way and features; the network's
activations count where ``device: cpu`` says that they are there. Features count wherever they are
computed on, because they are read through mapped files, whose pages a cluster charges to the job.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nctransfer.catalog.network_costs import NetworkCosts, network_costs
from nctransfer.config.finetuning_runs import options_of
from nctransfer.config.study import Run
from nctransfer.config.training import loss_class
from nctransfer.dag import device_speeds
from nctransfer.dag.stages import Stages
from nctransfer.dag.views import View
from nctransfer.data.dataset import DataSetSize, data_set

# MB of a process with torch and a CUDA context before it holds anything (an assumption; one on a CPU took
# 1,500 with its images, docs/real-input.md).
PROCESS = 5_000
# Passes through a network, in forward passes: a backward pass costs twice a forward one.
TRAINING = 3.0
# A step of an attack, in training steps: 2/3 by arithmetic (gradients of the input alone), and room for
# what is around them; a step of training against an attack of 7 steps takes 1 + 7 * 0.76 = 6.3.
ATTACK_STEP = 0.76
# Share of the kept activations that is in memory at once without a backward pass (the first maps are the
# largest), and what a backward pass takes beyond them.
INFERENCE_SHARE = 0.2
BACKWARD = 1.5
# Images that a training scores at a time, in its batches; those that a method without training scores.
SCORED_BATCHES, SCORED_IMAGES = 4, 512

FETCHED = 5e6  # bytes a second of a download with its check and unpacking
DECODED = 50  # pictures a second and thread: photographs of some megapixels, decoded and resized
BLOCK = 32 * 3  # pictures that a decoding thread has in memory: being prepared and waiting
PICTURE = 40  # MB of a photograph as it is decoded: 12 megapixels
MB = 1e6
FLOAT32, FLOAT64 = 4, 8

LAUNCHES = 0.005  # seconds of a probe's step: up to five groups of units of one width, 1 ms each
ALGEBRA = 20e9  # FLOP/s of products and decompositions in float64, one core
COPIES = 4  # of a feature matrix that a metric has in memory, in float32: mapped, read, sorted, in work
# All scores of a feature matrix: seconds, and seconds by image, width and class. Measured on two cores with
# d = 2,048 (docs/ranking.md): 42 s (N = 20,000, K = 397) and 106 s (50,000 and 1,000; 10,000 in the mixture).
SCORES, SCORES_EACH, MIXTURE = 30.0, 4e-9, 10_000
SCORE_COPIES = 6  # the same measurements: 2.7 and 4.7 GiB
EPISODE = 0.2  # seconds of a few-shot episode: a logistic regression and the NC1 of its queries


@dataclass(frozen=True)
class Need:
    """What a job is estimated to need, without margin: host memory in MB, and seconds."""

    memory: float
    seconds: float


@dataclass(frozen=True)
class Needs:
    """What the jobs of a plan need.

    Args:
        plan: the plan.
    """

    plan: Stages

    # --- stages, in the order of the river ----------------------------------------------

    def images(self, key: str) -> Need:
        """Download (once a data set; each job asks for it, since any may be the first), decode, write."""
        view = self.plan.image_stores[key]
        size, threads = self._size(view.dataset), self._threads
        # what has one size is read whole; photographs are decoded a few at a time
        whole = 2 * size.images * _picture(size, view)
        pictures = threads * BLOCK * _picture(size, view) + threads * PICTURE
        seconds = size.download * MB / FETCHED + size.images / (DECODED * threads)
        return Need(PROCESS + (whole if size.pixels else pictures), seconds)

    def pretrain(self, model: str) -> Need:
        """Train from scratch: every epoch shows the training images, then the test images."""
        entry = self.plan.trained(model)
        training, size = self.plan.study.training(entry), self._size(entry.dataset)
        costs, batch = self._costs(model), training.batch_size
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
        images = size.images * 3 * math.prod(self.plan.facts(model).size) / MB
        memory = PROCESS + 2 * images + 4 * self._weights(costs)
        return Need(memory + self._activations(costs, views * batch, SCORED_BATCHES * batch, 1.0), seconds)

    def model(self, model: str) -> Need:
        """Fetch weights, a text tower beside them perhaps, and look at the network's units."""
        weights = self._weights(self._costs(model))
        return Need(PROCESS + 4 * weights, 60 + 2 * weights * MB / FETCHED)

    def features(self, model: str, view: str) -> Need:
        """One forward pass of all images; a batch of features is on its way to the disk."""
        costs, size = self._costs(model), self._size_of(model, view)
        batch = self.plan.configuration.features.batch_size
        written = size.images * self._stored_width(model) * FLOAT32
        seconds = self._passes(costs, size.images, batch) + written / (50 * MB) + size.images / 1_000
        memory = PROCESS + 2 * self._weights(costs) + 4 * batch * self._stored_width(model) * FLOAT32 / MB
        return Need(memory + self._activations(costs, 0, batch, 0.0), seconds)

    def finetune(self, run: str) -> Need:
        """Train a part of a network; what is below it takes a forward pass only.

        A kept prefix only saves time. Half of the memory that is asked for is left to it on a CPU.
        """
        asked = self.plan.run(run)
        assert asked is not None
        options = options_of(self.plan.configuration.finetuning, asked)
        costs, size = self._costs(run), self._size(asked.dataset)
        train = min(size.train, (asked.per_class or size.train) * size.classes)
        epochs, batch = (options.epochs, options.batch_size) if asked.facts.trains else (0, SCORED_IMAGES)
        share = self._trained_share(asked, costs.units)
        scored = (math.ceil(epochs / options.evaluate_every) + 1) * size.test + train
        seconds = (1 + (TRAINING - 1) * share) * self._passes(costs, epochs * train, batch)
        seconds += self._passes(costs, scored, SCORED_BATCHES * batch)
        scored_at_once = min(SCORED_BATCHES * batch, max(size.test, train))
        activations = self._activations(costs, min(batch, train), scored_at_once, share)
        if asked.method != "full_ft":
            activations *= 2
        return Need(PROCESS + 4 * self._weights(costs) + activations, 120 + seconds)

    def metrics(self, model: str, view: str) -> Need:
        """NC1 of every unit, as it is and with permuted labels, and decompositions of the covariance."""
        return self._measured(model, view, 1 + self.plan.configuration.metrics.permutations)

    def classifier_metrics(self, model: str, view: str) -> Need:
        """Class means of every unit against the probes' classifiers."""
        return self._measured(model, view, 1)

    def probes(self, model: str, view: str) -> Need:
        """Probes of all units side by side; several rates and decays share a pass over the features."""
        probes, size = self.plan.configuration.probes, self._size_of(model, view)
        width = self._stored_width(model)
        settings = len(probes.learning_rates) * len(probes.weight_decays)
        steps = probes.seeds * probes.epochs * math.ceil(size.train / probes.batch_size)
        flops = 6 * size.train * width * size.classes * probes.epochs * probes.seeds * settings
        # matrices so narrow that a tenth of the device's arithmetic is reached
        seconds = steps * LAUNCHES + 10 * flops / self._device.flops
        classifiers = 4 * settings * probes.seeds * width * size.classes * FLOAT32
        return Need(PROCESS + (size.images * width * FLOAT32 + classifiers) / MB, 60 + seconds)

    def scores(self, model: str, view: str) -> Need:
        """All scores of every unit, of one pooling."""
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

    # --- pieces ----------------------------------------------------------------------

    def _measured(self, model: str, view: str, labelings: int) -> Need:
        """Measure all columns of both splits, one after the other.

        FLOP of a column: covariance 2 N d^2, decompositions some 20 d^3, and for every labeling the class
        means' products 4 N d K; N, d and K as everywhere.
        """
        costs, size = self._costs(model), self._size_of(model, view)
        columns = self._stored_width(model) / costs.widest
        width, samples = costs.widest, size.images
        flops = 2 * samples * width**2 + 2 * 20 * width**3 + 4 * labelings * samples * width * size.classes
        memory = COPIES * max(size.train, size.test) * width * FLOAT32 + 6 * width**2 * FLOAT64
        return Need(PROCESS + memory / MB, 60 + columns * (5 + flops / ALGEBRA))

    @property
    def on_cpu(self) -> bool:
        """Whether the configuration has networks run on the CPU; where ``auto`` leads is not known here."""
        return self.plan.configuration.device == "cpu"

    @property
    def _threads(self) -> int:
        return self.plan.configuration.resources.threads

    @property
    def _device(self) -> device_speeds.Device:
        return device_speeds.cpu(self._threads) if self.on_cpu else device_speeds.GPU

    def _passes(self, costs: NetworkCosts, images: int, batch: int) -> float:
        return self._device.passes(costs.multiply_adds, costs.activations, images, batch)

    def _size(self, dataset: str) -> DataSetSize:
        return data_set(self.plan.configuration.datasets[dataset]).size()

    def _size_of(self, model: str, view: str) -> DataSetSize:
        return self._size(self.plan.find_view(model, view).dataset)

    def _costs(self, model: str) -> NetworkCosts:
        return network_costs(self.plan.facts(model))

    @staticmethod
    def _weights(costs: NetworkCosts) -> float:
        """MB of the weights in float32."""
        return costs.parameters * FLOAT32

    def _activations(self, costs: NetworkCosts, trained: int, scored: int, share: float) -> float:
        """MB of host memory that a batch's maps take: none on a GPU.

        Args:
            costs: of the network.
            trained: images of a batch with a backward pass.
            scored: images of a batch without.
            share: of the network that the backward pass reaches.
        """
        if not self.on_cpu:
            return 0.0
        backward = trained * (share * BACKWARD + (1 - share) * INFERENCE_SHARE)
        return costs.activations * max(backward, scored * INFERENCE_SHARE)

    @staticmethod
    def _trained_share(run: Run, units: int) -> float:
        """Share of a network above the lowest unit that trains: what a backward pass goes through."""
        if run.facts.tunes_units:
            return max(units - min(run.units, default=1) + 1, 1) / units
        return 1.0 if run.method == "full_ft" else 0.0

    def _penultimate_only(self, model: str) -> bool:
        return self.plan.study.kept_units(model) == "penultimate"

    def _stored_width(self, model: str) -> int:
        """Numbers that are kept of an image: of all units by pooling, and of the penultimate feature."""
        costs = self._costs(model)
        if self._penultimate_only(model):
            return costs.width
        return costs.unit_widths * len(self.plan.facts(model).poolings) + costs.width


def _picture(size: DataSetSize, view: View) -> float:
    """MB of a decoded picture as it is stored."""
    if size.pixels:
        return 3 * math.prod(size.pixels) / MB
    resize, crop = view.geometry.resize, view.geometry.crop
    height, width = (crop, crop) if crop else resize if isinstance(resize, tuple) else (resize, resize)
    return 3 * (height or 0) * (width or 0) / MB


# Rules whose needs are estimated; the others ask for little and the same.
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
