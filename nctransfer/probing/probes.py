"""Linear probes on cached features: training of all units under all settings, and evaluation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nctransfer import variants
from nctransfer.errors import DataError, DegenerateInputError
from nctransfer.probing import solvers
from nctransfer.probing.data import Array, ProbeData, UnitGroup, Weights, check_labels, gather, row_slices
from nctransfer.probing.settings import ProbeSettings


@dataclass(frozen=True)
class Probe:
    """A trained linear classifier on the features of one unit."""

    unit: str  # name of the unit
    settings: ProbeSettings  # of its training
    weights: Tensor  # (d, K), on the device of the training
    bias: Tensor  # (K,)
    train_accuracy: float  # on the training set, in percent
    cross_entropy: float  # mean over the training set, in nats
    objective: float  # the cross-entropy plus wd/2 (||W||^2 + ||b||^2)
    gap: float  # the objective is at least so far above its minimum, given the best bias
    # it has not come half-way from a constant classifier, whose objective is the entropy of the classes, to
    # the minimum, so that its accuracy says nothing of the features
    unconverged: bool

    @property
    def class_count(self) -> int:
        """Number of classes, K."""
        return len(self.bias)

    def accuracy(self, features: Array, labels: Array) -> float:
        """Accuracy (%) on features (N, d) of the probe's unit; DegenerateInputError as ``data.gather``."""
        return score([self], {self.unit: features}, labels)[0].accuracy


@dataclass(frozen=True)
class Score:
    """Accuracy (percent) and mean cross-entropy (nats) of a probe on a data set, and its hits."""

    accuracy: float
    cross_entropy: float
    right: Tensor  # (N,) bool, on the CPU: which samples are classified correctly


