"""Writes ``nctransfer/catalog/known_models.csv`` from the installed libraries.

    python -m nctransfer.models.write_known_models [library ...]

Every network is built without memory (on the ``meta`` device) and blank images are sent
through it: what is listed has units that were found and measured, and costs that were counted.
All take some minutes; to be run again when requirements.lock takes another version of a model library.
"""

import csv
import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from timm.models import _registry as timm_registry
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models as torchvision_models

from nctransfer import variants
from nctransfer.catalog.known_models import COLUMNS, TABLE
from nctransfer.data.settings import Geometry
from nctransfer.errors import NCTransferError
from nctransfer.models import architectures
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.architectures import timm as timm_library
from nctransfer.models.backbone import measure
from nctransfer.models.model_store import describe
from nctransfer.models.observation import observed
from nctransfer.models.sources.open_clip import check_activation
from nctransfer.models.unit_layout import Unit, trunk
from nctransfer.storage.files import atomic_path

logger = logging.getLogger(__name__)

with Path(__file__).with_name("layouts_of_modules.csv").open(newline="") as file:
    UNIT_LAYOUT_OF_MODULE = {row["module"]: row["unit_layout"] for row in csv.DictReader(file)}
FALLBACK = "stages"
# Weights without a classifier, and with an input that the others do not have.
SKIPPED = {("torchvision", "vgg16", "IMAGENET1K_FEATURES")}


@dataclass(frozen=True)
class Costs:
    """What a network costs, as in ``catalog.known_models.KnownModel``; counted numbers have three digits."""

    parameters: str
    multiply_adds: str
    activations: str
    unit_widths: int
    width: int
    fixed_size: str  # "yes" or empty


