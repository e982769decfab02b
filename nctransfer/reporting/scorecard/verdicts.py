"""From findings to verdicts: a claim holds, does not hold, or has not enough data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from pydantic import ValidationError

from nctransfer import variants
from nctransfer.errors import ConfigError
from nctransfer.reporting.scorecard import statistics
from nctransfer.reporting.scorecard.findings import Finding, nothing, select
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.settings import Settings

ABSENT = "not in this run"
HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not enough data"
VERDICTS = (HOLDS, FAILS, UNKNOWN)
JOIN = ("view", "series", "label", "model")  # identify a point in two figures


@dataclass(frozen=True)
class Judged:
    """A claim with its findings."""

    claim: JudgedClaimSettings  # the claim
    findings: Sequence[Finding]  # its findings, part by part
    verdicts: Sequence[str]  # the verdict on each finding
    published: Sequence[Finding]  # the paper's findings, if its numbers are known
    set_up: str  # set-up of its figures and tables: the paper's own, or how it differs

    @property
    def pairs(self) -> list[tuple[Finding, str]]:
        """Findings with their verdicts."""
        return list(zip(self.findings, self.verdicts, strict=True))

    @property
    def judged(self) -> list[Finding]:
        """Findings that count, the clearest first."""
        counting = [finding for finding, verdict in self.pairs if verdict != UNKNOWN]
        return sorted(counting, key=lambda finding: -margin(finding.effect, self.claim))

    @property
    def needed(self) -> int:
        """In how many of the parts that count the claim must hold."""
        return max(1, math.ceil(self.claim.share * len(self.judged) - 1e-9))

    @property
    def verdict(self) -> str:
        """Whether it holds in enough parts."""
        if not self.judged:
            return UNKNOWN
        return HOLDS if self.verdicts.count(HOLDS) >= self.needed else FAILS

    @property
    def deciding(self) -> Finding:
        """The deciding finding: the claim must hold in this part to hold in exactly enough parts."""
        if self.judged:
            return self.judged[self.needed - 1]
        return self.findings[0] if self.findings else nothing("", "no part")

    @property
    def certain(self) -> bool | None:
        """Whether the whole interval of the deciding finding agrees with the verdict; None without one."""
        one = self.deciding
        if not self.judged or not np.isfinite([one.low, one.high]).all():
            return None
        if isinstance(self.claim.threshold, tuple) and self.verdict == FAILS:
            low, high = self.claim.threshold
            return bool(one.high < low or one.low > high)
        sides = {margin(end, self.claim) >= 0 for end in (one.low, one.high)}
        return sides == {self.verdict == HOLDS}


def judge(
    claims: Sequence[JudgedClaimSettings],
    tables: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame],
    set_ups: Mapping[str, str],
) -> list[Judged]:
    """Test every claim.

    Tables and set-ups are given by key of the figure or table, published numbers by the name used in the
    claims.

    Raises:
        ConfigError: a claim's options are not those of its statistic, or name a column that does not exist.
    """
    judged = []
    for claim in claims:
        options = read_options(claim)
        findings = [each for key in claim.where for each in _in_picture(claim, options, key, tables)]
        verdicts = [_verdict(finding, claim) for finding in findings]
        papers = _published(claim, options, published)
        judged.append(Judged(claim, findings, verdicts, papers, _set_up(claim, set_ups)))
    return judged


def read_options(claim: JudgedClaimSettings) -> Settings:
    """A claim's options, as the class ``Options`` of its statistic.

    Raises:
        ConfigError: options are missing, unknown or not allowed; the message names all of them.
    """
    kind: type[Settings] = variants.load(statistics, claim.statistic, needs=["Options"]).Options
    try:
        return kind.read(claim.options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigError(
            f"claim {claim.row}, statistic {claim.statistic!r}, options: {wrong}; its options are: "
            f"{', '.join(kind.model_fields)}"
        ) from None


def _set_up(claim: JudgedClaimSettings, set_ups: Mapping[str, str]) -> str:
    """Set-up on which a claim is tested: that of its figures and tables, and those that are missing."""
    keys = [key for key in (*claim.where, claim.against) if key is not None]
    present = dict.fromkeys(set_ups[key] for key in keys if key in set_ups)
    missing = [key for key in keys if key not in set_ups]
    if not present:
        return ABSENT
    return "; ".join([*present, *([f"without {', '.join(missing)}"] if missing else [])])


def _in_picture(
    claim: JudgedClaimSettings, options: Settings, key: str, tables: Mapping[str, pd.DataFrame]
) -> list[Finding]:
    needed = [key] if claim.against is None else [key, claim.against]
    if missing := [name for name in needed if name not in tables]:
        return [nothing(key, f"{' and '.join(missing)} {ABSENT}")]
    table = tables[key]
    if claim.against is not None:
        join = [column for column in JOIN if column in table]
        table = table.merge(tables[claim.against], on=join, suffixes=("", "_against"))
    findings = _measure(claim, options, key, table)
    if not findings:
        findings = [nothing(key, "nothing of what the claim is about")]
    if len(claim.where) == 1:
        return findings
    return [replace(finding, part=f"{key}: {finding.part}") for finding in findings]


def _measure(
    claim: JudgedClaimSettings, options: Settings, picture: str, table: pd.DataFrame
) -> list[Finding]:
    """Findings of the claim's statistic in its rows.

    Raises:
        ConfigError: the claim names a column that does not exist.
    """
    where = f"claim {claim.row}, {picture}"
    columns = ", ".join(map(str, table.columns))
    for field, selection in (("only", claim.only), ("above", claim.above)):
        for column in selection:
            if column not in table:
                raise ConfigError(f"{where}: {field} names {column!r}; there are: {columns}")
    table = select(table, claim.only)
    for column, least in claim.above.items():
        table = table[table[column] > least]
    statistic = variants.load(statistics, claim.statistic, needs=["measure"])
    try:
        return list(statistic.measure(table, options))
    except KeyError as error:
        raise ConfigError(
            f"{where}, statistic {claim.statistic!r}: {error.args[0]}; its options say "
            f"{', '.join(claim.options)}, and the columns are: {columns}"
        ) from None


def _published(
    claim: JudgedClaimSettings, options: Settings, published: Mapping[str, pd.DataFrame]
) -> list[Finding]:
    source = claim.published
    if source is None or source.table is None:
        return []
    table = published[source.table]
    if source.column is not None:
        return [Finding(row["title"], float(row[source.column])) for row in table.to_dict("records")]
    return _measure(claim, options, source.table, table)


def margin(effect: float, claim: JudgedClaimSettings) -> float:
    """Distance of an effect to the threshold, positive on the claim's side."""
    if isinstance(claim.threshold, tuple):
        low, high = claim.threshold
        return float(min(effect - low, high - effect))
    sign = 1 if claim.direction in ("above", "at_least") else -1
    return float(sign * (effect - claim.threshold))


