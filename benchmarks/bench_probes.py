"""Probes of all units: the paper's recipe stacked, one at a time, many settings, and L-BFGS.

Floor and targets: against a DataLoader loop a unit (batch 128, nn.Linear, torch.optim.SGD, 200
epochs), stacked SGD at least 12 x, one unit at a time at least 4 x, L-BFGS at least 40 x faster;
12 settings at most 4 x the cost of one. With many classes (``--parts classes``) the products of the
steps take most of the time: the recipe is compared with them, its floor, and with the loop, and L-BFGS
with scikit-learn's logistic regression at the same objective (the coarsest tolerance that gets there).

    python benchmarks/bench_probes.py --parts ratios      seconds and ratios (minutes)
    python benchmarks/bench_probes.py --parts compare     at full length: how far L-BFGS is from SGD
    python benchmarks/bench_probes.py --parts classes     10 to 397 classes (minutes)

Everything runs in one process, interleaved; a round times ``--epochs-timed`` epochs of each SGD
variant and scales them to 200, and L-BFGS in full; medians over ``--rounds``. One thread by
default: on a busy machine OpenMP's barriers make two threads slower than one. Features: class
means plus a decaying spectrum, rotated, through a ReLU; ResNet34's 16 widths.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import summary

from nctransfer.probing.data import ProbeData, gather
from nctransfer.probing.probes import train_probes
from nctransfer.probing.settings import ProbeSettings
from nctransfer.probing.solvers import lbfgs, sgd

WIDTHS = {64: 3, 128: 4, 256: 6, 512: 3}
CLASSES = 10
# samples, width and classes of one unit, with the separation of its classes
SIZES = [
    (10_000, 512, 10, 0.2),
    (10_000, 512, 100, 0.2),
    (50_000, 512, 10, 0.2),
    (10_000, 2048, 100, 0.2),
    (10_000, 512, 10, 0.6),
    (10_000, 2048, 397, 0.2),
]
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
SAME_OBJECTIVE = 1e-4
EPOCHS = 200
PARTS = ["ratios", "compare", "classes"]
CPU = torch.device("cpu")


def synthetic(
    samples: int, width: int, separation: float, seed: int = 0, classes: int = CLASSES
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, d) and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, width + 1).float().rsqrt()
    rotation = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    means = torch.randn(classes, width, generator=generator) * separation
    labels = torch.randint(classes, (samples,), generator=generator)
    features = (torch.randn(samples, width, generator=generator) + means[labels]) * scale
    return torch.relu(features @ rotation.T * 3), labels


def loader_loop(features: torch.Tensor, labels: torch.Tensor, epochs: int) -> nn.Linear:
    """The usual way to probe one unit, the cosine as over 200 epochs."""
    loader = DataLoader(TensorDataset(features, labels), batch_size=128, shuffle=True)
    probe = nn.Linear(features.shape[1], int(labels.max()) + 1).to(features.device)
    optimiser = torch.optim.SGD(probe.parameters(), lr=1e-1, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS, eta_min=1e-4)
    for _ in range(epochs):
        for batch, targets in loader:
            optimiser.zero_grad()
            nn.functional.cross_entropy(probe(batch), targets).backward()
            optimiser.step()
        schedule.step()
    return probe


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def grids(epochs: int) -> dict[str, list[ProbeSettings]]:
    """One setting, and twelve with three seeds or with one."""
    rates, decays = (0.1, 0.05), (1e-4, 5e-4)
    return {
        "stacked": [ProbeSettings(epochs=epochs)],
        "12 settings, 3 seeds": [
            ProbeSettings(epochs=epochs, learning_rate=rate, weight_decay=decay, seed=seed)
            for rate in rates for decay in decays for seed in range(3)
        ],
        "12 settings, 1 seed": [
            ProbeSettings(epochs=epochs, learning_rate=rate, weight_decay=decay)
            for rate in (*rates, 0.02, 0.01) for decay in (*decays, 0.0)
        ],
    }  # fmt: skip


def variants(data: ProbeData, one: dict[int, ProbeData], epochs: int) -> dict[str, Callable[[], float]]:
    """Name of a way -> how to measure its seconds for all units at 200 epochs."""
    scale = EPOCHS / epochs
    labels = data.labels

    def each(work: Callable[[int], object]) -> float:
        return scale * sum(count * seconds(lambda w=width: work(w)) for width, count in WIDTHS.items())

    settings = grids(epochs)
    first = {width: one[width].matrix for width in WIDTHS}
    ways: dict[str, Callable[[], float]] = {
        "DataLoader loops": lambda: each(lambda width: loader_loop(first[width], labels, epochs)),
        "one at a time": lambda: each(lambda width: sgd.fit(one[width], settings["stacked"])),
        "lbfgs": lambda: seconds(lambda: lbfgs.fit(data, [ProbeSettings(solver="lbfgs")])),
    }
    for name, grid in settings.items():
        ways[name] = lambda grid=grid: scale * seconds(lambda: sgd.fit(data, grid))
    return ways


def compare(samples: int, width: int, separation: float) -> None:
    """Print objectives and accuracies of both solvers and the loop on one unit at full length."""
    features, labels = synthetic(samples + samples // 5, width, separation)
    train, test = slice(0, samples), slice(samples, None)
    x, y = features[train].contiguous(), labels[train]
    print(f"\nfull length: N {samples}, d {width}, test {samples // 5}, separation {separation}")
    found = {}
    for solver in ("sgd", "lbfgs"):
        start = time.perf_counter()
        probe = train_probes({"unit": x}, y, [ProbeSettings(solver=solver)])[0]
        spent = time.perf_counter() - start
        accuracy = probe.accuracy(features[test], labels[test])
        found[solver] = (probe.objective, accuracy)
        print(
            f"{solver:17} {spent:7.1f} s  objective {probe.objective:.6f}  "
            f"train {probe.train_accuracy:.3f} %  test {accuracy:.3f} %"
        )
    start = time.perf_counter()
    loop = loader_loop(x, y, EPOCHS)
    spent = time.perf_counter() - start
    accuracy = 100 * (loop(features[test]).argmax(1) == labels[test]).float().mean().item()
    print(f"{'DataLoader loop':17} {spent:7.1f} s  test {accuracy:.3f} %  (full length, nothing scaled)")
    print(
        f"lbfgs - sgd: objective {found['lbfgs'][0] - found['sgd'][0]:+.2e} (target <= +1e-4), "
        f"accuracy {found['lbfgs'][1] - found['sgd'][1]:+.3f} point (target within 0.1)"
    )


def ratios(options: argparse.Namespace) -> None:
    """Print the seconds of every way at 200 epochs, and the ratios."""
    one, features = {}, {}
    for width, count in WIDTHS.items():
        block, labels = synthetic(options.samples, width, options.separation)
        one[width] = gather({"unit": block}, labels, CLASSES, CPU, torch.float32)
        features.update({f"{width}.{index}": block for index in range(count)})
    start = time.perf_counter()
    data = gather(features, labels, CLASSES, CPU, torch.float32)
    print(f"16 units, median of {options.rounds}; gathering the features {time.perf_counter() - start:.2f} s")
    loader_loop(block[:256], labels[:256], 1)  # the first optimiser of a process imports for seconds
    ways = variants(data, one, options.epochs_timed)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            times[name].append(way())
    loops = statistics.median(times["DataLoader loops"])
    stacked = statistics.median(times["stacked"])
    summary.add("probes of 16 units by SGD", stacked, peer="DataLoader loops", peers=loops)
    exact = statistics.median(times["lbfgs"])
    summary.add("probes of 16 units by L-BFGS", exact, peer="DataLoader loops", peers=loops)
    for name, measured in times.items():
        median = statistics.median(measured)
        ratio = f"{loops / median:7.1f} x faster than the loops"
        if name.startswith("12"):
            ratio = f"{median / stacked:7.2f} x the cost of one setting"
        print(f"{name:22} {median:8.1f} s (min {min(measured):.1f}, max {max(measured):.1f})  {ratio}")


def products(features: torch.Tensor, classes: int, batch: int = 128) -> None:
    """The two matrix products of every step of an epoch, without anything else."""
    weight, momentum = torch.zeros(2, classes, features.shape[1])
    for rows in features.split(batch):
        logits = weight @ rows.T
        momentum.addmm_(logits, rows)


def classes_part() -> None:
    """Print both solvers on one unit of each size beside their peers."""
    recipe, exact = ProbeSettings(epochs=1), ProbeSettings(solver="lbfgs")
    for samples, width, classes, separation in SIZES:
        features, labels = synthetic(samples, width, separation, classes=classes)
        data = gather({"unit": features}, labels, classes, CPU, torch.float32)
        ways = {
            "floor": lambda x=features, k=classes: products(x, k),
            "ours": lambda data=data: sgd.fit(data, [recipe]),
            "loop": lambda x=features, y=labels: loader_loop(x, y, 1),
        }
        taken = {name: statistics.median(seconds(way) for _ in range(3)) for name, way in ways.items()}
        told = f"N {samples}, d {width}, K {classes}"
        summary.add(
            f"probe by SGD, {told}, an epoch",
            taken["ours"],
            floor=taken["floor"],
            peer="DataLoader loop",
            peers=taken["loop"],
        )
        print(f"N {samples}, d {width}, K {classes}: SGD epoch {taken['ours']:.2f} s, ", end="")
        print(f"{taken['ours'] / taken['floor']:.2f} x its products, ", end="")
        print(f"loop {taken['loop'] / taken['ours']:.2f} x ours")
        ours = seconds(lambda data=data: lbfgs.fit(data, [exact]))
        probe = train_probes({"unit": features}, labels, [exact])[0]
        padded = nn.functional.pad(features, (0, 1), value=1.0).numpy()
        for tolerance in TOLERANCES:
            peer = LogisticRegression(
                C=1 / (exact.weight_decay * samples), fit_intercept=False, tol=tolerance, max_iter=2000
            )
            spent = seconds(partial(peer.fit, padded, labels.numpy()))
            theta = torch.from_numpy(peer.coef_).double()
            value, _ = lbfgs.objective(theta, features, labels, exact.weight_decay, torch.float32)
            if value <= probe.objective + SAME_OBJECTIVE:
                break
        summary.add(f"probe by L-BFGS, {told}", ours, peer=f"scikit-learn, tol {tolerance:g}", peers=spent)
        print(
            f"    lbfgs {ours:.1f} s, objective {probe.objective:.5f}; scikit-learn, "
            f"tol {tolerance:g}, {value - probe.objective:+.0e}: {spent / ours:.2f} x ours"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--epochs-timed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--separation", type=float, default=0.2, help="class means over within-class spread")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    if "ratios" in options.parts:
        ratios(options)
    if "compare" in options.parts:
        compare(options.samples, 512, options.separation)
    if "classes" in options.parts:
        with threadpool_limits(options.threads):
            classes_part()


if __name__ == "__main__":
    main()
