"""Accuracy, on the query images of an episode, of a classifier fitted to its support images.

Source: Tian et al. (2020), section 3: the network is not changed, its features are normalised to unit length,
and scikit-learn's logistic regression is fitted in every episode.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Iterable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from nctransfer.collapse.class_statistics import class_statistics
from nctransfer.collapse.nc1 import nc1
from nctransfer.errors import DegenerateInputError
from nctransfer.few_shot.episodes import Episode

logger = logging.getLogger(__name__)

ITERATIONS = 1000


def unit_length(features: np.ndarray) -> np.ndarray:
    """Divide every row of (N, d) by its length; zero rows stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def episode_accuracies(
    features: np.ndarray, labels: np.ndarray, episodes: Iterable[Episode], *, normalise: bool
) -> np.ndarray:
    """Accuracy (%) on the query images of every episode, (episodes,), for features (N, d) and labels (N,).

    The rows of an episode are taken in float64, and to unit length if ``normalise``.
    """
    scaled = unit_length if normalise else np.asarray
    accuracies, unfinished = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted below
        for episode in episodes:
            support, query = episode.support.ravel(), episode.query.ravel()
            classifier = LogisticRegression(C=1.0, max_iter=ITERATIONS)  # lbfgs, softmax over the classes
            classifier.fit(scaled(features[support].astype(np.float64)), labels[support])
            unfinished += int(max(classifier.n_iter_) >= ITERATIONS)
            predicted = classifier.predict(scaled(features[query].astype(np.float64)))
            accuracies.append(100 * float((predicted == labels[query]).mean()))
    if unfinished:
        logger.warning("%d of %d fits stopped after %d iterations", unfinished, len(accuracies), ITERATIONS)
    return np.array(accuracies)


def query_nc1(features: np.ndarray, labels: np.ndarray, episodes: Iterable[Episode]) -> np.ndarray:
    """NC1 (n,) of the query images of episodes where it is defined; the log has the reasons of the others."""
    values, reasons = [], Counter[str]()
    for episode in episodes:
        rows = episode.query.ravel()
        try:
            queries = features[rows].astype(np.float64)
            values.append(nc1(class_statistics(queries, labels[rows], name="query images")))
        except DegenerateInputError as error:
            reasons[str(error)] += 1
    for reason, times in reasons.most_common(3):
        logger.warning("no NC1 of the query images of %d episodes: %s", times, reason)
    return np.array(values)
