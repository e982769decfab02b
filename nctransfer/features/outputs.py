"""The outputs of a forward pass that a feature store holds, and their columns."""

from collections.abc import Sequence

from torch import Tensor

from nctransfer.features.feature_store import LOGITS, PENULTIMATE, SUMMED, Column, column_name
from nctransfer.models.backbone import Backbone


def describe_columns(backbone: Backbone, poolings: Sequence[str]) -> list[Column]:
    """Columns of a store; the stem has none of its class token, which is the same for all images."""
    units = [backbone.stem, *backbone.units]
    columns = [
        Column(column_name(unit.index, pooling), unit.index, unit.name, pooling, unit.width)
        for unit in units
        for pooling in poolings
        if not (unit is backbone.stem and pooling == "cls")
    ]
    after = len(units)
    columns.append(Column(PENULTIMATE, after, PENULTIMATE, "", backbone.width))
    if backbone.skip:
        columns.append(Column(SUMMED, after, SUMMED, "", backbone.width))
    if backbone.head is not None:
        columns.append(Column(LOGITS, after + 1, backbone.head.name, "", backbone.head.classes))
    return columns


def outputs(backbone: Backbone, inputs: Tensor, poolings: Sequence[str]) -> dict[str, Tensor]:
    """Features of normalised images (N, 3, H, W) by the name of their column, each (N, width), in order."""
    capture = backbone.capture(inputs, units=None if poolings else [], poolings=poolings)
    found = {
        column_name(index, pooling): vectors
        for index, by_pooling in capture.units.items()
        for pooling, vectors in by_pooling.items()
    }
    found[PENULTIMATE] = capture.penultimate
    further = {SUMMED: capture.summed, LOGITS: capture.logits}
    found |= {name: vectors for name, vectors in further.items() if vectors is not None}
    return {column.name: found[column.name] for column in describe_columns(backbone, poolings)}
