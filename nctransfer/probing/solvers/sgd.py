"""The paper's recipe, SGD with momentum, for all units and settings in one run.

Appendix E of arXiv 2212.12206: multinomial logistic regression by SGD with momentum
0.9 and weight decay 1e-4, 200 epochs, the learning rate annealed along a cosine. The
steps are those of ``torch.optim.SGD`` on an ``nn.Linear`` under cross-entropy, fed by a
shuffling loader that keeps the last, smaller batch; only the arithmetic is arranged
otherwise. On features of a few hundred columns a step of one probe costs microseconds
and its loader a millisecond, so here

- a step gathers the rows of all units of a width at once and serves every setting of a
  seed; seeds ride along, their samples side by side in a row of the batch;
- the gradient of softmax cross-entropy, (P - Y)^T X / B, is written out, and added by the
  same batched product that decays the momentum;
- logits are kept as (classes, batch): the products ``W X^T`` and ``G X`` then read X
  along its rows, several times faster on CPUs than ``X W^T`` and ``X^T G``.

Units and settings share no arithmetic: each gets the same numbers alone or in company,
up to the rounding of sums.
"""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from nctransfer.errors import DegenerateInputError
from nctransfer.probing.data import ProbeData
from nctransfer.probing.settings import ProbeSettings, Weights

logger = logging.getLogger(__name__)

REPORTS = 10
"""Plain log lines in a run."""


def fit(data: ProbeData, settings: Sequence[ProbeSettings]) -> list[Weights]:
    """Train every unit under every setting.

    Args:
        data: features of all units, and labels.
        settings: any learning rates, weight decays and seeds; those that agree in epochs, batch
            size and momentum train in one run.

    Returns:
        The classifiers of each group of units, settings in the order given.

    Raises:
        DegenerateInputError: a probe diverged; the message names its unit and learning rate.
    """
    chosen: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for indices in _runs(settings):
        run = _Run(data, [[settings[index] for index in row] for row in indices])
        run.train()
        for seed, row in enumerate(indices):
            chosen.update((index, run.classifiers(seed, position)) for position, index in enumerate(row))
    found = []
    for g in range(len(data.groups)):
        pairs = [chosen[index][g] for index in range(len(settings))]
        weight = torch.stack([weight for weight, _ in pairs], dim=1)
        found.append(Weights(weight, torch.stack([bias for _, bias in pairs], dim=1)))
    return found


def _runs(settings: Sequence[ProbeSettings]) -> list[list[list[int]]]:
    """Indices of the settings of each run: a row a seed, rows equally long."""
    seeds: dict[tuple[float, ...], list[int]] = {}
    for index, entry in enumerate(settings):
        seeds.setdefault((entry.epochs, entry.batch_size, entry.momentum, entry.seed), []).append(index)
    runs: dict[tuple[float, ...], list[list[int]]] = {}
    for (epochs, batch, momentum, _), row in seeds.items():
        runs.setdefault((epochs, batch, momentum, len(row)), []).append(row)
    return list(runs.values())


