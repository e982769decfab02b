"""All transferability scores against extracting the features, and NCTI against its published operations.

    python benchmarks/bench_scores.py [--samples 10000 --width 2048 --classes 100 --images 16 --repeats 5]
        [--threads 1] [--clock wall|cpu]

* scores: everything that ``rank`` computes of one model on one data set (features of the last unit and
  logits of 1,000 source classes), class statistics included, and what each score adds to those before it.
* extraction: a bare forward pass of a ResNet50 at 224 px in float32, timed on a batch of ``--images`` and
  scaled to all samples.
* NCTI alone: class statistics, principal components and its three terms, from the features.
* NCTI published: the operations of the published code, step by step with scikit-learn and NumPy: principal
  components (exact, since scores must not vary between runs: ``svd_solver="full"``, and ``covariance_eigh``,
  which is like ours; ``auto`` is what the published line does with the installed scikit-learn, randomised at
  this size), linear discriminant analysis, nuclear norms.

Medians; the runs of NCTI's candidates are interleaved. Run it on an idle machine, or on a busy one with
``--clock cpu`` and one thread.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torchvision.models import resnet50

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import summary

from nctransfer import variants
from nctransfer.transferability import scores
from nctransfer.transferability.problem import Problem
from nctransfer.transferability.scores import ncti
from nctransfer.transferability.settings import ScoringSettings

LIMITS = ScoringSettings()  # the configuration's defaults


def features_of(samples: int, width: int, classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rectified Gaussian classes (N, d), labels (N,) and logits (N, 1000), float32."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randperm(samples, generator=generator) % classes
    means = 0.15 * torch.randn(classes, width, generator=generator)
    features = means[labels] + 0.4 * torch.randn(samples, width, generator=generator)
    return features.clamp_(min=0), labels, torch.randn(samples, 1000, generator=generator)


def score_all(
    features: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of the class statistics and of each score, in the order of the configuration's default."""
    begin = clock()
    problem = Problem.of(features, labels, logits)
    seconds = {"class statistics": clock() - begin}
    for name in variants.names(scores):
        module = variants.load(scores, name)
        begin = clock()
        module.terms(problem.subsample(getattr(LIMITS, getattr(module, "LIMIT", ""), None)))
        seconds[name] = clock() - begin
    return seconds


def ncti_alone(features: torch.Tensor, labels: torch.Tensor) -> tuple[float, ...]:
    """NCTI's three terms from the features."""
    return tuple(ncti.terms(Problem.of(features, labels)).values())


def ncti_published(features: np.ndarray, labels: np.ndarray, solver: str) -> tuple[float, ...]:
    """The published operations; -S_vc, S_seli, S_ncc in the order of ours."""
    pca = PCA(n_components=64, svd_solver=solver, random_state=0)
    points = pca.fit_transform(features)
    shrinkage = max(np.exp(-pca.explained_variance_[:32].sum()), 1e-10)
    if shrinkage == 1e-10:
        analysis = LinearDiscriminantAnalysis(solver="svd")
    else:
        analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=float(shrinkage))
    projected = analysis.fit_transform(points, labels)
    projected = projected - projected.mean(axis=0, keepdims=True)
    nuclear = np.linalg.norm(projected, ord="nuc")
    posteriors = analysis.predict_proba(points)
    own = posteriors[np.arange(len(labels)), labels].mean()
    analysis.score(points, labels)
    by_class = sum(np.linalg.norm(posteriors[labels == label], ord="nuc") for label in np.unique(labels))
    return -float(np.log(by_class)), float(nuclear), float(own)


def seconds_an_image(images: int, repeats: int, clock: Callable[[], float]) -> float:
    """Of a forward pass of ResNet50 at 224 px."""
    network, batch = resnet50().eval(), torch.randn(images, 3, 224, 224)
    times = []
    with torch.inference_mode():
        network(batch)
        for _ in range(repeats):
            begin = clock()
            network(batch)
            times.append(clock() - begin)
    return statistics.median(times) / images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.clock == "cpu" else time.perf_counter
    features, labels, logits = features_of(arguments.samples, arguments.width, arguments.classes)
    print(
        f"N {arguments.samples}, d {arguments.width}, K {arguments.classes}, {arguments.threads} threads, "
        f"{arguments.clock} clock"
    )
    seconds = score_all(features, labels, logits, clock)
    for name, value in seconds.items():
        print(f"{name:24}{value:9.2f} s", flush=True)
    total = sum(seconds.values())
    extraction = arguments.samples * seconds_an_image(arguments.images, arguments.repeats, clock)
    print(f"{'all scores':24}{total:9.2f} s")
    summary.add("all scores", total, peer="extraction, ResNet50", peers=extraction)
    print(f"{'extraction, ResNet50':24}{extraction:9.2f} s   scores / extraction {total / extraction:.3f}")
    rows, classes = features.numpy().astype(np.float64), labels.numpy()
    candidates: dict[str, Callable[[], tuple[float, ...]]] = {
        "NCTI, ours": partial(ncti_alone, features, labels),
        "NCTI, published (full)": partial(ncti_published, rows, classes, "full"),
        "NCTI, published (eigh)": partial(ncti_published, rows, classes, "covariance_eigh"),
        "NCTI, published (auto)": partial(ncti_published, rows, classes, "auto"),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(arguments.repeats):
        for name, candidate in candidates.items():
            begin = clock()
            found = candidate()
            times[name].append(clock() - begin)
            if len(times[name]) == 1:
                print(f"{name:24}" + "".join(f"{value:14.6f}" for value in found), flush=True)
    ours = statistics.median(times["NCTI, ours"])
    published = statistics.median(times["NCTI, published (full)"])
    summary.add("NCTI", ours, peer="its published operations", peers=published)
    for name, runs in times.items():
        print(f"{name:24}{statistics.median(runs):9.2f} s   it / ours {statistics.median(runs) / ours:.1f}")


if __name__ == "__main__":
    main()
