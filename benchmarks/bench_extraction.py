"""Extraction of all units against the bare forward pass and peers, interleaved in one process.

    make benchmarks, or, with the allocator as jobs have it (AS_JOBS in the Makefile),
    python benchmarks/bench_extraction.py [--images 64 --repeats 7 --threads 1]

prints images per second of every mode and of ONNX Runtime, OpenVINO, timm and thingsvision where they are
installed; the ratio of one pass that leaves every unit's pooled features on disk to the bare forward pass of
the same batches; the ratio of a pass per unit (what scripts usually do); and the peak memory of extracting
100,000 x 2,048 features.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import summary  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from nctransfer.data.image_store import ImageStore  # noqa: E402
from nctransfer.data.resize import apply_geometry  # noqa: E402
from nctransfer.data.settings import Geometry  # noqa: E402
from nctransfer.errors import ConfigError  # noqa: E402
from nctransfer.features.extract import extract_features  # noqa: E402
from nctransfer.features.settings import FeaturesJobSettings  # noqa: E402
from nctransfer.models.architecture import Architecture  # noqa: E402
from nctransfer.models.backbone import Backbone, Identity, measure  # noqa: E402
from nctransfer.models.model_store import describe  # noqa: E402
from nctransfer.models.unit_layout import Tap, Unit, UnitLayout  # noqa: E402
from nctransfer.storage.stores import create_store  # noqa: E402

BATCH, SIDE = 32, 224
NETWORKS = {"torchvision/mobilenet_v2": "mobilenet", "timm/vit_tiny_patch16_224": "vit"}


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


def settings(size: int | None, batch: int, **mode: Any) -> FeaturesJobSettings:
    return FeaturesJobSettings(
        batch_size=batch,
        geometry=Geometry(resize=None if size is None else (size, size)),
        poolings=("avg",),
        loader="stored",
        device="cpu",
        **mode,
    )


def network(name: str, unit_layout: str) -> Backbone:
    torch.manual_seed(0)
    built = Architecture.parse(name).build().eval()
    layout = describe(built, unit_layout)
    units, width = measure(built, layout, (SIDE, SIDE))
    identity = Identity("", name, "", unit_layout, (0.5,) * 3, (0.25,) * 3, (SIDE, SIDE), None, "")
    return Backbone(built, layout, units, width, None, identity).eval()


def interleaved(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each job; the first round warms up, every second one runs backwards."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name in list(jobs) if repeat % 2 else list(reversed(jobs)):
            start = time.perf_counter()
            jobs[name]()
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: median(seconds) for name, seconds in times.items()}


class Pooled(nn.Module):
    """What every peer is asked for: the mean of each unit's output, and the network's own output."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        capture = self.backbone.capture(images, poolings=[self.backbone.layout.poolings[-1]])
        return *[vector for unit in capture.units.values() for vector in unit.values()], capture.output


def openvino_peer(backbone: Backbone, images: torch.Tensor, hint: str) -> Callable[[], object]:
    import openvino

    shape = [len(images), 3, SIDE, SIDE]  # fixed: what suits OpenVINO best
    model = openvino.convert_model(
        Pooled(backbone).eval(), example_input=images[:2], input=[-1, 3, SIDE, SIDE]
    )
    model.reshape(shape)
    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    request = openvino.compile_model(
        model, "CPU", options | {"PERFORMANCE_HINT": "LATENCY"}
    ).create_infer_request()
    array = images.contiguous().numpy()
    return lambda: request.infer([array], share_inputs=True)


