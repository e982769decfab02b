"""The paper's recipe, SGD with momentum, for all units and settings in one run.

Appendix E of arXiv 2212.12206: multinomial logistic regression by SGD with momentum 0.9 and weight decay
1e-4, 200 epochs, with a cosine learning rate. The steps are those of ``torch.optim.SGD`` on an ``nn.Linear``
under cross-entropy with a shuffling loader that keeps the last, smaller batch; only the arithmetic is
arranged differently. On features of a few hundred columns a step of one probe takes microseconds and its
loader a millisecond, so here

- a step gathers the rows of all units at once and serves all settings of a seed; units of one width share one
  batched product (seeds, which have different batches, share nothing and run one after the other, which suits
  caches);
- the gradient of softmax cross-entropy, (P - Y)^T X / B, is written out, and added by the same batched
  product that decays the momentum;
- logits are stored as (classes, batch): the products ``W X^T`` and ``G X`` then read X along its rows,
  several times faster on CPUs than ``X W^T`` and ``X^T G``.

Units and settings share no arithmetic: each has the same results alone or together with others, up to the
rounding of sums.
"""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from nctransfer.data.keyed_random import Stream, generator
from nctransfer.errors import DegenerateInputError
from nctransfer.probing.data import ProbeData, Weights
from nctransfer.probing.settings import ProbeSettings

logger = logging.getLogger(__name__)

REPORTS = 10
"""Number of progress lines in the log of a run."""


def fit(data: ProbeData, settings: Sequence[ProbeSettings]) -> list[Weights]:
    """Train every unit under every setting; those of equal seed, epochs, batch size and momentum in one run.

    Returns:
        the classifiers of each group of units, settings in the given order.

    Raises:
        DegenerateInputError: a probe diverged; the message names its unit and learning rate.
    """
    trained: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for indices in _runs(settings):
        run = _Run(data, [settings[index] for index in indices])
        run.train()
        trained.update((index, run.classifiers(position)) for position, index in enumerate(indices))
    classifiers = []
    for group in range(len(data.groups)):
        pairs = [trained[index][group] for index in range(len(settings))]
        weight = torch.stack([weight for weight, _ in pairs], dim=1)
        classifiers.append(Weights(weight, torch.stack([bias for _, bias in pairs], dim=1)))
    return classifiers


def _runs(settings: Sequence[ProbeSettings]) -> list[list[int]]:
    """Indices of settings with equal batches and momentum, which train together."""
    runs: dict[tuple[float, ...], list[int]] = {}
    for index, entry in enumerate(settings):
        runs.setdefault((entry.epochs, entry.batch_size, entry.momentum, entry.seed), []).append(index)
    return list(runs.values())


