"""A fine-tuned model, from its base model and the changes of the run."""

from collections.abc import Mapping
from pathlib import Path

import torch

from nctransfer.models.backbone import Backbone
from nctransfer.models.tuned import load_tuned


def load(inputs: Mapping[str, str], device: torch.device) -> Backbone:
    """Load the base model ``inputs["model"]`` with the changes of the run ``inputs["tuned"]``."""
    return load_tuned(Path(inputs["model"]), Path(inputs["tuned"]), device)
