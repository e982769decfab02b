"""The table of few-shot episodes: one row per number of shots."""

import logging

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from nctransfer.collapse.class_statistics import class_statistics
from nctransfer.collapse.nc1 import nc1, shuffled_nc1
from nctransfer.features.feature_store import PENULTIMATE, Stores
from nctransfer.few_shot.episodes import Shape, draw_episodes, require_enough
from nctransfer.few_shot.evaluation import episode_accuracies, query_nc1
from nctransfer.few_shot.settings import FewShotJobSettings
from nctransfer.intervals import mean_interval

logger = logging.getLogger(__name__)


def few_shot_table(stores: Stores, settings: FewShotJobSettings) -> pd.DataFrame:
    """Draw and evaluate episodes from all images of a view, both splits together.

    Returns:
        columns model, view, ways, shots, queries, episodes, normalise; accuracy (%), mean over the episodes,
            and its 95 % interval accuracy_low to accuracy_high; nc1 and nc1_shuffled of all images with
            samples, classes, width, rank; nc1_query, mean over the nc1_query_episodes episodes on whose query
            images it is defined (missing where there is none). NC1 is that of unnormalised features.

    Raises:
        DegenerateInputError: too few classes or images for an episode, or no NC1 of all images.
    """
    with threadpool_limits(1):  # threads make products of such small matrices 50 times slower
        return _table(stores, settings)


def _table(stores: Stores, settings: FewShotJobSettings) -> pd.DataFrame:
    class_names, shots = next(iter(stores.values())).class_names, settings.shots
    features = np.concatenate([store[PENULTIMATE] for store in stores.values()])
    labels = np.concatenate([store.labels for store in stores.values()])
    shapes = {number: Shape(settings.ways, number, settings.queries) for number in shots}
    require_enough(labels, class_names, shapes[max(shots)])
    episodes_by_shots = {
        number: list(draw_episodes(labels, shape, settings.episodes, settings.seed))
        for number, shape in shapes.items()
    }
    named = "all images, penultimate feature"
    statistics = class_statistics(features, labels, name=named, dtype=torch.float64)
    collapse = {
        "nc1": nc1(statistics),
        "nc1_shuffled": shuffled_nc1(statistics, permutations=settings.permutations, seed=settings.seed),
        "samples": statistics.samples,
        "classes": len(statistics.means),
        "width": statistics.width,
        "rank": statistics.rank,
    }
    queries = query_nc1(features, labels, episodes_by_shots[shots[0]])  # the same for every number of shots
    mean_nc1 = float(queries.mean()) if len(queries) else np.nan
    of_queries = {"nc1_query": mean_nc1, "nc1_query_episodes": len(queries)}
    rows = []
    for number, episodes in episodes_by_shots.items():
        accuracies = episode_accuracies(features, labels, episodes, normalise=settings.normalise)
        accuracy, (low, high) = float(accuracies.mean()), mean_interval(accuracies)
        logger.info("%d shots: %.2f %% (%.2f to %.2f)", number, accuracy, low, high)
        shape = {"ways": settings.ways, "shots": number, "queries": settings.queries}
        drawn = {"episodes": len(episodes), "normalise": settings.normalise}
        found = {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high}
        rows.append(settings.names.told() | shape | drawn | found | collapse | of_queries)
    return pd.DataFrame(rows)
