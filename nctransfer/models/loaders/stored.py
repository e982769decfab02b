"""A pre-trained model, from its store."""

from collections.abc import Mapping
from pathlib import Path

import torch

from nctransfer.models.backbone import Backbone
from nctransfer.models.model_store import load_model


def load(inputs: Mapping[str, str], device: torch.device) -> Backbone:
    """Load the store whose manifest is ``inputs["model"]``."""
    return load_model(Path(inputs["model"]), device)
