"""Low-rank adapters on the linear maps of some modules (Hu et al. 2022, arXiv 2106.09685).

An adapter is a parametrisation of the weight itself, W + (alpha / r) B A, so that it works wherever a weight
is used: linear layers, convolutions (with flattened kernels) and the joint projection of
``nn.MultiheadAttention``. As in the authors' code, A is initialised at random and B with zeros.
"""

import math
from collections.abc import Iterable, Iterator

from torch import Tensor, nn
from torch.nn.utils import parametrize

from nctransfer.data.keyed_random import Stream, default_generator
from nctransfer.errors import ModelError
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.models.tuned import LORA, low_rank_change


class Adapter(nn.Module):
    """The low-rank change of a weight (outputs, ...), of rank r and scale alpha / r."""

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        outputs, inputs = weight.shape[0], weight[0].numel()
        self.a = nn.Parameter(weight.new_empty(rank, inputs))
        self.b = nn.Parameter(weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        """The changed weight."""
        return weight + low_rank_change(self.a, self.b, self.scale, weight.shape)


def linear_maps(network: nn.Module, path: str) -> Iterator[tuple[nn.Module, str, str]]:
    """The linear maps of a module: module, name of the weight, path of the module in the network."""
    for name, module in network.get_submodule(path).named_modules(prefix=path):
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            yield module, "in_proj_weight", name
        elif isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
            yield module, "weight", name


def adapt(network: nn.Module, paths: Iterable[str], rank: int, alpha: float | None, seed: int) -> None:
    """Put an adapter on every linear map of the modules at ``paths``; all other parameters are frozen.

    The rank is at most the smaller side of every map, ``alpha`` None takes the rank, and ``seed`` determines
    the initial values. ModelError for a unit without a linear map, or with one too small for the rank.
    """
    network.requires_grad_(False)
    with default_generator(seed, Stream.ADAPTERS):
        for path in paths:
            maps = list(linear_maps(network, path))
            if not maps:
                raise ModelError(f"{path}: no linear map in this unit, which method layer_lora needs")
            for module, name, place in maps:
                weight = module.get_parameter(name)
                most = min(weight.shape[0], weight[0].numel())
                if rank > most:
                    raise ModelError(
                        f"rank {rank} is too large for {place}.{name} of shape {tuple(weight.shape)}; "
                        f"allowed are 1 to {most} (finetuning.rank)"
                    )
                parametrize.register_parametrization(
                    module, name, Adapter(weight.detach(), rank, rank if alpha is None else alpha)
                )


class AdaptedNetwork(TunedNetwork):
    """A network of which only adapters and classifier train."""

    def adapters(self) -> dict[str, Adapter]:
        """Adapters by the name of the weight that they change."""
        return {
            name.replace(".parametrizations.", ".").removesuffix(".0"): module
            for name, module in self.backbone.network.named_modules()
            if isinstance(module, Adapter)
        }

    @property
    def lora_scale(self) -> float:
        """Scale of the low-rank changes: alpha / r."""
        return next(adapter.scale for adapter in self.adapters().values())

    def tensors(self) -> dict[str, Tensor]:
        """Adapters instead of the weights that they change."""
        tensors = {
            name: value for name, value in super().tensors().items() if ".parametrizations." not in name
        }
        for name, adapter in self.adapters().items():
            tensors |= {f"{LORA}{name}.a": adapter.a, f"{LORA}{name}.b": adapter.b}
        return tensors