def initial(width: int, class_count: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight (K, d) and bias (K,) as ``torch.manual_seed(seed); nn.Linear(d, K)`` draws them."""
    generator = torch.Generator().manual_seed(seed)
    bound = width**-0.5
    weight = torch.empty(class_count, width, dtype=dtype).uniform_(-bound, bound, generator=generator)
    bias = torch.empty(class_count, dtype=dtype).uniform_(-bound, bound, generator=generator)
    return weight, bias


def epoch_order(samples: int, generator: torch.Generator) -> Tensor:
    """Order of the samples in the next epoch, the same on every device."""
    return torch.randperm(samples, generator=generator)


class _Stack:
    """A number for every weight and bias, in one vector, so that updating all is one operation.

    Attributes:
        flat: the vector.
        shapes: of each group of units: R seeds, U units, S settings a seed, K classes.
        weights: views of the vector, (R * U, S * K, d) for each group.
        biases: likewise, (R * U, S * K) for each group.
        bias: the biases of all groups, (sum of R * U, S * K).
    """

    def __init__(self, data: ProbeData, seeds: int, per_seed: int) -> None:
        classes = data.class_count
        self.shapes = [(seeds, len(group.names), per_seed, classes) for group in data.groups]
        batches = [seeds * len(group.names) for group in data.groups]
        columns = per_seed * classes
        sizes = [batch * columns * group.width for batch, group in zip(batches, data.groups, strict=True)]
        total = sum(sizes) + sum(batches) * columns
        self.flat = torch.zeros(total, device=data.device, dtype=data.dtype)
        self.bias = self.flat[sum(sizes) :].view(sum(batches), columns)
        self.biases = list(self.bias.split(batches))
        self.weights = [
            part.view(batch, columns, -1)
            for part, batch in zip(self.flat[: sum(sizes)].split(sizes), batches, strict=True)
        ]

    def by_setting(self, group: int) -> tuple[Tensor, Tensor]:
        """Weights (R, U, S, K, d) and biases (R, U, S, K) of a group."""
        shape = self.shapes[group]
        return self.weights[group].view(*shape, -1), self.biases[group].view(shape)

    def fill(self, values: list[list[float]]) -> None:
        """Give all weights and biases of a setting its value; a row of values a seed."""
        table = torch.tensor(values, dtype=self.flat.dtype, device=self.flat.device)[:, None, :, None]
        for group in range(len(self.shapes)):
            weight, bias = self.by_setting(group)
            weight.copy_(table[..., None])
            bias.copy_(table)


class _Buffers:
    """Room for a step with b samples a seed.

    Attributes:
        gathered: per group (b * R, U * d), the samples of the R seeds side by side.
        inputs: per group the same as (R * U, b, d).
        logits: (sum of R * U, S * K, b) of all groups.
        gradient: likewise; the softmax, then the gradient with respect to the logits.
        bias_gradient: (sum of R * U, S * K).
        one_hot: (R, K, b) targets.
    """

    def __init__(self, data: ProbeData, stack: _Stack, size: int) -> None:
        device, dtype = data.device, data.dtype
        self.gathered, self.inputs = [], []
        for group, (seeds, units, _, _) in zip(data.groups, stack.shapes, strict=True):
            room = torch.empty(size * seeds, units * group.width, device=device, dtype=dtype)
            self.gathered.append(room)
            self.inputs.append(room.view(size, seeds * units, group.width).transpose(0, 1))
        self.logits = torch.empty(*stack.bias.shape, size, device=device, dtype=dtype)
        self.gradient = torch.empty_like(self.logits)
        self.bias_gradient = torch.empty_like(stack.bias)
        self.one_hot = torch.empty(stack.shapes[0][0], data.class_count, size, device=device, dtype=dtype)
        batches = [len(weights) for weights in stack.weights]
        self.logits_of = list(self.logits.split(batches))
        self.gradient_of = list(self.gradient.split(batches))


class _Run:
    """One training of all units; a row of settings a seed, all of equal epochs, batch size and momentum."""

    def __init__(self, data: ProbeData, settings: list[list[ProbeSettings]]) -> None:
        self.data = data
        self.settings = settings
        self.recipe = settings[0][0]
        self.parameters, self.momenta, self.decay, self.rate = (
            _Stack(data, len(settings), len(settings[0])) for _ in range(4)
        )
        self.decay.fill([[entry.weight_decay for entry in row] for row in settings])
        for index, group in enumerate(data.groups):
            weight, bias = self.parameters.by_setting(index)
            for seed, row in enumerate(settings):
                first_weight, first_bias = initial(group.width, data.class_count, row[0].seed, data.dtype)
                weight[seed] = first_weight.to(data.device)
                bias[seed] = first_bias.to(data.device)
        self.generators = [torch.Generator().manual_seed(row[0].seed) for row in settings]
        self.classes = torch.arange(data.class_count, device=data.device)[None, :, None]
        self.buffers: dict[int, _Buffers] = {}

    def classifiers(self, seed: int, position: int) -> list[tuple[Tensor, Tensor]]:
        """Weight (U, K, d) and bias (U, K) of each group for one setting of a seed."""
        pairs = [self.parameters.by_setting(group) for group in range(len(self.data.groups))]
        return [(weight[seed, :, position], bias[seed, :, position]) for weight, bias in pairs]

    @torch.no_grad()
    def train(self) -> None:
        """Run all epochs.

        Raises:
            DegenerateInputError: a probe's weights are no longer finite.
        """
        epochs = self.recipe.epochs
        every = max(1, epochs // REPORTS)
        for epoch in tqdm(range(epochs), desc="probes", unit="epoch", leave=False, disable=None):
            self.rate.fill([[-entry.learning_rate_at(epoch) for entry in row] for row in self.settings])
            self._epoch()
            self._check_finite(epoch)
            if (epoch + 1) % every == 0:
                logger.info("probes by SGD: epoch %d of %d", epoch + 1, epochs)

    def _epoch(self) -> None:
        samples, size, seeds = len(self.data.labels), self.recipe.batch_size, len(self.settings)
        orders = torch.stack([epoch_order(samples, generator) for generator in self.generators])
        orders = orders.to(self.data.device)
        targets = self.data.labels[orders][:, None]
        interleaved = orders.T.reshape(-1)
        for start in range(0, samples, size):
            end = min(start + size, samples)
            if end - start not in self.buffers:  # at most two: the last batch is smaller
                self.buffers[end - start] = _Buffers(self.data, self.parameters, end - start)
            index = interleaved[start * seeds : end * seeds]
            self._step(index, targets[:, :, start:end], self.buffers[end - start])

    def _step(self, index: Tensor, targets: Tensor, room: _Buffers) -> None:
        """One batch: gather, logits, softmax minus one-hot, momenta, weights."""
        momentum, count = self.recipe.momentum, targets.shape[-1]
        parameters, momenta = self.parameters, self.momenta
        for group, weight, bias, gathered, inputs, logits in zip(
            self.data.groups, parameters.weights, parameters.biases, room.gathered, room.inputs,
            room.logits_of, strict=True,
        ):  # fmt: skip
            torch.index_select(group.matrix, 0, index, out=gathered)
            torch.baddbmm(bias[:, :, None], weight, inputs.mT, out=logits)
        by_class = (room.logits.shape[0], -1, self.data.class_count, count)
        torch.softmax(room.logits.view(by_class), 2, out=room.gradient.view(by_class))
        torch.eq(targets, self.classes, out=room.one_hot)
        for shape, inputs, gradient, weight in zip(
            parameters.shapes, room.inputs, room.gradient_of, momenta.weights, strict=True
        ):
            gradient.view(*shape, count).sub_(room.one_hot[:, None, None])
            weight.baddbmm_(gradient, inputs, beta=momentum, alpha=1 / count)
        torch.mean(room.gradient, -1, out=room.bias_gradient)
        torch.add(room.bias_gradient, momenta.bias, alpha=momentum, out=momenta.bias)
        momenta.flat.addcmul_(parameters.flat, self.decay.flat)
        parameters.flat.addcmul_(momenta.flat, self.rate.flat)

    def _check_finite(self, epoch: int) -> None:
        if torch.isfinite(self.parameters.flat).all():
            return
        lost: dict[str, None] = {}
        for index, group in enumerate(self.data.groups):
            weight, _ = self.parameters.by_setting(index)
            bad = ~torch.isfinite(weight).flatten(3).all(dim=3)
            for seed, unit, position in bad.nonzero().tolist():
                rate = self.settings[seed][position].learning_rate
                lost[f"unit {group.names[unit]} at learning rate {rate:g}"] = None
        raise DegenerateInputError(
            f"probes diverged by epoch {epoch + 1}: {', '.join(lost)}; lower the rate or scale the features"
        )
