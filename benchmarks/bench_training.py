"""Our training loop against the bare step and the usual DataLoader loop, interleaved in one process.

    python benchmarks/bench_training.py [--model small/resnet18 --width 16 --level 3 --steps 20 --repeats 5]
    python benchmarks/bench_training.py --device cuda --width 64 --batch 128 --precision bfloat16 --steps 100

prints images per second of

- the bare step: the same synthetic batch, on the device, as the loop lays it out;
- our loop, augmentation on the device included (target: at least 97 % of the bare step);
- the usual loop: a DataLoader whose workers augment single images by torchvision.transforms.v2,
  float32 to the device, loss and accuracy read every step (target on a GPU: 2.5 x slower or more);

and the cost of a step of PGD-7 training in bare steps (target: at most 6.5).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import summary  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision.transforms import v2  # noqa: E402

from nctransfer import variants  # noqa: E402
from nctransfer.models.architecture import Architecture  # noqa: E402
from nctransfer.stamp import UNSTAMPED  # noqa: E402
from nctransfer.training import losses  # noqa: E402
from nctransfer.training.checkpoints import Checkpoints  # noqa: E402
from nctransfer.training.evaluation import Split, Standardisation, Standardised  # noqa: E402
from nctransfer.training.loop import Data, Training  # noqa: E402
from nctransfer.training.loss_settings import LossSettings  # noqa: E402
from nctransfer.training.objective import Objective  # noqa: E402
from nctransfer.training.settings import (  # noqa: E402
    AttackSettings,
    AugmentationSettings,
    LoopSettings,
)
from nctransfer.training.stop_signals import StopRequest  # noqa: E402

CLASSES = 100
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}


class Images(Dataset):
    """What people write: an image at a time through torchvision's transforms."""

    def __init__(self, split: Split, level: int, size: int) -> None:
        self.images, self.labels = split.images.cpu(), split.labels.cpu()
        steps: list[Any] = []
        if level >= 2:
            steps.append(v2.RandomCrop(size, padding=size // 8))
        if level >= 3:
            steps.append(v2.RandomHorizontalFlip())
        if level >= 4:
            steps.append(v2.RandomApply([v2.ColorJitter(**JITTER)], p=0.8))
        if level >= 5:
            steps.append(v2.RandomGrayscale(0.2))
        steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.5,) * 3, (0.25,) * 3)]
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[row]), int(self.labels[row])


def network(options: argparse.Namespace) -> nn.Module:
    width = {"width": options.width} if options.model.startswith("small/") else {}
    built = Architecture.parse(options.model, width, CLASSES).build()
    return Standardised(built, Standardisation((0.5,) * 3, (0.25,) * 3)).to(options.device)


def objective(options: argparse.Namespace) -> Objective:
    told = variants.settings_class(losses, options.loss, LossSettings)(name=options.loss)
    return variants.load(losses, options.loss, "loss").build(told, CLASSES).to(options.device)