def _verdict(finding: Finding, claim: JudgedClaimSettings) -> str:
    if not np.isfinite(finding.effect) or finding.points < claim.points:
        return UNKNOWN
    side = margin(finding.effect, claim)
    # an effect equal to a threshold up to rounding counts as equal
    touches = abs(side) < 1e-9
    strict = claim.direction in ("above", "below")
    return FAILS if (side < 0 and not touches) or (strict and touches) else HOLDS


def by_number(judged: Sequence[Judged]) -> dict[int, str]:
    """The verdict on every claim: all its rows with data must hold."""
    verdicts: dict[int, set[str]] = {}
    for one in judged:
        verdicts.setdefault(one.claim.claim, set()).add(one.verdict)
    return {
        number: FAILS if FAILS in of_rows else HOLDS if HOLDS in of_rows else UNKNOWN
        for number, of_rows in verdicts.items()
    }


def scorecard_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """The scorecard, one row per row of the file of claims.

    Returns:
        row, claim, where, statement, statistic, test (its number in words), direction, threshold, share,
        verdict, claim_verdict (over all rows of the claim), parts (that count) and holding (number of them in
        which it holds), the deciding part with effect, low, high, points and note, certain (whether its
        interval agrees with the verdict), published (the paper's numbers, or words), source, set_up.
    """
    verdicts = by_number(judged)
    rows = []
    for one in judged:
        claim, deciding = one.claim, one.deciding
        row = {
            "row": claim.row, "claim": claim.claim, "where": " ".join(claim.where),
            "statement": claim.statement, "statistic": claim.statistic, "test": claim.effect,
            "direction": claim.direction, "threshold": threshold_text(claim), "share": claim.share,
            "verdict": one.verdict, "claim_verdict": verdicts[claim.claim], "parts": len(one.judged),
            "holding": one.verdicts.count(HOLDS), "part": deciding.part, "effect": deciding.effect,
            "low": deciding.low, "high": deciding.high, "points": deciding.points, "certain": one.certain,
            "note": deciding.note, "published": published_text(one), "source": claim.source,
            "set_up": one.set_up,
        }  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def parts_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """Every number behind the scorecard, one row per claim and part; ``published`` if parts match."""
    rows = []
    for one in judged:
        papers = {finding.part: finding.effect for finding in one.published}
        for finding, verdict in one.pairs:
            rows.append(
                {"row": one.claim.row, "claim": one.claim.claim, "statistic": one.claim.statistic}
                | asdict(finding)
                | {"verdict": verdict, "published": papers.get(finding.part, np.nan), "set_up": one.set_up}
            )
    return pd.DataFrame(rows)


def threshold_text(claim: JudgedClaimSettings) -> str:
    """A threshold in words: a number, or a range."""
    if isinstance(claim.threshold, tuple):
        return " to ".join(f"{end:g}" for end in claim.threshold)
    return f"{claim.threshold:g}"


def published_text(one: Judged) -> str:
    """The paper's numbers part by part, or its words."""
    if one.published:
        return ", ".join(number(finding.effect) for finding in one.published)
    return (one.claim.published and one.claim.published.text) or ""


def number(value: float) -> str:
    """A number for readers: three digits, a true minus sign, a dash for none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
