"""OpenVINO on a CPU: the network is compiled with all columns as its outputs.

It folds batch normalisation and fuses operations by itself, so numbers differ from PyTorch's by rounding.
Threads are those of torch. Source: docs.openvino.ai (2026.4).
"""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.errors import ConfigError, ModelError
from nctransfer.features.outputs import describe_columns, outputs
from nctransfer.features.settings import OPENVINO_MISSING, FeaturesJobSettings
from nctransfer.models.backbone import Backbone
from nctransfer.settings import Precision

logger = logging.getLogger(__name__)

HINTS = {"float32": "f32", "bfloat16": "bf16"}


@contextmanager
def prepare(
    backbone: Backbone, poolings: Sequence[str], settings: FeaturesJobSettings
) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
    """See the package; the backbone is on the CPU.

    Raises:
        ConfigError: openvino is not installed, or the CPU cannot compute in this precision.
        ModelError: OpenVINO cannot convert the network.
    """
    names = [column.name for column in describe_columns(backbone, poolings)]
    how = (tuple(poolings), settings.precision, torch.get_num_threads())

    def run(pixels: Tensor) -> dict[str, Tensor]:
        request = _compiled(backbone, *pixels.shape[2:], *how)
        found = request.infer([pixels.contiguous().numpy()], share_inputs=True)
        return {name: torch.from_numpy(found[index]) for index, name in enumerate(names)}

    yield run


class _Outputs(nn.Module):
    """A backbone whose forward pass returns all columns."""

    def __init__(self, backbone: Backbone, poolings: Sequence[str]) -> None:
        super().__init__()
        self.backbone, self.poolings = backbone, poolings

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Columns (N, width), in order, of images (N, 3, H, W), uint8."""
        return tuple(outputs(self.backbone, self.backbone.normalise(pixels), self.poolings).values())


@lru_cache(maxsize=2)  # one for both splits
def _compiled(
    backbone: Backbone, height: int, width: int, poolings: tuple[str, ...], precision: Precision, threads: int
) -> Any:
    """An inference request of the compiled network, for batches of any size of images of one size."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # would report the use to Intel
    try:
        import openvino
    except ModuleNotFoundError:
        raise ConfigError(OPENVINO_MISSING) from None
    example, name = torch.zeros(2, 3, height, width, dtype=torch.uint8), backbone.identity.name
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing with fixed sizes of images
            network = openvino.convert_model(
                _Outputs(backbone, poolings).eval(), example_input=example, input=[-1, 3, height, width]
            )
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{name}: OpenVINO cannot convert it ({reason}); set features.engine: torch"
        ) from None
    compiled = openvino.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # jobs side by side would be pinned to the same cores
        },
    )
    used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if used != HINTS[precision]:
        raise ConfigError(
            f"features.precision: {precision!r}: OpenVINO computes in {used} on this CPU; set another one"
        )
    logger.info("OpenVINO %s, %s, %d threads", openvino.__version__, used, threads)
    return compiled.create_infer_request()
