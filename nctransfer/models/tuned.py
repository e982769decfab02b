"""Fine-tuned models: a base model and the changes of a fine-tuning run.

A run stores the tensors that it trained, not the network (``arrays/tuned.safetensors``): ``network.<name>``
is a tensor of the network, ``lora.<name>.a`` and ``.b`` are the low-rank change of one,
``classifier.<name>`` is a tensor of the classifier. Together with the base model and the run's manifest they
define the tuned model, which is then used like any other model.
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
from nctransfer.storage.stores import ARRAYS, Store

KIND = "finetuning"
WEIGHTS = f"{ARRAYS}/tuned.safetensors"
NETWORK, LORA, CLASSIFIER = "network.", "lora.", "classifier."


class PassThrough(nn.Module):
    """Replaces a removed unit; ignores all further arguments."""

    def forward(self, x: Tensor, *others: Any, **options: Any) -> Tensor:
        """The input unchanged."""
        return x


def without_head(backbone: Backbone, skip: Sequence[int] = (), last: int | None = None) -> Backbone:
    """The backbone for a new classifier; its network is changed in place.

    Args:
        backbone: a model with or without a head.
        skip: units whose outputs are added to the penultimate feature (SCL FT).
        last: the deepest unit that stays (Layer LP); None, or the last unit, keeps all. A transformer keeps
            its final norm; in other networks the pooled output of this unit becomes the penultimate feature.

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
    """The change of a weight (outputs, ...) by LoRA: scale B A, in the weight's shape.

    Source: Hu et al. 2022 (arXiv 2106.09685), equation 3; a convolution by its flattened kernel. ``a`` is (r,
    inputs), where inputs include the positions of a kernel, ``b`` (outputs, r), and the scale alpha / r.
    """
    return (scale * (b @ a)).view(*shape)


def load_tuned(model: Path, tuned: Path, device: torch.device | str = "cpu") -> Backbone:
    """Read a fine-tuned model: in evaluation mode, frozen, on ``device``, without its classifier.

    ``model`` and ``tuned`` are the manifests of the base model's and the run's stores.

    Raises:
        StoreError: a store is missing or altered, or the run started from other weights.
        ModelError: the tensors of the run do not fit the network.
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
    """Load the tensors of a run into the network of its base model."""
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
