"""The table of NC3 and NC4 of a model's own classifier, on the data on which it was trained."""

import logging
from pathlib import Path

import pandas as pd
import torch

from nctransfer.collapse.inputs import as_tensor
from nctransfer.collapse.measure import measure_classifier
from nctransfer.errors import DegenerateInputError
from nctransfer.features.feature_store import PENULTIMATE, Stores
from nctransfer.models.checkpoint import read_weights
from nctransfer.models.model_store import WEIGHTS
from nctransfer.settings import ViewNames
from nctransfer.storage.stores import Store
from nctransfer.tidy.collapse import label, metric_rows

logger = logging.getLogger(__name__)


def head_table(stores: Stores, model: Path, names: ViewNames, device: torch.device) -> pd.DataFrame:
    """Measure the classifier of a model store on the penultimate features, given by split.

    Returns:
        the columns of :func:`nctransfer.tidy.collapse.collapse_table`.

    Raises:
        DegenerateInputError: the model has no classifier, or one with other classes.
    """
    store = Store(model, "model")
    head, class_names = store.manifest["head"], store.manifest["class_names"]
    if head is None:
        raise DegenerateInputError(f"{model}: this model has no classifier, so neither NC3 nor NC4")
    state = read_weights(store.path(WEIGHTS))
    weight, bias = state[f"{head['name']}.weight"].to(device), state.get(f"{head['name']}.bias")
    weight = weight.flatten(1)  # for a 1 x 1 convolution
    rows = []
    for split, features in stores.items():
        if list(class_names or ()) != list(features.class_names):
            raise DegenerateInputError(
                f"{model}: its classifier has other classes than {features.class_names[:5]}..."
            )
        for column in features.unit_columns:
            if column.module == PENULTIMATE:
                measurement = measure_classifier(
                    as_tensor(features[column.name]).to(device),
                    torch.from_numpy(features.labels).to(device),
                    weight,
                    None if bias is None else bias.to(device),
                    classes=len(features.class_names),
                    name=label(column, split),
                )
                rows += metric_rows(names, split, column, measurement)
                for metric, reason in measurement.undefined.items():
                    logger.info("%s has no value: %s", metric, reason)
    return pd.DataFrame(rows)
