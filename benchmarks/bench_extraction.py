"""Extraction of all units against the bare forward pass, interleaved in one process.

    python benchmarks/bench_extraction.py [--images 64 --repeats 7 --threads 1]

prints the ratio of one pass that leaves every unit's pooled features on disk to the bare
forward pass of the same batches, the ratio of a pass per unit (what scripts usually do),
and the peak memory of extracting 100,000 x 2,048 features.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from nctransfer.data.image_store import ImageStore  # noqa: E402
from nctransfer.data.resize import apply_geometry  # noqa: E402
from nctransfer.data.settings import Geometry  # noqa: E402
from nctransfer.features.extract import extract_features  # noqa: E402
from nctransfer.features.settings import FeaturesJobSettings  # noqa: E402
from nctransfer.models.architecture import Architecture  # noqa: E402
from nctransfer.models.backbone import Backbone, Identity, measure  # noqa: E402
from nctransfer.models.model_store import describe  # noqa: E402
from nctransfer.models.unit_layout import Tap, Unit, UnitLayout  # noqa: E402
from nctransfer.storage.stores import create_store  # noqa: E402

BATCH = 16


def image_store(folder: Path, count: int, side: int) -> ImageStore:
    """Random images of one size."""
    rng = np.random.default_rng(0)
    manifest = folder / "images" / "manifest.json"
    with create_store(manifest, "images") as store:
        array = store.array("images", (count, side, side, 3), np.uint8)
        for start in range(0, count, 1000):
            array.append(rng.integers(0, 256, (min(1000, count - start), side, side, 3), np.uint8))
        store.put("labels", np.arange(count) % 10)
        store.meta = {"class_names": [str(index) for index in range(10)], "resolution": [side, side]}
    return ImageStore(manifest)


def settings(size: int | None, batch: int) -> FeaturesJobSettings:
    return FeaturesJobSettings(
        batch_size=batch,
        geometry=Geometry(resize=None if size is None else (size, size)),
        poolings=("avg",),
        loader="stored",
        device="cpu",
    )


def resnet34() -> Backbone:
    network = Architecture.parse("torchvision/resnet34").build().eval()
    layout = describe(network, "resnet")
    units, width = measure(network, layout, (224, 224))
    identity = Identity("", "resnet34", "", "resnet", (0.5,) * 3, (0.25,) * 3, (224, 224), None, "")
    return (
        Backbone(network, layout, units, width, None, identity).eval().to(memory_format=torch.channels_last)
    )


def compare(count: int, repeats: int) -> None:
    backbone = resnet34()
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        images = image_store(folder, count, 32)
        batches = [
            backbone.normalise(
                apply_geometry(
                    torch.from_numpy(images.read(start, start + BATCH)).permute(0, 3, 1, 2),
                    settings(224, BATCH).geometry,
                )
            ).contiguous(memory_format=torch.channels_last)
            for start in range(0, count, BATCH)
        ]

        def bare() -> None:
            for batch in batches:
                backbone.network(batch)

        def capture() -> None:
            for batch in batches:
                backbone.capture(batch, poolings=["avg"])

        def whole() -> None:
            extract_features(backbone, images, folder / "features" / "manifest.json", settings(224, BATCH))

        def per_unit() -> None:
            for batch in batches[:1]:
                for index in range(17):
                    backbone.capture(batch, units=[index], poolings=["avg"])

        times: dict[str, list[float]] = {}
        for repeat in range(repeats + 1):
            for job in (bare, capture, whole, per_unit) if repeat % 2 else (per_unit, whole, capture, bare):
                start = time.perf_counter()
                job()
                if repeat:  # the first round warms up
                    times.setdefault(job.__name__, []).append(time.perf_counter() - start)
    base = median(times["bare"])
    threads = torch.get_num_threads()
    print(f"ResNet34, 224 px, {count} images, batches of {BATCH}, {threads} threads, medians of {repeats}")
    for what, seconds in {
        "all units, pooled": median(times["capture"]),
        "whole job: read, enlarge, all units, disk": median(times["whole"]),
        "a full pass per unit": median(times["per_unit"]) * len(batches),
    }.items():
        print(f"  {what:42} {seconds / base:7.3f} x the bare forward ({base / count * 1e3:.1f} ms/image)")


def wide_backbone() -> Backbone:
    """A network of one unit, 2,048 wide, cheap to compute."""
    network = nn.Sequential(nn.Conv2d(3, 2048, 8), nn.Flatten(), nn.Identity())
    layout = UnitLayout(units=("0",), penultimate=Tap("2", "input"))
    units = [Unit(0, "stem", "", 3), Unit(1, "0", "Conv2d", 2048)]
    identity = Identity("", "wide", "", "", (0.5,) * 3, (0.25,) * 3, (8, 8), None, "")
    return Backbone(network.eval(), layout, units, 2048, None, identity).eval()


def peak_memory(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        images = image_store(Path(name), count, 8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        extract_features(
            wide_backbone(), images, Path(name) / "features" / "manifest.json", settings(None, 256)
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of extracting {count:,} x 2,048 features (two such columns): {peak / 2**20:.2f} GiB")
    print(f"  of which before the first batch (imports, images): {before / 2**20:.2f} GiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-only", type=int, metavar="IMAGES", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.memory_only:
        peak_memory(chosen.memory_only)
    else:
        compare(chosen.images, chosen.repeats)
        # in a process of its own: the comparison above has left its own peak
        subprocess.run([sys.executable, __file__, "--memory-only", "100000"], check=True)
