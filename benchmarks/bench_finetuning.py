"""A step of Layer FT and SCL FT against a full fine-tuning step, interleaved in one process.

    python benchmarks/bench_finetuning.py [--models resnet50 vit --batch 16 --repeats 5]
    python benchmarks/bench_finetuning.py --device cuda --batch 128 --precision bfloat16 --repeats 20

prints, for ResNet50 (unit 8) and ViT-B/32 (layer 8) at 224 px and 100 classes, seconds a step as shares
of a full fine-tuning step, and the memory that a step keeps for its backward pass, of

- full fine-tuning;
- freezing by the optimiser alone: the whole backward pass, two parts of it used (the obvious way);
- Layer FT and SCL FT, the whole network in every step (target: at most 0.50), statistics updated as
  the paper has it or, where there are any, frozen;
- the same from the kept prefix, statistics recalibrated (target: at most 0.33).

Memory is what autograd saves, counted once a storage (on the CPU), or the peak allocation (on a GPU).
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import summary  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from nctransfer import variants  # noqa: E402
from nctransfer.finetuning import methods  # noqa: E402
from nctransfer.finetuning.method import MethodSettings  # noqa: E402
from nctransfer.finetuning.prefix import Prefix  # noqa: E402
from nctransfer.finetuning.tuned_network import TunedNetwork  # noqa: E402
from nctransfer.finetuning.tuning import Task  # noqa: E402
from nctransfer.models.architecture import Architecture  # noqa: E402
from nctransfer.models.backbone import Backbone, Identity, measure  # noqa: E402
from nctransfer.models.model_store import describe  # noqa: E402

MODELS = {
    "resnet50": ("torchvision/resnet50", "resnet"),
    "vit": ("timm/vit_base_patch32_224", "vit"),
}
CLASSES, UNIT, SIDE = 100, 8, 224


def tuned(model: str, method: str, statistics: str, options: argparse.Namespace) -> TunedNetwork:
    name, family = MODELS[model]
    base = Architecture.parse(name).build().eval()
    layout = describe(base, family)
    units, width = measure(base, layout, (SIDE, SIDE))
    identity = Identity("", name, "", family, (0.5,) * 3, (0.25,) * 3, (SIDE, SIDE), None, "")
    backbone = Backbone(base, layout, units, width, None, identity).to(options.device)
    chosen = MethodSettings(name=method, units=() if method == "full_ft" else (UNIT,))
    task = Task(backbone, [""] * CLASSES, chosen, statistics, 0)
    network: TunedNetwork = variants.load(methods, method).prepare(task)
    return network.train()


class Step:
    """Forward, backward and update of one batch that lies on the device."""

    def __init__(
        self, network: TunedNetwork, inputs: Tensor, labels: Tensor, updated: list[nn.Parameter], half: bool
    ) -> None:
        self.network, self.inputs, self.labels, self.half = network, inputs, labels, half
        self.optimiser = torch.optim.SGD(updated, lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def __call__(self) -> None:
        with torch.autocast(self.inputs.device.type, torch.bfloat16, enabled=self.half):
            logits = self.network(self.inputs)
        loss = functional.cross_entropy(logits.float(), self.labels)
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def steps(model: str, options: argparse.Namespace) -> dict[str, Step]:
    half = options.precision == "bfloat16"
    pixels = torch.rand(options.batch, 3, SIDE, SIDE, device=options.device)
    labels = torch.randint(0, CLASSES, (options.batch,), device=options.device)

    def step(network: TunedNetwork, inputs: Tensor = pixels) -> Step:
        wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return Step(network, inputs, labels, wanted, half)

    found = {"full fine-tuning": step(tuned(model, "full_ft", "update", options))}
    whole = tuned(model, "full_ft", "update", options)
    path = whole.backbone.units[UNIT - 1].name
    part = [*whole.backbone.network.get_submodule(path).parameters(), *whole.classifier.parameters()]
    found["frozen by the optimiser alone"] = Step(whole, pixels, labels, part, half)
    for name, method in (("Layer FT", "layer_ft"), ("SCL FT", "scl_ft")):
        found[name] = step(tuned(model, method, "update", options))
        if model == "resnet50":
            found[f"{name}, frozen statistics"] = step(tuned(model, method, "frozen", options))
        network = tuned(model, method, "recalibrated", options)
        prefix = Prefix(network, half)
        kept = prefix(pixels)
        prefix.cut()
        found[f"{name}, kept prefix"] = step(network.train(), kept)
    return found


def seconds(job: Callable[[], None], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    job()
    _wait(device)
    return time.perf_counter() - start


def memory(job: Callable[[], None], device: str) -> float:
    """Megabytes that a step keeps for its backward pass, beside parameters and inputs."""
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        job()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    sizes: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        if not isinstance(value, nn.Parameter) and not value.is_leaf:
            sizes[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        job()
    return sum(sizes.values()) / 1e6


def compare(model: str, options: argparse.Namespace) -> None:
    jobs = steps(model, options)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(options.repeats + 1):
        for name in list(jobs) if repeat % 2 else list(reversed(jobs)):
            spent = seconds(jobs[name], options.device)
            if repeat:  # the first round warms up
                taken[name].append(spent)
    kept = {name: memory(job, options.device) for name, job in jobs.items()}
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(
        f"{MODELS[model][0]}, {SIDE} px, unit {UNIT}; batches of {options.batch}, {options.precision}; "
        f"{device}, {torch.get_num_threads()} threads, medians of {options.repeats}"
    )
    full = "full fine-tuning"
    for name, times in taken.items():
        share = median(times) / median(taken[full])
        if name != full:
            summary.add(f"{model}: {name}", median(times), peer=full, peers=median(taken[full]))
        print(
            f"  {name:30} {median(times):8.3f} s  {share:5.2f} of a full step   "
            f"{kept[name]:8.0f} MB  {kept[name] / kept[full]:5.2f} of its memory"
        )


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for wanted in chosen.models:
        compare(wanted, chosen)