def rows(libraries: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Rows of some libraries, of all for none; default weights before the others of the same network.

    Raises:
        ConfigError: there is no such library.
    """
    listed = {
        "torchvision": lambda: torchvision_rows(torchvision_models.list_models(module=torchvision_models)),
        "timm": lambda: timm_rows(timm.list_models(pretrained=True, include_tags=False)),
        "open_clip": lambda: open_clip_rows(
            list(dict.fromkeys(name for name, _ in open_clip.list_pretrained()))
        ),
    }
    for library in libraries or [*listed, *sorted(set(variants.names(architectures)) - set(listed))]:
        yield from listed[library]() if library in listed else own_rows(library)


def torchvision_rows(names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of torchvision's classifiers."""
    for name in names:
        module = torchvision_models.get_model_builder(name).__module__
        entries = torchvision_models.get_model_weights(name)
        default = entries["DEFAULT"]
        for entry in sorted(entries, key=lambda entry: entry is not default):
            if ("torchvision", name, entry.name) not in SKIPPED:
                yield from _row("torchvision", name, entry.name, UNIT_LAYOUT_OF_MODULE.get(module, FALLBACK))


def timm_rows(names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of timm's networks, one a tag."""
    for name in names:
        module = timm_registry.model_entrypoint(name).__module__
        tags = timm.list_pretrained(f"{name}.*")
        default = f"{name}.{timm_library.entry(name).tag}"
        for tagged in sorted(tags, key=lambda tagged: (tagged != default, tagged)):
            yield from _row("timm", tagged, "", UNIT_LAYOUT_OF_MODULE.get(module, FALLBACK))


def open_clip_rows(names: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of open_clip's image towers whose weights were trained with their activation."""
    for name in names:
        vision = (open_clip.get_model_config(name) or {}).get("vision_cfg")
        if vision is None:
            continue
        trunk = vision.get("timm_model_name")
        module = timm_registry.model_entrypoint(trunk).__module__ if trunk else "open_clip.transformer"
        for tag in open_clip.list_pretrained_tags_by_model(name):
            try:
                check_activation(name, tag)
            except NCTransferError:
                continue
            yield from _row("open_clip", name, tag, UNIT_LAYOUT_OF_MODULE.get(module, FALLBACK))


def own_rows(library: str) -> Iterator[dict[str, Any]]:
    """Rows of a library of this project's own: of the networks in the ``UNIT_LAYOUTS`` of its module."""
    module = variants.load(architectures, library, needs=["UNIT_LAYOUTS"])
    for name, unit_layout in module.UNIT_LAYOUTS.items():
        yield from _row(library, name, "", unit_layout)


def _row(source: str, name: str, weights: str, unit_layout: str) -> Iterator[dict[str, Any]]:
    metadata = Architecture(source, name).metadata(weights or None)
    architecture = Architecture(source, name, metadata.options)
    for candidate in dict.fromkeys((unit_layout, FALLBACK)):
        try:
            units, poolings, costs = described(_key(architecture, metadata), candidate)
        except Exception as error:  # a network that cannot be described is left out, whatever the reason
            logger.info("%s/%s as %s: %s", source, name, candidate, str(error).split("\n")[0])
            continue
        yield {
            "source": source,
            "name": name,
            "weights": weights,
            "unit_layout": candidate,
            "units": units,
            "poolings": " ".join(poolings),
            **_geometry(metadata),
            **asdict(costs),
        }
        return
    logger.warning("%s/%s %s: left out", source, name, weights)


def _key(architecture: Architecture, metadata: Metadata) -> tuple[Any, ...]:
    """Tags of one timm architecture and size share units; its build arguments do not differ."""
    name = architecture.name
    return (architecture.library, name, json.dumps(dict(metadata.options), sort_keys=True), metadata.size)


@lru_cache(maxsize=8)
def described(key: tuple[Any, ...], unit_layout: str) -> tuple[int, tuple[str, ...], Costs]:
    """Number of units, poolings and costs of a network: library, name, options in JSON and size."""
    library, name, options, size = key
    # torchvision's RegNets compute their widths with tensors, which meta tensors cannot hold.
    device = "cpu" if library == "torchvision" and name.startswith("regnet") else "meta"
    with torch.device(device):
        network = Architecture(library, name, json.loads(options)).build().eval()
    layout = observed(network, describe(network, unit_layout), size, device)
    units, width = measure(network, layout, size, device)
    if unit_layout == FALLBACK:
        _check_channels(network, units)
    if min(width, *(unit.width for unit in units)) < 2:
        raise ValueError(f"widths {[unit.width for unit in units]}, {width}")
    costs = _costs(network, size, device, sum(unit.width for unit in units), width)
    return len(units) - 1, layout.poolings, costs


def _costs(network: nn.Module, size: tuple[int, int], device: str, unit_widths: int, width: int) -> Costs:
    """Count parameters, and the multiply-adds and kept bytes of a blank image's forward pass."""
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> None:
        """Note what a backward pass would read; held here, so that no other tensor takes its place."""
        if tensor.untyped_storage()._cdata not in own:
            kept[tensor.untyped_storage()._cdata] = tensor.detach()

    with (
        FlopCounterMode(display=False) as counter,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda nothing: nothing),
    ):
        network(torch.zeros(1, 3, *size, device=device))
    return Costs(
        parameters=_three_digits(sum(parameter.numel() for parameter in network.parameters()) / 1e6),
        multiply_adds=_three_digits(counter.get_total_flops() / 2e9),
        activations=_three_digits(sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 1e6),
        unit_widths=unit_widths,
        width=width,
        fixed_size="yes" if device == "meta" and not _takes(network, (2 * size[0], 2 * size[1])) else "",
    )


def _takes(network: nn.Module, size: tuple[int, int]) -> bool:
    """Whether images of another size pass through a network without memory."""
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, *size, device="meta"))
    except Exception:  # whatever the library raises
        return False
    return True


def _three_digits(value: float) -> str:
    """Three significant digits, without an exponent: 25.6, 0.301, 1280."""
    return f"{float(f'{value:.3g}'):.10f}".rstrip("0").rstrip(".")


def _check_channels(network: nn.Module, units: Sequence[Unit]) -> None:
    """The measured widths must be the channels that timm declares, or the layout was misread."""
    start, inner = trunk(network)
    info = getattr(inner, "feature_info", None) or []
    declared = {
        f"{start}{entry.get('module')}": entry.get("num_chs") for entry in info if isinstance(entry, dict)
    }
    for unit in units:
        if unit.width != declared.get(unit.name, unit.width):
            raise ValueError(f"{unit.name} has width {unit.width}, timm says {declared[unit.name]}")


def _geometry(metadata: Metadata) -> dict[str, Any]:
    height, width = metadata.size
    crop = str(height) if height == width else f"{height}x{width}"
    native = metadata.native or Geometry()
    sides = native.resize if isinstance(native.resize, tuple) else (native.resize or "",)
    return {
        "resize": "x".join(map(str, sides)),
        "crop": crop,
        "interpolation": native.interpolation,
    }


def main() -> None:
    """Write the table; arguments are libraries whose rows alone are written anew."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    warnings.simplefilter("ignore")
    libraries = sys.argv[1:]
    with TABLE.open(newline="") as file:
        kept = [row for row in csv.DictReader(file) if libraries and row["source"] not in libraries]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*kept, *rows(libraries)])
    with atomic_path(TABLE) as partial:
        partial.write_text(text.getvalue())


if __name__ == "__main__":
    main()
