"""What a network costs at the size and width that a model of the configuration has."""

from dataclasses import dataclass

from nctransfer.catalog.model_facts import ModelFacts

# Defaults of this project's own architectures, of which the table of known models has the costs:
# ``options.width``, and of the ViT the side of a patch in pixels.
WIDTHS = {"small/vit": 192, "small": 64, "few_shot": 64}
PATCHES = {"small/vit": 4}


@dataclass(frozen=True)
class NetworkCosts:
    """Costs of a network.

    Attributes:
        parameters: in millions.
        multiply_adds: of the forward pass of one image, in billions.
        activations: what that pass keeps for a backward pass, in MB of float32 an image.
        units: number of units, L.
        unit_widths: sum of the widths of stem and units, of one pooling.
        width: of the penultimate feature.
    """

    parameters: float
    multiply_adds: float
    activations: float
    units: int
    unit_widths: int
    width: int

    @property
    def widest(self) -> int:
        """Width of the widest feature as far as is known: the penultimate one's, or the units' mean."""
        return max(self.width, self.unit_widths // (self.units + 1))


def network_costs(facts: ModelFacts) -> NetworkCosts:
    """Scale a network's costs from how the table lists it to how a model uses it.

    Multiply-adds and activations grow with the number of pixels, of a transformer with that of its tokens
    (which leaves out that attention grows with their square). With the width of an own network its features
    and activations grow in proportion, parameters and multiply-adds with the square.

    Args:
        facts: the model's, with the size that it is shown and the options of its builder.
    """
    options = facts.options
    known, own = facts.known, f"{facts.known.source}/{facts.known.name}"
    area = (facts.size[0] * facts.size[1]) / (known.size[0] * known.size[1])
    usual = WIDTHS.get(own) or WIDTHS.get(known.source)
    width = options.get("width", usual) / usual if usual else 1.0
    if own in PATCHES:
        area *= (PATCHES[own] / options.get("patch", PATCHES[own])) ** 2
    return NetworkCosts(
        parameters=known.parameters * width**2,
        multiply_adds=known.multiply_adds * width**2 * area,
        activations=known.activations * width * area,
        units=known.units,
        unit_widths=round(known.unit_widths * width),
        width=max(round(known.width * width), 1),
    )
