"""NC1 against the usual way and against its floor, side by side in one process.

    python benchmarks/bench_nc1.py [--samples 50000 --width 2048 --classes 10 100 --repeats 5]
        [--threads 1] [--clock wall|cpu]

* ours: ``nc1(class_statistics(features, labels))`` from rows in random order; sorted: the same
  from rows sorted by class.
* usual: the d x d covariances S_W and S_B as matrix products and ``torch.linalg.pinv`` of S_B,
  in float64; the same in float32 is faster but not NC1: its pinv cuts at about 2e-4 of the
  largest eigenvalue and drops real directions without a word, so the values are printed.
  (The widely copied code adds one d x d outer product a sample, which is slower still.)
* all metrics: ``measure``, with NC1 of three shuffles; its floor: four times NC1, and one product of all rows
  each for the covariance (VCI) and for the Gram matrices of the classes (numerical rank).
* floor: class sums (``index_add_`` in float32) plus one (N, d) x (d, K - 1) product in float32;
  tuned: class sums in float64, as ours needs them, plus the fastest product found, in blocks that
  fit in the cache and padded to a multiple of 16 columns.

Medians; the runs of all candidates are interleaved. Run it on an idle machine, or on a busy one
with ``--clock cpu`` and one thread, which counts the processor's seconds instead of the wall's.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import summary

from nctransfer.collapse.class_statistics import class_statistics
from nctransfer.collapse.measure import measure
from nctransfer.collapse.nc1 import nc1
from nctransfer.collapse.rows import class_sorted_rows
from nctransfer.collapse.spectrum import covariance_rows, second_moment


def problem(samples: int, width: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian classes around Gaussian means, rows in random order: (N, d) float32 and (N,)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randperm(samples, generator=generator) % classes
    means = 0.3 * torch.randn(classes, width, generator=generator)
    features = torch.randn(samples, width, generator=generator)
    return features.add_(means[labels]).add_(0.5), labels


def usual(features: torch.Tensor, labels: torch.Tensor, classes: int, dtype: torch.dtype) -> float:
    """The definition, with d x d matrices and pinv."""
    samples, width = features.shape
    within = torch.zeros(width, width, dtype=dtype)
    means = []
    for label in range(classes):
        members = features[labels == label].to(dtype)
        means.append(members.mean(0))
        residual = members - means[-1]
        within += residual.T @ residual
    centred = torch.stack(means)
    centred -= centred.mean(0)
    between = centred.T @ centred / classes
    return float(torch.trace(within / samples @ torch.linalg.pinv(between)) / classes)


def ours(features: torch.Tensor, labels: torch.Tensor) -> float:
    """NC1 with everything that it needs."""
    return nc1(class_statistics(features, labels))


def floor(features: torch.Tensor, labels: torch.Tensor, classes: int, factor: torch.Tensor) -> None:
    """Class sums and one product."""
    features.new_zeros(classes, features.shape[1]).index_add_(0, labels, features)
    features @ factor


def tuned_floor(features: torch.Tensor, labels: torch.Tensor, factor: torch.Tensor) -> None:
    """Class sums in float64 and one product in blocks."""
    rows = class_sorted_rows(features, labels, classes=None, name="features")
    rows.map_blocks(
        features.dtype,
        lambda block, parts: [block[first:end].sum(0, dtype=torch.float64) for _, first, end in parts],
    )
    for block in features.split(512):
        block @ factor


def measure_floor(features: torch.Tensor, labels: torch.Tensor, factor: torch.Tensor) -> None:
    """Four times class sums and a product, and two products of width d."""
    for _ in range(4):
        floor(features, labels, factor.shape[1] + 1, factor)
    second_moment((block.double() for block in features.split(covariance_rows(features))), len(features))
    for rows in features.split(len(features) // (factor.shape[1] + 1)):
        rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows


def compare(samples: int, width: int, classes: int, repeats: int, clock: Callable[[], float]) -> None:
    """Time all candidates on one problem and print the table."""
    features, labels = problem(samples, width, classes)
    order = torch.argsort(labels, stable=True)
    factor = torch.randn(width, classes - 1)
    padded = torch.nn.functional.pad(factor, (0, -factor.shape[1] % 16))
    candidates: dict[str, Callable[[], object]] = {
        "ours": partial(ours, features, labels),
        "ours, sorted rows": partial(ours, features[order], labels[order]),
        "floor": partial(floor, features, labels, classes, factor),
        "floor, tuned": partial(tuned_floor, features, labels, padded),
        "all metrics": lambda: float(measure(features, labels).values["nc1"]),
        "all metrics, floor": partial(measure_floor, features, labels, factor),
        "usual, float64": partial(usual, features, labels, classes, torch.float64),
        "usual, float32": partial(usual, features, labels, classes, torch.float32),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    values = {name: candidate() for name, candidate in candidates.items()}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            begin = clock()
            candidate()
            times[name].append(clock() - begin)
    median = {name: statistics.median(runs) for name, runs in times.items()}
    told = f"N {samples}, d {width}, K {classes}"
    summary.add(
        f"NC1, {told}",
        median["ours"],
        floor=median["floor"],
        peer="d x d and pinv, float64",
        peers=median["usual, float64"],
    )
    summary.add(
        f"all metrics, {told}",
        median["all metrics"],
        floor=median["all metrics, floor"],
        peer="NC1 alone",
        peers=median["ours"],
    )
    print(f"\nN {samples}, d {width}, K {classes}, {torch.get_num_threads()} threads, {repeats} repeats")
    print(f"{'':18}{'seconds':>9}{'ours / it':>11}{'it / ours':>11}{'value':>13}")
    for name, value in values.items():
        ratio = median["ours"] / median[name]
        shown = "" if value is None else f"{value:13.6f}"
        print(f"{name:18}{median[name]:9.3f}{ratio:11.2f}{1 / ratio:11.1f}{shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
    for classes in arguments.classes:
        compare(arguments.samples, arguments.width, classes, arguments.repeats, clock)


if __name__ == "__main__":
    main()