def settings(options: argparse.Namespace, radius: float) -> LoopSettings:
    attack = AttackSettings(
        radius=radius, steps=7, step_size=2.5 * radius / 7, batch_norm="eval", evaluate_every=1
    )
    return LoopSettings(
        epochs=10**6,
        batch_size=options.batch,
        learning_rate=0.01,
        learning_rate_min=0.0,
        momentum=0.9,
        weight_decay=1e-4,
        precision=options.precision,
        channels_last=True,
        compile=options.compile,
        augmentation=AugmentationSettings(level=options.level, crop_padding=options.size // 8),
        adversary=attack if radius else None,
        snapshots=(),
    )


class OurLoop:
    """The loop of the product, an epoch at a time, without what an epoch ends with (tests, history)."""

    def __init__(self, options: argparse.Namespace, split: Split, folder: Path, radius: float = 0.0) -> None:
        checkpoints = Checkpoints(folder, UNSTAMPED, 1e9)
        wanted = settings(options, radius)
        train = Split(split.images, split.labels, wanted.augmentation)
        data = Data(train, Split(split.images[:2], split.labels[:2]), 0)
        model = network(options)
        self.training = Training(model, objective(options), data, wanted, checkpoints, model.state_dict)
        self.training._record = lambda: None  # type: ignore[method-assign]

    def __call__(self) -> None:
        self.training._run_epoch(StopRequest(), _Silent())


class _Silent:
    def update(self) -> None:
        """Draw no bar."""


class BareStep:
    """Forward, backward, update of one batch that lies on the device."""

    def __init__(self, options: argparse.Namespace, split: Split) -> None:
        self.model = network(options).train()
        self.steps, self.options = len(split) // options.batch, options
        layout = torch.channels_last if options.device == "cuda" else torch.contiguous_format
        self.model.to(memory_format=layout)  # type: ignore[call-overload]
        self.compiled = torch.compile(self.model) if options.compile else self.model
        self.loss = objective(options)
        pixels, labels = split.images[: options.batch].float() / 255, split.labels[: options.batch]
        self.pixels = pixels.repeat(self.loss.views, 1, 1, 1).contiguous(memory_format=layout)
        self.labels = labels.repeat(self.loss.views)
        self.optimiser = torch.optim.SGD(self.model.parameters(), 0.01, 0.9, weight_decay=1e-4)

    def __call__(self) -> None:
        wanted = self.options.precision == "bfloat16"
        for _ in range(self.steps):
            with torch.autocast(self.options.device, torch.bfloat16, enabled=wanted):
                outputs = self.compiled(self.pixels)
            loss = self.loss(outputs, self.labels)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()


class UsualLoop:
    """DataLoader, eager (automatic mixed precision where ours has it), numbers read every step."""

    def __init__(self, options: argparse.Namespace, split: Split) -> None:
        self.model, self.options = network(options).network.train(), options
        self.loader = DataLoader(
            Images(split, options.level, options.size),
            options.batch,
            shuffle=True,
            drop_last=True,
            num_workers=options.workers,
            persistent_workers=options.workers > 0,
            pin_memory=options.device == "cuda",
        )
        self.optimiser = torch.optim.SGD(self.model.parameters(), 0.01, 0.9, weight_decay=1e-4)

    def __call__(self) -> None:
        device, wanted = self.options.device, self.options.precision == "bfloat16"
        total = correct = 0.0
        for batch, batch_labels in self.loader:
            images, labels = batch.to(device, non_blocking=True), batch_labels.to(device, non_blocking=True)
            with torch.autocast(device, torch.bfloat16, enabled=wanted):
                outputs = self.model(images)
                loss = nn.functional.cross_entropy(outputs, labels)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += loss.item()
            correct += (outputs.argmax(1) == labels).sum().item()


def compare(options: argparse.Namespace, only_ours: bool = False) -> None:
    generator = torch.Generator().manual_seed(0)
    count = options.steps * options.batch
    shape = (count, 3, options.size, options.size)
    split = Split(
        torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(options.device),
        torch.randint(0, CLASSES, (count,), generator=generator).to(options.device),
    )
    with tempfile.TemporaryDirectory() as name:
        part = max(2, options.steps // 4) * options.batch
        few = Split(split.images[:part], split.labels[:part])
        jobs: dict[str, tuple[Any, int]] = {"our loop": (OurLoop(options, split, Path(name)), count)}
        if not only_ours:
            jobs = {"bare step": (BareStep(options, split), count)} | jobs
        if options.loss == "cross_entropy" and not only_ours:
            jobs["usual loop"] = UsualLoop(options, split), count
            jobs["our loop, PGD-7"] = OurLoop(options, few, Path(name), radius=8 / 255), len(few)
        rates: dict[str, list[float]] = {what: [] for what in jobs}
        for repeat in range(options.repeats + 1):
            order = list(jobs) if repeat % 2 else list(reversed(jobs))
            for what in order:
                job, images = jobs[what]
                _wait(options.device)
                start = time.perf_counter()
                job()
                _wait(options.device)
                if repeat:  # the first round warms up
                    rates[what].append(images / (time.perf_counter() - start))
    bare = median(rates.get("bare step", rates["our loop"]))
    threads = f"{torch.get_num_threads()} threads, {options.workers} workers"
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    shown = f"{options.model}, width {options.width}, {options.size} px, {options.loss}"
    recipe = (
        f"batches of {options.batch}, level {options.level}, {options.precision}, compile {options.compile}"
    )
    print(f"{shown}; {recipe}; {device}, {threads}, medians of {options.repeats}")
    for what, found in rates.items():
        rate = median(found)
        print(f"  {what:16} {rate:10,.0f} images/s   {rate / bare:6.3f} x the bare step's rate")
    if "usual loop" in rates:
        ratio = median(rates["our loop"]) / median(rates["usual loop"])
        seconds = {what: options.batch / median(found) for what, found in rates.items()}
        summary.add(
            f"training step, {options.model}, {options.precision}",
            seconds["our loop"],
            floor=seconds["bare step"],
            peer="DataLoader loop",
            peers=seconds["usual loop"],
        )
        summary.add("training step with PGD-7", seconds["our loop, PGD-7"], floor=seconds["bare step"])
        print(f"  our loop is {ratio:.2f} x as fast as the usual loop")
        print(f"  a step of PGD-7 costs {bare / median(rates['our loop, PGD-7']):.2f} bare steps")


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="small/resnet18")
    parser.add_argument("--loss", default="cross_entropy", help="others against the bare step alone")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="of the usual loop")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--only-ours", action="store_true", help="no other loop")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    compare(chosen, chosen.only_ours)