def onnxruntime_peer(backbone: Backbone, images: torch.Tensor) -> Callable[[], object]:
    import onnxruntime

    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        torch.onnx.export(Pooled(backbone).eval(), (images.contiguous(),), file.name, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as OMP_WAIT_POLICY=PASSIVE
        session = onnxruntime.InferenceSession(file.name, options, ["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images.contiguous().numpy()}
    return lambda: session.run(None, feed)


def timm_peer(backbone: Backbone, images: torch.Tensor) -> Callable[[], object]:
    if not hasattr(backbone.network, "forward_intermediates"):
        raise ImportError("a network of torchvision has no forward_intermediates")
    return lambda: [
        part.mean((2, 3)) for part in backbone.network.forward_intermediates(images, intermediates_only=True)
    ]


def thingsvision_peer(backbone: Backbone, images: torch.Tensor) -> Callable[[], object]:
    """One of its passes, which gives the whole output of one module; it pins TensorFlow and numpy 1."""
    from thingsvision.core.extraction.torch import PyTorchExtractor

    extractor = PyTorchExtractor("", False, device="cpu", model=backbone.network)
    unit = backbone.layout.units[-1]

    def extract() -> None:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # bars and praise
            extractor.extract_features([images], unit, flatten_acts=False, output_type="ndarray")

    return extract


PEERS: dict[str, Callable[[Backbone, torch.Tensor], Callable[[], object]]] = {
    "ONNX Runtime, float32": onnxruntime_peer,
    "OpenVINO, float32": lambda backbone, images: openvino_peer(backbone, images, "f32"),
    "OpenVINO, bfloat16": lambda backbone, images: openvino_peer(backbone, images, "bf16"),
    "timm's forward_intermediates": timm_peer,
    "thingsvision, one module": thingsvision_peer,
}
MODES: dict[str, dict[str, Any]] = {
    "float32": {},
    "folded": {"fold_batch_norm": True},
    "bfloat16": {"precision": "bfloat16"},
    "folded, bfloat16": {"fold_batch_norm": True, "precision": "bfloat16"},
    "openvino": {"engine": "openvino"},
    "openvino, bfloat16": {"engine": "openvino", "precision": "bfloat16"},
}


def peers(name: str, unit_layout: str, repeats: int) -> None:
    """A batch through every peer, and a whole job of two in every mode, as images per second."""
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        images = image_store(Path(folder), 2 * BATCH, SIDE)
        backbone = network(name, unit_layout).to(memory_format=torch.channels_last)
        plain = backbone.normalise(torch.from_numpy(images.read(0, BATCH)).permute(0, 3, 1, 2))
        last = plain.contiguous(memory_format=torch.channels_last)

        def bare_bfloat16() -> None:
            with torch.autocast("cpu", torch.bfloat16):
                backbone.network(last)

        jobs: dict[str, Callable[[], object]] = {
            "bare forward, float32": lambda: backbone.network(last),
            "bare forward, bfloat16": bare_bfloat16,
        }
        for peer, prepare in PEERS.items():
            try:
                jobs[peer] = prepare(network(name, unit_layout), plain)
            except ImportError as error:
                print(f"  {peer}: skipped ({error})")
        pooling = backbone.layout.poolings[-1:]  # the mean, in every layout
        for mode, changes in MODES.items():
            wanted = settings(SIDE, BATCH, **changes).model_copy(update={"poolings": pooling})
            job = partial(
                extract_features,
                network(name, unit_layout),
                images,
                Path(folder, mode, "manifest.json"),
                wanted,
            )
            try:
                job()  # once, which folds or compiles
                jobs[f"ours: {mode}"] = job
            except ConfigError as error:
                print(f"  ours: {mode}: skipped ({error})")
        times = interleaved(jobs, repeats)
    speeds = {job: (2 if job.startswith("ours") else 1) * BATCH / seconds for job, seconds in times.items()}
    threads = torch.get_num_threads()
    print(f"{name}, {SIDE} px, batches of {BATCH}, {threads} threads, medians of {repeats}")
    floors = {"ours: float32": "bare forward, float32", "ours: bfloat16": "bare forward, bfloat16"}
    for what in (what for what in speeds if what.startswith("ours")):
        precision = "bfloat16" if "bfloat16" in what else "float32"
        peer = f"OpenVINO, {precision}" if f"OpenVINO, {precision}" in speeds else "bare forward, float32"
        floor = 1 / speeds[floors[what]] if what in floors else None
        summary.add(
            f"image of {name}, {what}", 1 / speeds[what], floor=floor, peer=peer, peers=1 / speeds[peer]
        )
    for what, speed in speeds.items():
        print(f"  {what:30} {speed:7.1f} images/s, {speed / speeds['ours: float32']:5.2f} x ours in float32")
    for precision, ours in (("float32", "ours: openvino"), ("bfloat16", "ours: openvino, bfloat16")):
        if (bare := f"OpenVINO, {precision}") in speeds and ours in speeds:
            print(f"  {ours} takes {speeds[bare] / speeds[ours]:.2f} x the time of {bare}")


def compare(count: int, repeats: int) -> None:
    backbone = network("torchvision/resnet34", "resnet").to(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        images = image_store(folder, count, 32)
        batches = [
            backbone.normalise(
                apply_geometry(
                    torch.from_numpy(images.read(start, start + BATCH)).permute(0, 3, 1, 2),
                    settings(SIDE, BATCH).geometry,
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
            extract_features(backbone, images, folder / "features" / "manifest.json", settings(SIDE, BATCH))

        def per_unit() -> None:
            for batch in batches[:1]:
                for index in range(17):
                    backbone.capture(batch, units=[index], poolings=["avg"])

        jobs = {job.__name__: job for job in (bare, capture, whole, per_unit)}
        times = interleaved(jobs, repeats)
    base, threads = times["bare"], torch.get_num_threads()
    print(f"ResNet34, {SIDE} px, {count} images, batches of {BATCH}, {threads} threads, medians of {repeats}")
    for what, seconds in {
        "all units, pooled": times["capture"],
        "whole job: read, enlarge, all units, disk": times["whole"],
        "a full pass per unit": times["per_unit"] * len(batches),
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
        for name, unit_layout in NETWORKS.items():
            peers(name, unit_layout, chosen.repeats)
        compare(chosen.images, chosen.repeats)
        # in a process of its own: the comparison above has left its own peak
        subprocess.run([sys.executable, __file__, "--memory-only", "100000"], check=True)
