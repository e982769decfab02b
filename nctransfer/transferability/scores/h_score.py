"""H-score (Bao et al. 2019, arXiv 2212.10082), plain and with a shrunk covariance (Ibrahim et al. 2022)."""

from nctransfer.transferability.problem import Problem

TITLES = {"h_score": "H-score", "h_score_shrunk": "H-score (LW)"}


def terms(problem: Problem) -> dict[str, float]:
    """tr(cov(f)^+ cov(E[f|y])), and its regularised form.

    At most rank(S_B) <= K - 1, which it reaches for any labels where N <= d: there only the shrunk form is
    informative. That is tr(C^-1 (1 - a) cov(E[f|y])) with C = (1 - a) cov(f) + a tr(cov(f))/d I and a from
    Ledoit and Wolf (arXiv 2110.06893 eq. 4).
    """
    spectrum = problem.statistics.covariance.spectrum
    shrinkage = ledoit_wolf(problem)
    shrunk = (1 - shrinkage) * spectrum.variances
    share = shrunk / (shrunk + shrinkage * spectrum.total / problem.statistics.width)
    explained = spectrum.explained
    return {"h_score": float(explained.sum()), "h_score_shrunk": float((explained * share).sum())}


def ledoit_wolf(problem: Problem) -> float:
    """Shrinkage of the covariance of the samples by Ledoit and Wolf (2004), in one pass over the rows.

    scikit-learn's function gives the same number with another N d^2 multiply-adds and copies of all rows.
    """
    covariance, samples, width = problem.statistics.covariance, *problem.features.shape
    spectrum, centre = covariance.spectrum, covariance.centre
    fourth = sum(float((block - centre).square().sum(1).square().sum()) for _, block in problem.blocks())
    squared = float(spectrum.variances.square().sum())
    spread = (squared - spectrum.total**2 / width) / width
    noise = (fourth / samples - squared) / (samples * width)
    return min(noise, spread) / spread if spread > 0 else 0.0
