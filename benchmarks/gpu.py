"""One step of ``gpu.sh``: a stage on a GPU against its floor, its rows as JSON lines.

    python benchmarks/gpu.py extraction-vit [--device cuda] [--small]

``--small --device cpu`` only shows that a step runs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

STARTED = time.perf_counter()
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import bench_finetuning  # noqa: E402
import bench_nc1  # noqa: E402
import bench_probes  # noqa: E402
import bench_training  # noqa: E402
import summary  # noqa: E402
import torch  # noqa: E402
from bench_extraction import image_store, network, settings  # noqa: E402

from nctransfer.features.extract import forward_pass  # noqa: E402
from nctransfer.probing.data import gather  # noqa: E402
from nctransfer.probing.settings import ProbeSettings  # noqa: E402
from nctransfer.probing.solvers import lbfgs, sgd  # noqa: E402

IMPORTED = time.perf_counter() - STARTED


def timed(job: Callable[[], object], device: str, repeats: int = 5) -> float:
    """Median seconds; the first of the calls warms up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        job()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[1:])


def start(options: Namespace) -> None:
    """Imports, and the first call on the device."""
    summary.add("imports of a job", IMPORTED)
    begun = time.perf_counter()
    torch.zeros(1, device=options.device).cpu()
    summary.add("first call on the device", time.perf_counter() - begun)


def extraction(options: Namespace, name: str, unit_layout: str) -> None:
    """All units in bfloat16 against the bare forward pass of the same batches."""
    count, batch = (8, 4) if options.small else (8_192, 256)
    wanted = settings(None, batch).model_copy(update={"precision": "bfloat16"})
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        images = image_store(Path(folder), count, 224)
        backbone = network(name, unit_layout).to(options.device, memory_format=torch.channels_last)
        pixels = torch.from_numpy(images.read(0, batch)).to(options.device)
        inputs = backbone.normalise(pixels).contiguous(memory_format=torch.channels_last)

        def bare() -> None:
            with torch.autocast(options.device, torch.bfloat16):
                for _ in range(count // batch):
                    backbone.network(inputs)

        def ours() -> None:
            for _ in forward_pass(backbone, images, backbone.layout.poolings[-1:], wanted):
                pass

        summary.add(
            f"extraction, {name}, {count} images",
            timed(ours, options.device, 3),
            floor=timed(bare, options.device, 3),
        )


def training_options(options: Namespace) -> Namespace:
    """As ``bench_training`` has them, at the size of a source network of the paper."""
    return Namespace(
        model="small/resnet18",
        loss="cross_entropy",
        width=4 if options.small else 64,
        size=32,
        batch=16 if options.small else 128,
        level=3,
        steps=4 if options.small else 100,
        repeats=1 if options.small else 5,
        workers=0 if options.small else 8,
        device=options.device,
        precision="bfloat16",
        compile=False,
    )


def training(options: Namespace) -> None:
    """Our loop, and PGD-7, against the bare step and a DataLoader loop."""
    bench_training.compare(training_options(options))


def two_trainings(options: Namespace) -> None:
    """Two trainings side by side on one GPU against one after the other."""
    told = training_options(options)
    command = [sys.executable, str(FOLDER / "bench_training.py"), "--only-ours"]
    for name in ("width", "batch", "steps", "repeats", "device", "precision"):
        command += [f"--{name}", str(getattr(told, name))]

    def together(count: int) -> float:
        begun = time.perf_counter()
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(count)]
        if any(process.wait() for process in running):
            raise SystemExit("a training failed")
        return time.perf_counter() - begun

    summary.add("two trainings together", together(2), peer="one after the other", peers=2 * together(1))


def finetuning(options: Namespace) -> None:
    """A step of each method against a full fine-tuning step."""
    told = Namespace(device=options.device, batch=2 if options.small else 128, precision="bfloat16",
                     repeats=1 if options.small else 10)  # fmt: skip
    for model in ("vit",) if options.small else ("resnet50", "vit"):
        bench_finetuning.compare(model, told)


def probes(options: Namespace) -> None:
    """Both solvers on 16 units of a ResNet34's widths."""
    samples, epochs = (600, 1) if options.small else (50_000, 10)
    device = torch.device(options.device)
    units = {}
    for width, count in bench_probes.WIDTHS.items():
        block, labels = bench_probes.synthetic(samples, width, 0.2)
        units |= {f"{width}.{index}": block for index in range(count)}
    data = gather(units, labels, bench_probes.CLASSES, device, torch.float32)
    one = block.to(device), labels.to(device)
    loop = timed(partial(bench_probes.loader_loop, *one, 1), options.device, 1) * epochs * len(units)
    ours = timed(partial(sgd.fit, data, [ProbeSettings(epochs=epochs)]), options.device, 1)
    summary.add(f"probes by SGD, {epochs} epochs", ours, peer="DataLoader loops", peers=loop)
    summary.add(
        "probes by L-BFGS",
        timed(partial(lbfgs.fit, data, [ProbeSettings(solver="lbfgs")]), options.device, 1),
    )


def nc1(options: Namespace) -> None:
    """NC1 against class sums and one product."""
    for samples, width, classes in (
        ((400, 64, 10),) if options.small else ((50_000, 2048, 100), (50_000, 512, 397))
    ):
        features, labels = (part.to(options.device) for part in bench_nc1.problem(samples, width, classes))
        factor = torch.randn(width, classes - 1, device=options.device)
        least = timed(partial(bench_nc1.floor, features, labels, classes, factor), options.device)
        ours = timed(partial(bench_nc1.ours, features, labels), options.device)
        summary.add(f"NC1, N {samples}, d {width}, K {classes}", ours, floor=least)


STEPS: dict[str, Callable[[Namespace], None]] = {
    "start": start,
    "extraction-resnet50": lambda options: extraction(options, "torchvision/resnet50", "resnet"),
    "extraction-vit": lambda options: extraction(options, "timm/vit_base_patch32_224", "vit"),
    "training": training,
    "finetuning": finetuning,
    "probes": probes,
    "nc1": nc1,
    "two-trainings": two_trainings,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=list(STEPS))
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU")
    STEPS[chosen.step](chosen)
