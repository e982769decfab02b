"""The exact minimum of the recipe's objective, by L-BFGS.

Multinomial logistic regression with the penalty that SGD's weight decay amounts to,

    f(Theta) = mean cross-entropy of Theta [x; 1] + wd / 2 ||Theta||_F^2,   Theta = [W, b] of (K, d + 1),

strictly convex for wd > 0, so that learning rate, epochs, batches and seed do not matter. The spectrum of a
network's features covers many decades, on which L-BFGS converges slowly. The Hessian is about ``c M + wd I``,
with M the second moment of [x; 1] and c the curvature of the softmax, so the search is in ``Z = Theta L``
with ``L L^T = c M + wd I``, where it needs 10 to 60 evaluations, each of which reads the features once, block
by block, from wherever they are. Only the coordinates change: objective and penalty remain those of Theta.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from tqdm import tqdm

from nctransfer.errors import DegenerateInputError
from nctransfer.probing.data import ProbeData, Weights, row_slices
from nctransfer.probing.settings import ProbeSettings

logger = logging.getLogger(__name__)

CURVATURE = 0.25
"""c K: mean p (1 - p) of a fitted softmax, times the number of classes K. It was 0.005 (separable) to 0.7 on
synthetic features with K from 10 to 397; any value from 0.1 to 1 needs about as many evaluations, and a
second search with the second moments that a first fit weights saved none."""

LEAST_DECREASE = {torch.float32: 1e-9, torch.float64: 1e-14}
"""Relative decrease of the objective at which the search ends: larger than the rounding of the products."""

GRADIENT_NORM = {torch.float32: 3e-4, torch.float64: 1e-7}
"""Gradient norm in Z at which the search ends, times the square root of an objective below 1: where the
Hessian is about the identity, the objective is within half of the square; the better the fit, the smaller is
the Hessian."""

UNFINISHED = 1e-2
"""Gradient norm in Z above which a warning says that this is not the minimum: up to 1e-3 above it."""

MAX_ITERATIONS = 1000
MEMORY = 20
"""Number of pairs of steps and gradients that L-BFGS stores."""


def fit(data: ProbeData, settings: Sequence[ProbeSettings]) -> list[Weights]:
    """Minimise the objective of every unit for every weight decay, the only setting that is read.

    Returns the classifiers of each group of units, settings in the given order; DegenerateInputError, naming
    the unit, for features too large for their floating dtype.
    """
    decays = list(dict.fromkeys(entry.weight_decay for entry in settings))
    place = [decays.index(entry.weight_decay) for entry in settings]
    solved = []
    units = sum(len(group.names) for group in data.groups)
    with tqdm(total=units, desc="probes", unit="unit", leave=False, disable=None) as bar:
        for group in data.groups:
            thetas = []
            for name in group.names:
                thetas.append(_fit_unit(name, data.units[name], data, decays)[place])
                bar.update()
            theta = torch.stack(thetas)
            solved.append(Weights(theta[..., :-1].contiguous(), theta[..., -1].contiguous()))
    return solved


def _fit_unit(name: str, features: Tensor, data: ProbeData, decays: list[float]) -> Tensor:
    """Theta of one unit for each weight decay, (P, K, d + 1)."""
    moment = second_moment(features, data.dtype)
    if not torch.isfinite(moment).all():
        raise DegenerateInputError(
            f"unit {name}: features too large, their squares overflow {features.dtype}"
        )
    curvature = CURVATURE / data.class_count
    solutions = [
        _minimise(name, features, data, decay, inverse_factor(moment, curvature, decay)) for decay in decays
    ]
    return torch.stack(solutions).to(data.dtype)


def _minimise(name: str, features: Tensor, data: ProbeData, decay: float, basis: Tensor) -> Tensor:
    """Theta (K, d + 1) at the minimum, searched in Z = Theta basis^-1."""
    shape = (data.class_count, features.shape[1] + 1)

    def theta(z: np.ndarray) -> Tensor:
        return torch.from_numpy(z.reshape(shape)).to(data.device) @ basis

    value, steepness = np.inf, np.inf

    def in_basis(z: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal value, steepness
        value, gradient = objective(theta(z), features, data.labels, decay, data.dtype)
        slope = gradient @ basis.T
        steepness = float(slope.norm())
        return value, slope.flatten().cpu().numpy()

    def at_minimum(_: np.ndarray) -> None:
        if steepness <= GRADIENT_NORM[data.dtype] * min(value, 1.0) ** 0.5:
            raise StopIteration

    limits = {"maxcor": MEMORY, "maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "gtol": 1e-10}
    options = limits | {"ftol": LEAST_DECREASE[data.dtype]}
    start = np.zeros(shape[0] * shape[1])
    minimum = minimize(in_basis, start, jac=True, method="L-BFGS-B", callback=at_minimum, options=options)
    steepness = float(np.linalg.norm(minimum.jac))
    logger.info(
        "unit %s, weight decay %g: objective %.6f, %d evaluations", name, decay, minimum.fun, minimum.nfev
    )
    if steepness > UNFINISHED or minimum.nit >= MAX_ITERATIONS:
        logger.warning(
            "unit %s, weight decay %g: not at the minimum after %d iterations (gradient norm %.1e)",
            name, decay, minimum.nit, steepness,
        )  # fmt: skip
    return theta(minimum.x)


def objective(
    theta: Tensor, features: Tensor, labels: Tensor, decay: float, dtype: torch.dtype
) -> tuple[float, Tensor]:
    """Mean cross-entropy + penalty, and its gradient; products in ``dtype``, sums in float64.

    ``theta`` is (K, d + 1) float64 with the bias in the last column, features are (N, d), labels (N,).
    """
    full = theta.to(dtype)
    weight, bias = full[:, :-1].contiguous(), full[:, -1:].contiguous()
    total = torch.zeros((), dtype=torch.float64, device=features.device)
    gradient = torch.zeros_like(theta)
    for rows in row_slices(len(features), features.shape[1], features.device):
        x, targets = features[rows].to(dtype), labels[rows][None]
        residual = torch.addmm(bias, weight, x.T).log_softmax(dim=0)
        total -= residual.gather(0, targets).sum(dtype=torch.float64)
        residual.exp_().scatter_add_(0, targets, residual.new_full((1, 1), -1.0).expand_as(targets))
        gradient[:, :-1] += residual @ x
        gradient[:, -1] += residual.sum(dim=1, dtype=torch.float64)
    value = float(total / len(features) + decay / 2 * theta.square().sum())
    return value, gradient.div_(len(features)).add_(theta, alpha=decay)


def second_moment(features: Tensor, dtype: torch.dtype) -> Tensor:
    """Mean of [x; 1] [x; 1]^T, (d + 1, d + 1) in float64; products of blocks in ``dtype``."""
    width = features.shape[1]
    moment = torch.zeros(width + 1, width + 1, dtype=torch.float64, device=features.device)
    for rows in row_slices(len(features), features.shape[1], features.device):
        x = features[rows].to(dtype)
        moment[:-1, :-1] += x.T @ x
        moment[:-1, -1] += x.sum(dim=0, dtype=torch.float64)
    moment /= len(features)
    moment[-1, :-1] = moment[:-1, -1]
    moment[-1, -1] = 1
    return moment


def inverse_factor(moment: Tensor, curvature: float, decay: float) -> Tensor:
    """L^-1 with L L^T = c M + wd I, (d + 1, d + 1) float64; the diagonal grows where rounding made M < 0."""
    identity = torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
    ridge = max(decay, curvature * float(moment.diagonal().mean()) * 1e-6)
    while True:
        factor, failed = torch.linalg.cholesky_ex(curvature * moment + ridge * identity)
        if int(failed) == 0:
            return torch.linalg.solve_triangular(factor, identity, upper=False)
        ridge *= 10
