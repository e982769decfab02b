"""Collapse and transferability scores by brute force: from the papers' definitions, with explicit d x d matrices and loops.

Nothing here shares a line, or the algebra, with the package. Features and labels are float64 and integers.
"""

from itertools import combinations, permutations

import numpy as np
from scipy import linalg, ndimage, optimize, stats
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture


def groups_of(features, labels):
    """Rows of each class that has some."""
    return [features[labels == label] for label in np.unique(labels)]


def numbered(labels):
    return np.unique(labels, return_inverse=True)[1]


def covariance(rows):
    """With 1/n; a matrix whatever the width."""
    return np.atleast_2d(np.cov(rows.T, bias=True))


def within(features, labels):
    groups = groups_of(features, labels)
    return sum(len(group) / len(features) * covariance(group) for group in groups)


def softmax(scores):
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def inverse_of_rank(matrix, rank):
    """Pseudo-inverse of a symmetric matrix whose rank is known; a relative cut-off would have to guess it."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors[:, -rank:] / values[-rank:]) @ vectors[:, -rank:].T


def components(features, count):
    """The first principal components, by eigendecomposition of the covariance."""
    values, vectors = np.linalg.eigh(covariance(features))
    count = min(count, len(values), len(features) - 1)
    return (features - features.mean(0)) @ vectors[:, ::-1][:, :count]


# ---------------------------------------------------------------- collapse


def nc1(features, labels):
    groups = groups_of(features, labels)
    means = np.array([group.mean(0) for group in groups])
    centred = means - means.mean(0)
    between = sum(np.outer(row, row) for row in centred) / len(groups)
    inverse = inverse_of_rank(between, min(len(groups) - 1, features.shape[1]))
    return np.trace(within(features, labels) @ inverse) / len(groups)


def cdnv(features, labels):
    groups = groups_of(features, labels)
    means = [group.mean(0) for group in groups]
    spread = [((group - mean) ** 2).sum(1).mean() for group, mean in zip(groups, means, strict=True)]
    pairs = permutations(range(len(groups)), 2)
    return np.mean([(spread[i] + spread[j]) / (2 * ((means[i] - means[j]) ** 2).sum()) for i, j in pairs])


def numerical_rank(features, labels):
    squares = [np.linalg.svd(group, compute_uv=False) ** 2 for group in groups_of(features, labels)]
    return np.mean([values.sum() / values[0] for values in squares])


def of_class_means(features, labels):
    """E[f|y] of every sample, (N, d)."""
    means = {label: features[labels == label].mean(0) for label in np.unique(labels)}
    return np.array([means[label] for label in labels])


def h_score(features, labels):
    rank = min(len(features) - 1, features.shape[1])
    between = covariance(of_class_means(features, labels))
    return np.trace(inverse_of_rank(covariance(features), rank) @ between)


def vci(features, labels):
    rank = min(len(np.unique(labels)) - 1, features.shape[1])
    return 1 - h_score(features, labels) / rank


def h_score_shrunk(features, labels):
    shrunk, amount = ledoit_wolf(features)
    return np.trace(np.linalg.inv(shrunk) @ ((1 - amount) * covariance(of_class_means(features, labels))))


# ---------------------------------------------------------------- evidence, rates, pairs


def logme(features, labels):
    """The density of y ~ N(0, I / beta + H H^T / alpha), the weights integrated out, climbed numerically."""
    left, lengths, _ = np.linalg.svd(features)
    powers = np.zeros(len(features))
    powers[: len(lengths)] = lengths**2
    found = []
    for label in np.unique(labels):
        along = (left.T @ (labels == label)) ** 2

        def loss(point, along=along):
            variances = np.exp(-point[1]) + powers * np.exp(-point[0])
            return 0.5 * (along / variances + np.log(2 * np.pi * variances)).mean()

        # Several maxima: climb from every one that a coarse grid has.
        steps = np.arange(-20.0, 25.0)
        coarse = np.array([[loss((alpha, beta)) for beta in steps] for alpha in steps])
        starts = np.argwhere(coarse == ndimage.minimum_filter(coarse, 3))
        options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
        best = [
            optimize.minimize(loss, steps[start], method="Nelder-Mead", options=options).fun
            for start in starts
        ]
        found.append(min(best))
    return -np.mean(found)


def coding_rate(rows, epsilon=1e-4):
    matrix = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * epsilon)
    return 0.5 * np.linalg.slogdet(matrix)[1]


def transrate(features, labels):
    centred = features - features.mean(0)
    return coding_rate(centred) - np.mean([coding_rate(group) for group in groups_of(centred, labels)])


def parc(features, labels):
    points = PCA(min(32, features.shape[1], len(features) - 1), svd_solver="full").fit_transform(features)
    # Correlation across components depends on their signs.
    points = (points - points.mean(0)) / points.std(0) * np.sign((points**3).sum(0))
    one_hot = np.eye(labels.max() + 1)[labels]
    near, same = [], []
    for i, j in combinations(range(len(points)), 2):
        near.append(1 - np.corrcoef(points[i], points[j])[0, 1])
        same.append(1 - np.corrcoef(one_hot[i], one_hot[j])[0, 1])
    # Distances of labels come in two values, whose ties rounding must not break.
    return stats.spearmanr(near, np.round(same, 9)).statistic


# ---------------------------------------------------------------- Gaussian classes


def coefficients(features, labels):
    """exp(-D_ij) of spherical Gaussians by the general formula, with p x p covariances."""
    points = components(features, 64)
    groups = groups_of(points, labels)
    width = points.shape[1]
    balls = [np.eye(width) * np.trace(covariance(group)) / width for group in groups]
    found = np.zeros((len(groups), len(groups)))
    for i, j in combinations(range(len(groups)), 2):
        middle = (balls[i] + balls[j]) / 2
        step = groups[i].mean(0) - groups[j].mean(0)
        mixed = (np.linalg.slogdet(balls[i])[1] + np.linalg.slogdet(balls[j])[1]) / 2
        distance = step @ np.linalg.inv(middle) @ step / 8 + (np.linalg.slogdet(middle)[1] - mixed) / 2
        found[i, j] = found[j, i] = np.exp(-distance)
    return found


def gbc(features, labels):
    return -coefficients(features, labels).sum()


def face(features, labels):
    groups = groups_of(features, labels)
    means = np.array([group.mean(0) for group in groups])
    between = covariance(means)
    inside = sum(covariance(group) for group in groups) / len(groups)
    inverse = inverse_of_rank(between, min(len(groups) - 1, features.shape[1]))
    overlaps = coefficients(features, labels)
    evenness = []
    for i in range(len(groups)):
        others = np.delete(overlaps[i], i)
        shares = others / others.sum()
        evenness.append(stats.entropy(shares) / np.log(len(groups) - 1))
    return {
        "face_collapse": -np.trace(inside @ inverse) / len(groups),
        "face_fairness": np.mean(evenness),
    }


def discriminant(features, labels, shrinkage):
    """Posteriors of the published SFDA code: generalised eigenproblem, all d directions."""
    classes = np.unique(labels)
    means = np.array([features[labels == label].mean(0) for label in classes])
    priors = np.array([(labels == label).mean() for label in classes])
    width = features.shape[1]

    def shrunk(matrix):
        return (1 - shrinkage) * matrix + shrinkage * np.trace(matrix) / width * np.eye(width)

    inside = shrunk(within(features, labels))
    vectors = linalg.eigh(shrunk(covariance(features)) - inside, inside)[1]
    weights = means @ vectors @ vectors.T
    bias = np.log(priors) - 0.5 * np.array([w @ m for w, m in zip(weights, means, strict=True)])
    return softmax(features @ weights.T + bias)


def sfda(features, labels):
    labels = numbered(labels)
    shrinkage = max(np.exp(-5 * np.linalg.eigvalsh(within(features, labels))[-1]), 1e-10)
    soft = softmax(discriminant(features, labels, shrinkage))
    means = np.array([group.mean(0) for group in groups_of(features, labels)])
    moved = features.copy()
    for row, label in enumerate(labels):
        others = np.delete(means, label, axis=0).mean(0)
        moved[row] = soft[row, label] * features[row] + (1 - soft[row, label]) * others
    return discriminant(moved, labels, shrinkage)[np.arange(len(labels)), labels].mean()


def etran(features, labels):
    labels = numbered(labels)
    energies = sorted(np.log(np.exp(row - row.max()).sum()) + row.max() for row in features)
    # Sw^-1 Sb is not symmetric; numpy's eigh reads its lower triangle and returns an orthonormal basis.
    inside = within(features, labels) + 1e-3 * np.eye(features.shape[1])
    vectors = np.linalg.eigh(np.linalg.inv(inside) @ covariance(of_class_means(features, labels)))[1]
    means = np.array([group.mean(0) for group in groups_of(features, labels)])
    weights = means @ vectors @ vectors.T
    priors = np.bincount(labels) / len(labels)
    scores = features @ weights.T - 0.5 * np.diag(means @ weights.T) + np.log(priors)
    return {
        "etran_energy": np.mean(energies[: max(1, int(0.005 * len(features)))]),
        "etran_lda": softmax(scores)[np.arange(len(labels)), labels].mean(),
    }


def ncti(features, labels):
    labels = numbered(labels)
    pca = PCA(min(64, *features.shape), svd_solver="full")
    points = pca.fit_transform(features)
    points = points[:, : len(features) - 1]  # N samples span N - 1 directions
    shrinkage = max(np.exp(-pca.explained_variance_[:32].sum()), 1e-10)
    if shrinkage > 1e-10:
        model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=float(shrinkage))
    else:
        model = LinearDiscriminantAnalysis(solver="svd")
    low = model.fit_transform(points, labels)
    posteriors = model.predict_proba(points)
    norms = [np.linalg.norm(posteriors[labels == label], "nuc") for label in np.unique(labels)]
    return {
        "ncti_seli": np.linalg.norm(low - low.mean(0), "nuc"),
        "ncti_ncc": posteriors[np.arange(len(labels)), labels].mean(),
        "ncti_vc": -np.log(sum(norms)),
    }


# ---------------------------------------------------------------- source predictions


def leep(probabilities, labels):
    classes = np.unique(labels)
    samples, outcomes = probabilities.shape
    joint = np.zeros((len(classes), outcomes))
    for row, label in zip(probabilities, labels, strict=True):
        joint[np.searchsorted(classes, label)] += row / samples
    found = []
    for row, label in zip(probabilities, labels, strict=True):
        expected = 0.0
        for outcome in range(outcomes):
            mass = joint[:, outcome].sum()
            if mass > 0:
                expected += joint[np.searchsorted(classes, label), outcome] / mass * row[outcome]
        found.append(np.log(expected))
    return np.mean(found)


def nce(logits, labels):
    guesses = logits.argmax(1)
    found = []
    for guess, label in zip(guesses, labels, strict=True):
        found.append(np.log(((guesses == guess) & (labels == label)).sum() / (guesses == guess).sum()))
    return np.mean(found)


def nleep(features, labels, seed):
    points = PCA(0.8, svd_solver="full").fit_transform(features)
    count = min(5 * len(np.unique(labels)), len(features) // 2)
    mixture = GaussianMixture(count, covariance_type="diag", random_state=seed)
    return leep(mixture.fit(points).predict_proba(points), labels)
