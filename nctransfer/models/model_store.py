"""Model stores: written from any source, read back as a backbone."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import torch

from nctransfer import variants
from nctransfer.catalog.model_facts import size_remedy
from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError, StoreError
from nctransfer.models import sources, unit_layouts
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.backbone import Backbone, Head, Identity, measure
from nctransfer.models.checkpoint import (
    drop_heads,
    fingerprint,
    first_line,
    load_strictly,
    read_weights,
    refuse_non_finite,
    write_weights,
    zero_heads,
)
from nctransfer.models.observation import observed
from nctransfer.models.parameters import ParameterPlaces, head_parameters, locate_parameters
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.unit_layout import Form, Unit, UnitLayout
from nctransfer.stamp import UNSTAMPED, Stamp
from nctransfer.storage.stores import ARRAYS, Store, create_store

logger = logging.getLogger(__name__)

PENULTIMATE, HEAD = "penultimate", "head"
WEIGHTS = f"{ARRAYS}/weights.safetensors"
UNIT_COLUMNS = ("index", "name", "type", "width", "parameters", "between")


def save_model(
    manifest: Path, settings: ModelJobSettings, stamp: Stamp = UNSTAMPED, checkpoint: Path | None = None
) -> None:
    """Fetch a network and write its model store; ModelError where it does not match the settings.

    The store holds ``arrays/weights.safetensors`` and ``units.csv`` (index, name, type, width, parameters,
    between), with one row each for the stem (0), the units, the penultimate feature with all parameters after
    the last unit, and the head, if any; ``between`` counts the parameters outside the units just before this
    one. The manifest tells how to rebuild the network without any download, and how its images are prepared.
    ``checkpoint`` is the weights file of sources that read one.
    """
    fetched = variants.load(sources, settings.source, needs=["fetch"]).fetch(settings, checkpoint)
    name = settings.name or settings.architecture or fetched.architecture.name
    _check_plan(settings.native, fetched.metadata.native, name)
    size = settings.size or fetched.metadata.size
    network = fetched.network.eval().float()
    state = network.state_dict()
    refuse_non_finite(state, name)
    layout = describe(network, settings.unit_layout)
    headless = fetched.headless or zero_heads(network, layout.heads)
    if headless and layout.heads:
        # weights of zeros are not what anybody expects
        level = logging.INFO if fetched.headless else logging.WARNING
        logger.log(level, "%s: without the head %s, so without logits", name, layout.heads[0])
        drop_heads(network, layout.heads)
        layout = replace(layout, heads=())
        state = network.state_dict()
    layout, units, width = _measured(network, layout, size, fetched.architecture, settings.source)
    head = None if headless else _head(network, layout, fetched.metadata)
    native = fetched.metadata.native
    located = locate_parameters(network, layout, size)
    with create_store(manifest, "model", stamp) as store:
        write_weights(store.file(WEIGHTS), state)
        rows = unit_rows(network, layout, units, width, located)
        _write_units(store.file("units.csv"), rows)
        store.meta = {
            "source": settings.source,
            "name": name,
            "weights": Path(str(checkpoint or settings.weights or "")).name,
            "unit_layout": settings.unit_layout,
            "architecture": fetched.architecture.to_json(),
            "headless": headless,
            "mean": list(fetched.metadata.mean or ()),
            "std": list(fetched.metadata.std or ()),
            "size": list(size),
            "native": None if native is None else native.told(),
            "poolings": list(layout.poolings),
            "forms": [astuple(form) for form in layout.forms],
            "feature_pooling": layout.feature_pooling,
            "units": len(units) - 1,
            "width": width,
            "head": None if head is None else {"name": head.name, "classes": head.classes},
            "class_names": None if head is None or head.class_names is None else list(head.class_names),
            "fingerprint": fingerprint(state),
        }


def load_model(manifest: Path, device: torch.device | str = "cpu") -> Backbone:
    """Read a model store: in evaluation mode, frozen, on ``device``; imports only the library it needs.

    Raises:
        StoreError: no such store, or its bytes have changed.
        ModelError: the weights no longer fit the network of the installed library.
    """
    store = Store(manifest, "model")
    meta = store.manifest
    network = Architecture.from_json(meta["architecture"]).build()
    layout = describe(network, meta["unit_layout"])
    if meta["headless"]:
        drop_heads(network, layout.heads)
        layout = replace(layout, heads=())
    weights = store.path(WEIGHTS)
    load_strictly(network, read_weights(weights), str(weights))
    network.requires_grad_(False).eval()
    if "forms" in meta:
        forms = tuple(Form(*form) for form in meta["forms"])
        layout = replace(layout, poolings=tuple(meta["poolings"]), forms=forms)
    else:  # a store of an earlier version
        layout = observed(network, layout, tuple(meta["size"]))
    units, width = _read_units(store.path("units.csv"))
    if tuple(unit.name for unit in units[1:]) != layout.units:
        raise ModelError(
            f"{manifest}: the installed library has other unit names; delete the store and run again"
        )
    head = None
    if meta["head"] is not None:
        names = meta["class_names"]
        head = Head(meta["head"]["name"], meta["head"]["classes"], tuple(names) if names else None)
    identity = Identity(
        source=meta["source"],
        name=meta["name"],
        weights=meta["weights"],
        unit_layout=meta["unit_layout"],
        mean=tuple(meta["mean"]),
        std=tuple(meta["std"]),
        size=(meta["size"][0], meta["size"][1]),
        native=None if meta["native"] is None else Geometry.read(meta["native"]),
        fingerprint=meta["fingerprint"],
    )
    return Backbone(network, layout, units, width, head, identity).to(device).eval()


def describe(network: torch.nn.Module, unit_layout: str) -> UnitLayout:
    """The unit layout of a network.

    Raises:
        ConfigError: no such unit layout.
        ModelError: it finds no units in the network.
    """
    layout: UnitLayout = variants.load(unit_layouts, unit_layout, needs=["describe"]).describe(network)
    return layout


def unit_rows(
    network: torch.nn.Module, layout: UnitLayout, units: Sequence[Unit], width: int, located: ParameterPlaces
) -> list[list[int | str]]:
    """Rows of ``units.csv``: the stem, the units, the penultimate feature, and the head if there is one."""
    inside, between = (located.stem, *located.units), (0, *located.between)
    rows: list[list[int | str]] = [
        [unit.index, unit.name, unit.type, unit.width, inside[unit.index], between[unit.index]]
        for unit in units
    ]
    last = layout.penultimate
    rows.append([PENULTIMATE, last.module, f"{last.side} of it", width, located.last, 0])
    if layout.heads:
        name = layout.heads[0]
        module = network.get_submodule(name)
        classes = int(module.get_parameter("weight").shape[0])
        rows.append([HEAD, name, type(module).__name__, classes, head_parameters(network, layout), 0])
    return rows


def _check_plan(planned: Geometry | None, native: Geometry | None, name: str) -> None:
    """Refuse a geometry in the table of known models that differs from the library's."""
    if planned is not None and planned != native:
        raise ModelError(
            f"{name}: the installed library prepares images by {native}, the table of known models "
            f"says {planned}; set `preprocess: paper` for this model, "
            "or install the library version of requirements.lock"
        )


