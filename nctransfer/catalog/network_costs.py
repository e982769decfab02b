"""Costs of a network at the input size and width of a model of the configuration."""

from dataclasses import dataclass

from nctransfer.catalog.model_facts import ModelFacts

# Default values of this project's own architectures, for which the table of known models lists the costs:
# ``options.width``, and for the ViT the side of a patch in pixels.
WIDTHS = {"small/vit": 192, "small": 64, "few_shot": 64}
PATCHES = {"small/vit": 4}


@dataclass(frozen=True)
class NetworkCosts:
    """Costs of a network."""

    parameters: float  # in millions
    multiply_adds: float  # of the forward pass of one image, in billions
    activations: float  # kept by that pass for a backward pass, in MB of float32 per image
    units: int  # number of units, L
    unit_widths: int  # sum of the widths of stem and units, for one pooling
    width: int  # width of the penultimate feature

    @property
    def widest(self) -> int:
        """Width of the widest feature as far as known: the penultimate feature's, or the units' mean."""
        return max(self.width, self.unit_widths // (self.units + 1))


def network_costs(facts: ModelFacts) -> NetworkCosts:
    """Scale a network's costs from the table's input size and width to those of a model.

    Multiply-adds and activations grow with the number of pixels, for a transformer with the number of tokens
    (neglecting that attention grows with its square). With the width of an own network, features and
    activations grow linearly, parameters and multiply-adds quadratically.
    """
    options = facts.options
    known, name = facts.known, f"{facts.known.source}/{facts.known.name}"
    area = (facts.size[0] * facts.size[1]) / (known.size[0] * known.size[1])
    default = WIDTHS.get(name) or WIDTHS.get(known.source)
    width = options.get("width", default) / default if default else 1.0
    if name in PATCHES:
        area *= (PATCHES[name] / options.get("patch", PATCHES[name])) ** 2

    return NetworkCosts(
        parameters=known.parameters * width**2,
        multiply_adds=known.multiply_adds * width**2 * area,
        activations=known.activations * width * area,
        units=known.units,
        unit_widths=round(known.unit_widths * width),
        width=max(round(known.width * width), 1),
    )
