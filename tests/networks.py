"""Backbones of networks that are made in a test, without a store."""

import copy
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch
from torch import nn

from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone, Head, Identity, measure
from nctransfer.models.model_store import describe, load_model, save_model
from nctransfer.models.observation import observed
from nctransfer.models.settings import ModelJobSettings
from nctransfer.stamp import UNSTAMPED

ROOT = Path(__file__).resolve().parents[1]


def backbone_of(
    network: nn.Module, unit_layout: str, size: tuple[int, int], head: Head | None = None, device: str = "cpu"
) -> Backbone:
    """A network cut into units; its pixels are normalised by 0.5."""
    network = network.eval()
    layout = observed(network, describe(network, unit_layout), size, device)
    units, width = measure(network, layout, size, device)
    identity = Identity("test", unit_layout, "", unit_layout, (0.5,) * 3, (0.5,) * 3, size, None, "")
    return Backbone(network, layout, units, width, head, identity).to(device)


def stored(folder: Path, settings: dict, checkpoint: Path | None = None) -> Backbone:
    """A model as its store gives it back."""
    save_model(folder / "manifest.json", ModelJobSettings.read(settings), UNSTAMPED, checkpoint)
    return load_model(folder / "manifest.json")


def loaded_by(code: str, *libraries: str) -> list[str]:
    """Which of some libraries a new process has loaded after a piece of code."""
    told = f"import sys; {code}; print(*sorted({set(libraries)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def meta_backbone(name: str, unit_layout: str, size: tuple[int, int]) -> Backbone:
    """A backbone without memory, of one's own."""
    return copy.deepcopy(_meta_backbone(name, unit_layout, size))


@cache
def _meta_backbone(name: str, unit_layout: str, size: tuple[int, int]) -> Backbone:
    """A backbone without memory."""
    with torch.device("meta"):
        network = Architecture.parse(name).build()
    return backbone_of(network, unit_layout, size, device="meta")