def initial(unit: str, width: int, class_count: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight (K, d) and bias (K,) of a unit, as ``nn.Linear(d, K)`` draws them."""
    draw, bound = generator(seed, Stream.PROBE, unit), width**-0.5
    weight = torch.empty(class_count, width, dtype=dtype).uniform_(-bound, bound, generator=draw)
    bias = torch.empty(class_count, dtype=dtype).uniform_(-bound, bound, generator=draw)
    return weight, bias


def epoch_order(samples: int, seed: int, epoch: int) -> Tensor:
    """Order of the samples in an epoch, the same on every device and for all units."""
    return torch.randperm(samples, generator=generator(seed, Stream.ORDER, epoch))


class _Stack:
    """One number per weight and bias, in one vector, so that one operation updates all.

    Dimensions: U units of a group, S settings, K classes, d features.

    Attributes:
        flat: the vector.
        weights: views of the vector, (U, S * K, d) for each group.
        biases: likewise, (U, S * K) for each group.
        bias: the biases of all groups, (sum of U, S * K).
    """

    def __init__(self, data: ProbeData, settings: int) -> None:
        units = [len(group.names) for group in data.groups]
        columns = settings * data.class_count
        sizes = [len(group.names) * columns * group.width for group in data.groups]
        total = sum(sizes) + sum(units) * columns
        self.flat = torch.zeros(total, device=data.device, dtype=data.dtype)
        self.bias = self.flat[sum(sizes) :].view(sum(units), columns)
        self.biases = list(self.bias.split(units))
        parts = self.flat[: sum(sizes)].split(sizes)
        self.weights = [part.view(count, columns, -1) for part, count in zip(parts, units, strict=True)]
        self.settings = settings

    def by_setting(self, group: int) -> tuple[Tensor, Tensor]:
        """Weights (U, S, K, d) and biases (U, S, K) of a group."""
        split = (self.settings, -1)
        return self.weights[group].unflatten(1, split), self.biases[group].unflatten(1, split)

    def fill(self, values: list[float]) -> None:
        """Set all weights and biases of each setting to its value."""
        table = torch.tensor(values, dtype=self.flat.dtype, device=self.flat.device)[:, None]
        for group in range(len(self.weights)):
            weight, bias = self.by_setting(group)
            weight.copy_(table[..., None])
            bias.copy_(table)


class _Buffers:
    """Memory for a step with b samples, and the operands of its products.

    Attributes:
        gathered: (b, sum of U * d), the samples.
        logits: (sum of U, S, K, b).
        gradient: likewise; the softmax, then the gradient with respect to the logits.
        flat_gradient: the same memory as (sum of U, S * K, b).
        bias_gradient: (sum of U, S * K).
        one_hot: (K, b) targets.
        forward: for each group bias (U, S * K, 1), weight (U, S * K, d), inputs (U, d, b), logits (U, S * K,
            b).
        backward: likewise momentum (U, S * K, d), gradient (U, S * K, b), inputs (U, b, d).
    """

    def __init__(self, data: ProbeData, parameters: _Stack, momenta: _Stack, size: int) -> None:
        units, columns = parameters.bias.shape
        like = parameters.flat.new_empty
        self.gathered = like(size, data.width)
        flat_logits, self.flat_gradient = like(units, columns, size), like(units, columns, size)
        self.logits = flat_logits.unflatten(1, (parameters.settings, -1))
        self.gradient = self.flat_gradient.unflatten(1, (parameters.settings, -1))
        self.bias_gradient = like(units, columns)
        self.one_hot = like(data.class_count, size)
        self.forward: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self.backward: list[tuple[Tensor, Tensor, Tensor]] = []
        first = 0
        for index, group in enumerate(data.groups):
            span = slice(first, first + len(group.names))
            first = span.stop
            shape = (len(group.names), group.width)
            inputs = self.gathered[:, group.columns].unflatten(1, shape).transpose(0, 1)
            bias, weight = parameters.biases[index][..., None], parameters.weights[index]
            self.forward.append((bias, weight, inputs.mT, flat_logits[span]))
            self.backward.append((momenta.weights[index], self.flat_gradient[span], inputs))


class _Run:
    """One training of all units, under settings of equal seed, epochs, batch size and momentum."""

    def __init__(self, data: ProbeData, settings: list[ProbeSettings]) -> None:
        self.data = data
        self.settings = settings
        self.recipe = settings[0]
        self.parameters, self.momenta, self.decay, self.rate = (_Stack(data, len(settings)) for _ in range(4))
        self.decay.fill([entry.weight_decay for entry in settings])
        for index, group in enumerate(data.groups):
            weight, bias = self.parameters.by_setting(index)
            for place, unit in enumerate(group.names):
                drawn = initial(unit, group.width, data.class_count, self.recipe.seed, data.dtype)
                weight[place], bias[place] = drawn
        self.classes = torch.arange(data.class_count, device=data.device)[:, None]
        self.buffers: dict[int, _Buffers] = {}

    def classifiers(self, position: int) -> list[tuple[Tensor, Tensor]]:
        """Weight (U, K, d) and bias (U, K) of each group under one setting."""
        pairs = [self.parameters.by_setting(group) for group in range(len(self.data.groups))]
        return [(weight[:, position], bias[:, position]) for weight, bias in pairs]

    @torch.no_grad()
    def train(self) -> None:
        """Run all epochs; DegenerateInputError where the weights of a probe are no longer finite."""
        epochs = self.recipe.epochs
        every = max(1, epochs // REPORTS)
        for epoch in tqdm(range(epochs), desc="probes", unit="epoch", leave=False, disable=None):
            self.rate.fill([-entry.learning_rate_at(epoch) for entry in self.settings])
            self._epoch(epoch)
            self._check_finite(epoch)
            if (epoch + 1) % every == 0:
                logger.info("probes by SGD, seed %d: epoch %d of %d", self.recipe.seed, epoch + 1, epochs)

    def _epoch(self, epoch: int) -> None:
        samples, size = len(self.data.labels), self.recipe.batch_size
        order = epoch_order(samples, self.recipe.seed, epoch).to(self.data.device)
        targets = self.data.labels[order]
        for start in range(0, samples, size):
            end = min(start + size, samples)
            if end - start not in self.buffers:  # at most two: the last batch is smaller
                self.buffers[end - start] = _Buffers(self.data, self.parameters, self.momenta, end - start)
            self._step(order[start:end], targets[start:end], self.buffers[end - start])

    def _step(self, index: Tensor, targets: Tensor, buffers: _Buffers) -> None:
        """One batch: samples, logits, softmax minus one-hot, momenta, weights."""
        momentum, share = self.recipe.momentum, 1 / len(targets)
        self.data.select(index, buffers.gathered)
        for bias, weight, inputs, logits in buffers.forward:
            torch.baddbmm(bias, weight, inputs, out=logits)
        torch.softmax(buffers.logits, 2, out=buffers.gradient)
        torch.eq(targets, self.classes, out=buffers.one_hot)
        buffers.gradient.sub_(buffers.one_hot)
        for velocity, gradient, inputs in buffers.backward:
            velocity.baddbmm_(gradient, inputs, beta=momentum, alpha=share)
        torch.mean(buffers.flat_gradient, -1, out=buffers.bias_gradient)
        torch.add(buffers.bias_gradient, self.momenta.bias, alpha=momentum, out=self.momenta.bias)
        self.momenta.flat.addcmul_(self.parameters.flat, self.decay.flat)
        self.parameters.flat.addcmul_(self.momenta.flat, self.rate.flat)

    def _check_finite(self, epoch: int) -> None:
        if torch.isfinite(self.parameters.flat).all():
            return
        diverged: dict[str, None] = {}
        for index, group in enumerate(self.data.groups):
            weight, _ = self.parameters.by_setting(index)
            bad = ~torch.isfinite(weight).flatten(2).all(dim=2)
            for unit, position in bad.nonzero().tolist():
                rate = self.settings[position].learning_rate
                diverged[f"unit {group.names[unit]} at learning rate {rate:g}"] = None
        raise DegenerateInputError(
            f"probes diverged by epoch {epoch + 1}: {', '.join(diverged)}; lower the rate or scale the "
            "features"
        )