def _measured(
    network: torch.nn.Module,
    layout: UnitLayout,
    size: tuple[int, int],
    architecture: Architecture,
    source: str,
) -> tuple[UnitLayout, list[Unit], int]:
    try:
        layout = observed(network, layout, size)
        return layout, *measure(network, layout, size)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(
            f"{architecture.library}/{architecture.name}: does not accept images of {size[0]} x {size[1]} px "
            f"({first_line(error)}); set another `size`, or "
            f"{size_remedy(architecture.library, architecture.name, source, size[0])}"
        ) from None


def _head(network: torch.nn.Module, layout: UnitLayout, metadata: Metadata) -> Head | None:
    if not layout.heads:
        return None
    classes = int(network.get_submodule(layout.heads[0]).get_parameter("weight").shape[0])
    names = metadata.class_names
    return Head(layout.heads[0], classes, names if names and len(names) == classes else None)


def _write_units(path: Path, rows: Sequence[Sequence[int | str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(UNIT_COLUMNS)
        writer.writerows(rows)


def _read_units(path: Path) -> tuple[list[Unit], int]:
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["index"] != HEAD]
    if not rows or rows[-1]["index"] != PENULTIMATE:
        raise StoreError(f"{path}: no row of the penultimate feature; delete the store and run again")
    units = [Unit(int(row["index"]), row["name"], row["type"], int(row["width"])) for row in rows[:-1]]
    return units, int(rows[-1]["width"])