def train_probes(
    features: Mapping[str, Array],
    labels: Array,
    settings: Sequence[ProbeSettings],
    *,
    class_count: int | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> list[Probe]:
    """Train a probe for every unit and setting (any mixture), in the order of ``features``, then of settings.

    The result of a probe does not depend, up to rounding, on what else is trained in the call. ``features``
    are unit name -> (N, d), tensors or arrays (also memory-mapped), copied to the device once; labels are
    (N,). By default there are largest label + 1 classes, and the device is that of the features.

    Raises:
        DegenerateInputError: non-finite or ill-shaped features, labels out of range, fewer than two classes,
            no samples, a probe that diverged.
        ConfigError: an unknown solver.
    """
    names = dict.fromkeys(s.solver for s in settings)
    modules = {name: variants.load(solvers, name, needs=["fit"]) for name in names}
    targets = check_labels(labels, class_count)
    if len(targets.unique()) < 2:
        raise DegenerateInputError(
            f"labels: all {len(targets)} are of class {int(targets[0])}, a probe needs at least two classes"
        )
    classes = int(targets.max()) + 1 if class_count is None else class_count
    data = gather(features, targets, classes, _device(features, device), dtype)
    probes_by_place: dict[tuple[str, int], Probe] = {}
    for name, module in modules.items():
        indices = [index for index, entry in enumerate(settings) if entry.solver == name]
        own = [settings[index] for index in indices]
        for group, weights in zip(data.groups, module.fit(data, own), strict=True):
            for unit, probes in _probes(group, weights, data, own).items():
                probes_by_place |= {
                    (unit, index): probe for index, probe in zip(indices, probes, strict=True)
                }
    return [probes_by_place[unit, index] for unit in features for index in range(len(settings))]


def score(probes: Sequence[Probe], features: Mapping[str, Array], labels: Array) -> list[Score]:
    """Evaluate probes of equal class count and device on a data set, those of a unit in one pass.

    ``features`` has (N, d) of the unit of each probe, ``labels`` is (N,). Raises DataError: the unit of a
    probe is missing from the features, or has another width. Raises DegenerateInputError: features or labels
    that ``data.gather`` refuses.
    """
    scores: dict[int, Score] = {}
    for unit in dict.fromkeys(probe.unit for probe in probes):
        indices = [index for index, probe in enumerate(probes) if probe.unit == unit]
        first = probes[indices[0]]
        if unit not in features:
            raise DataError(
                f"unit {unit}: no features to score its probe on; there are: {', '.join(features)}"
            )
        width = first.weights.shape[0]
        if features[unit].ndim == 2 and features[unit].shape[1] != width:
            raise DataError(f"unit {unit}: {features[unit].shape[1]} features, its probe has {width}")
        bias = first.bias
        data = gather({unit: features[unit]}, labels, first.class_count, bias.device, bias.dtype)
        weight = torch.stack([probes[index].weights.T for index in indices])
        offsets = torch.stack([probes[index].bias for index in indices])
        right, entropy = measure(data.units[unit], data.labels, weight, offsets)
        for position, index in enumerate(indices):
            scores[index] = Score(_percent(right[position]), entropy[position], right[position])
    return [scores[index] for index in range(len(probes))]


@torch.no_grad()
def measure(features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, list[float]]:
    """Which samples P classifiers on one unit get right, (P, N) on the CPU, and their mean cross-entropy.

    Shapes: features (N, d), labels (N,), weight (P, K, d), bias (P, K).
    """
    probes, classes, width = weight.shape
    rows_of_weight, offsets = weight.reshape(probes * classes, width), bias.reshape(-1, 1)
    right = torch.zeros(probes, len(features), dtype=torch.bool, device=features.device)
    entropy = torch.zeros(probes, dtype=torch.float64, device=features.device)
    for rows in row_slices(len(features), max(width, probes * classes), features.device):
        targets = labels[rows]
        inputs = features[rows].to(weight.dtype).T
        logits = torch.addmm(offsets, rows_of_weight, inputs).view(probes, classes, -1)
        right[:, rows] = logits.argmax(dim=1) == targets
        index = targets.expand(probes, 1, -1)
        entropy -= logits.log_softmax(dim=1).gather(1, index).sum(dim=(1, 2), dtype=torch.float64)
    return right.cpu(), (entropy / len(features)).tolist()


def _percent(right: Tensor) -> float:
    return 100 * int(right.sum()) / len(right)


def _probes(
    group: UnitGroup, weights: Weights, data: ProbeData, settings: Sequence[ProbeSettings]
) -> dict[str, list[Probe]]:
    """The probes of the units of a group, with their results on the training set."""
    by_unit: dict[str, list[Probe]] = {}
    shares = torch.bincount(data.labels).double() / len(data.labels)
    constant = float(torch.special.entr(shares).sum())
    for index, unit in enumerate(group.names):
        weight, bias = weights.weight[index], weights.bias[index]
        features = data.units[unit]
        right, entropy = measure(features, data.labels, weight, bias)
        for entry, value in zip(settings, entropy, strict=True):
            if not math.isfinite(value):
                raise DegenerateInputError(
                    f"unit {unit} at learning rate {entry.learning_rate:g}: the probe's objective is {value}"
                )
        penalty = (weight.double().square().sum(dim=(1, 2)) + bias.double().square().sum(dim=1)).tolist()
        decays = [entry.weight_decay for entry in settings]
        gaps, bias_gaps = objective_gaps(features, data.labels, weight, bias, decays)
        by_unit[unit] = []
        for p, entry in enumerate(settings):
            objective = entropy[p] + entry.weight_decay / 2 * penalty[p]
            # The weights could still gain more than was gained. Where there is next to nothing to gain
            # (constant features), the distance to the minimum is mostly the bias's.
            unconverged = gaps[p] > max(constant - objective, 0.2 * (gaps[p] + bias_gaps[p]))
            probe = Probe(
                unit, entry, weight[p].T.contiguous(), bias[p], _percent(right[p]), entropy[p], objective,
                gaps[p], unconverged,
            )  # fmt: skip
            by_unit[unit].append(probe)
    return by_unit


@torch.no_grad()
def objective_gaps(
    features: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, decays: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Lower bounds of how far the objectives of P classifiers on one unit are above their minima.

    The first bound leaves out what the bias alone would gain, the second is that.

    The Hessian of the cross-entropy is at most half the second moments of the features, with a 1 for the
    bias (Böhning, 1992, Multinomial logistic regression algorithm, Ann. Inst. Statist. Math. 44). With the
    gradient G of the objective and that bound B, a step of -B^-1 G lowers it by at least tr(G' B^-1 G) / 2.

    Shapes: features (N, d), labels (N,), weight (P, K, d), bias (P, K); one weight decay for each classifier.
    """
    probes, classes, width = weight.shape
    bound = features.new_zeros(width + 1, width + 1, dtype=torch.float64)
    slopes = features.new_zeros(probes, width + 1, classes, dtype=torch.float64)
    parameters = torch.cat([weight, bias[..., None]], dim=2).double().mT
    for rows in row_slices(len(features), max(width, probes * classes), features.device):
        block = torch.nn.functional.pad(features[rows].double(), (0, 1), value=1.0)
        bound += block.T @ block
        errors = (block @ parameters).softmax(dim=2)
        errors[:, torch.arange(len(block)), labels[rows]] -= 1
        slopes += block.T @ errors
    bound /= 2 * len(features)
    gaps, bias_gaps = [], []
    for slope, own, decay in zip(slopes / len(features), parameters, decays, strict=True):
        slope += decay * own
        # rounding must not make a direction without any spread a negative one
        ridge = decay + 1e-12 * bound.diagonal().sum()
        raised = bound.clone()
        raised.diagonal().add_(ridge)
        factor = torch.linalg.cholesky(raised)
        both = float((slope * torch.cholesky_solve(slope, factor)).sum() / 2)
        bias_gaps.append(float(slope[-1].square().sum() / (2 * raised[-1, -1])))
        gaps.append(both - bias_gaps[-1])
    return gaps, bias_gaps


def _device(features: Mapping[str, Array], device: torch.device | str | None) -> torch.device:
    if device is not None:
        # torch.empty resolves "cuda" to "cuda:0", so that devices compare equal.
        return torch.empty(0, device=device).device
    first = next(iter(features.values()), None)
    return first.device if isinstance(first, Tensor) else torch.device("cpu")
