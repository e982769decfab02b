"""Fine-tuned models: a base model, and what a fine-tuning run changed of it.

A run leaves the tensors that it trained, not the network (``tuned.safetensors``):
``network.<name>`` stands for a tensor of the network, ``lora.<name>.a`` and ``.b`` for the
low-rank change of one, ``classifier.<name>`` for the classifier. With the base model and the
run's manifest they make the tuned model, which is a model like any other.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.errors import ModelError, StoreError
from nctransfer.models.backbone import Backbone
from nctransfer.models.checkpoint import drop_heads, read_weights
from nctransfer.models.model_store import load_model
from nctransfer.models.skip_connection import check_skip
from nctransfer.models.unit_layout import Tap
from nctransfer.storage.stores import Store

KIND = "finetuning"
WEIGHTS = "tuned.safetensors"
NETWORK, LORA, CLASSIFIER = "network.", "lora.", "classifier."


class PassThrough(nn.Module):
    """Stands where a unit was taken out; whatever else its caller hands over is ignored."""

    def forward(self, x: Tensor, *others: Any, **options: Any) -> Tensor:
        """The input as it is."""
        return x


def without_head(backbone: Backbone, skip: Sequence[int] = (), last: int | None = None) -> Backbone:
    """The backbone that a classifier of one's own is put on; its network is changed in place.

    Args:
        backbone: a model of the zoo.
        skip: units whose outputs the classifier sees beside the penultimate feature (SCL FT).
        last: the deepest unit that is kept (Layer LP); None, and the last unit, keep all. Of a
            transformer the final norm stays, of other networks the unit's pooled output becomes the
            penultimate feature.

    Raises:
        ModelError: there is no such unit, or one of ``skip`` is wider than the penultimate feature.
    """
    for index in (*skip, *([last] if last is not None else [])):
        backbone.tap(index)
    drop_heads(backbone.network, backbone.layout.heads)
    layout, units, width = replace(backbone.layout, heads=()), backbone.units, backbone.width
    if last is not None and last < len(units):
        removed = layout.units[last:]
        layout = replace(layout, units=layout.units[:last])
        units = units[:last]
        if "avg" in layout.poolings:
            layout = replace(layout, penultimate=Tap(layout.units[-1], "output"))
            width = units[-1].width
        else:
            for path in removed:
                parent, _, name = path.rpartition(".")
                setattr(backbone.network.get_submodule(parent), name, PassThrough())
    check_skip([units[index - 1] for index in skip], width, backbone.identity.name)
    return Backbone(
        backbone.network, layout, (backbone.stem, *units), width, None, backbone.identity, skip
    ).to(next(backbone.buffers()).device)


def low_rank_change(a: Tensor, b: Tensor, scale: float, shape: Sequence[int]) -> Tensor:
    """What LoRA adds to a weight: scale B A, in the weight's shape.

    Source: Hu et al. 2022 (arXiv 2106.09685), equation 3; for a convolution as its flattened kernel.

    Args:
        a: (r, inputs), inputs counting the positions of a kernel too.
        b: (outputs, r).
        scale: alpha / r.
        shape: of the weight, (outputs, ...).
    """
    return (scale * (b @ a)).view(*shape)


def load_tuned(model: Path, tuned: Path, device: torch.device | str = "cpu") -> Backbone:
    """Read a fine-tuned model: in evaluation mode, frozen, on ``device``, without its classifier.

    Args:
        model: manifest of the base model's store.
        tuned: manifest of the run's store.
        device: where it is to be.

    Raises:
        StoreError: a store is missing or altered, or the run began with other weights.
        ModelError: the run's tensors do not fit the network.
    """
    backbone, store = load_model(model), Store(tuned, KIND)
    meta = store.manifest
    if meta["base"] != backbone.identity.fingerprint:
        raise StoreError(
            f"{tuned}: fine-tuned from other weights than those of {model}; delete it and run again"
        )
    weights = store.path(WEIGHTS)
    backbone = without_head(backbone, meta["skip"], meta["last_unit"])
    _apply(backbone.network, read_weights(weights), meta["lora_scale"], str(weights))
    changed = hashlib.sha256(f"{meta['base']} {meta['files'][WEIGHTS]['sha256']}".encode()).hexdigest()
    backbone.identity = replace(backbone.identity, source=KIND, name=meta["run"], fingerprint=changed)
    backbone.network.requires_grad_(False)
    return backbone.to(device).eval()


def _apply(network: nn.Module, tensors: Mapping[str, Tensor], scale: float, where: str) -> None:
    """Put a run's tensors into the network of its base model."""
    state = network.state_dict()
    changed = {key.removeprefix(NETWORK): value for key, value in tensors.items() if key.startswith(NETWORK)}
    for key in sorted(tensors):
        if key.startswith(LORA) and key.endswith(".a"):
            name = key.removeprefix(LORA).removesuffix(".a")
            if name in state:
                change = low_rank_change(tensors[key], tensors[f"{LORA}{name}.b"], scale, state[name].shape)
                changed[name] = state[name] + change
            else:
                changed[name] = tensors[key]
    wrong = [key for key, value in changed.items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise ModelError(f"{where}: {len(wrong)} tensors do not fit the network, the first is {wrong[0]}")
    network.load_state_dict(changed, strict=False)
