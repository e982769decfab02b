"""From findings to verdicts: each claim holds, does not hold, or has not enough data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.errors import ConfigError
from nctransfer.plan import variants
from nctransfer.plan.claims import STATISTICS
from nctransfer.reporting.scorecard.findings import Finding, nothing, select

ABSENT = "not in this run"
HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not enough data"
VERDICTS = (HOLDS, FAILS, UNKNOWN)
JOIN = ("view", "series", "label", "model")  # what says that rows of two figures show one point


@dataclass(frozen=True)
class Judged:
    """A claim with what was found for it.

    Attributes:
        claim: the row of the file of claims.
        findings: part by part.
        verdicts: of each.
        published: the paper's findings, where its numbers are known.
        set_up: whether the pictures are the paper's own, or how they differ.
    """

    claim: Mapping[str, Any]
    findings: Sequence[Finding]
    verdicts: Sequence[str]
    published: Sequence[Finding]
    set_up: str

    @property
    def judged(self) -> list[Finding]:
        """Findings that count, the clearest first."""
        told = [f for f, verdict in zip(self.findings, self.verdicts, strict=True) if verdict != UNKNOWN]
        return sorted(told, key=lambda found: -margin(found.effect, self.claim))

    @property
    def needed(self) -> int:
        """In how many of the parts that count it must hold."""
        return max(1, math.ceil(self.claim["share"] * len(self.judged) - 1e-9))

    @property
    def verdict(self) -> str:
        """Whether it holds in as many parts as it must."""
        if not self.judged:
            return UNKNOWN
        return HOLDS if self.verdicts.count(HOLDS) >= self.needed else FAILS

    @property
    def deciding(self) -> Finding:
        """The finding that tips the scale: with it, the claim holds in just as many parts as it must."""
        if self.judged:
            return self.judged[self.needed - 1]
        return self.findings[0] if self.findings else nothing("", "no part")

    @property
    def certain(self) -> bool | None:
        """Whether the whole interval of the deciding finding is on its side; None without an interval."""
        found = self.deciding
        if not self.judged or not np.isfinite([found.low, found.high]).all():
            return None
        sides = {margin(end, self.claim) >= 0 for end in (found.low, found.high)}
        inside = sides == {self.verdict == HOLDS}
        if isinstance(self.claim["threshold"], list) and self.verdict == FAILS:
            low, high = self.claim["threshold"]
            return bool(found.high < low or found.low > high)
        return inside


def judge(
    claims: Sequence[Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame],
    set_ups: Mapping[str, str],
) -> list[Judged]:
    """Test every claim.

    Args:
        claims: rows of the file of claims (:func:`nctransfer.plan.claims.read_claims`).
        tables: numbers of the figures and tables that are there, by key.
        published: published numbers, by the name that claims give them.
        set_ups: by figure or table, whether it is the paper's own or how it differs.
    """
    return [_judge(claim, tables, published, set_ups) for claim in claims]


def _judge(
    claim: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame],
    set_ups: Mapping[str, str],
) -> Judged:
    findings = [found for key in claim["where"] for found in _in_picture(claim, key, tables)]
    verdicts = [_verdict(found, claim) for found in findings]
    return Judged(claim, findings, verdicts, _published(claim, published), _set_up(claim, set_ups))


def _set_up(claim: Mapping[str, Any], set_ups: Mapping[str, str]) -> str:
    """What a claim is tested on: the set-ups of its pictures, and those that are not there."""
    keys = [key for key in (*claim["where"], claim["against"]) if key is not None]
    there = dict.fromkeys(set_ups[key] for key in keys if key in set_ups)
    missing = [key for key in keys if key not in set_ups]
    if not there:
        return ABSENT
    return "; ".join([*there, *([f"without {', '.join(missing)}"] if missing else [])])


def _in_picture(claim: Mapping[str, Any], key: str, tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    needed = [key] if claim["against"] is None else [key, claim["against"]]
    if missing := [name for name in needed if name not in tables]:
        return [nothing(key, f"{' and '.join(missing)} {ABSENT}")]
    table = tables[key]
    if claim["against"] is not None:
        other = tables[claim["against"]]
        join = [column for column in JOIN if column in table]
        table = table.merge(other, on=join, suffixes=("", "_against"))
    found = _measure(claim, key, table)
    if not found:
        found = [nothing(key, "nothing of what the claim is about")]
    if len(claim["where"]) == 1:
        return found
    return [Finding(**(asdict(one) | {"part": f"{key}: {one.part}"})) for one in found]


def _measure(claim: Mapping[str, Any], picture: str, table: pd.DataFrame) -> list[Finding]:
    """What the claim's statistic finds in the rows that it is about.

    Raises:
        ConfigError: the claim names a column or leaves out an option that the statistic reads.
    """
    where = f"claim {claim['row']}, {picture}"
    columns = ", ".join(map(str, table.columns))
    for field in ("only", "above"):
        for column in claim[field]:
            if column not in table:
                raise ConfigError(f"{where}: {field} names {column!r}; there are: {columns}")
    table = select(table, claim["only"])
    for column, least in claim["above"].items():
        table = table[table[column] > least]
    try:
        found: list[Finding] = variants.load(STATISTICS, claim["statistic"]).measure(table, claim["options"])
    except KeyError as error:
        raise ConfigError(
            f"{where}, statistic {claim['statistic']!r}: {error.args[0]}; its options say "
            f"{', '.join(claim['options'])}, and the columns are: {columns}"
        ) from None
    return found


def _published(claim: Mapping[str, Any], published: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """What the same statistic finds in the paper's own numbers."""
    said = claim["published"] or {}
    if said.get("table") is None:
        return []
    table = published[said["table"]]
    if said["column"] is not None:
        return [Finding(row["title"], float(row[said["column"]])) for row in table.to_dict("records")]
    return _measure(claim, said["table"], table)


def margin(effect: float, claim: Mapping[str, Any]) -> float:
    """How far an effect is on the claim's side of the threshold; negative on the other."""
    threshold = claim["threshold"]
    if isinstance(threshold, list):
        return float(min(effect - threshold[0], threshold[1] - effect))
    sign = 1 if claim["direction"] in ("above", "at_least") else -1
    return float(sign * (effect - threshold))


def _verdict(found: Finding, claim: Mapping[str, Any]) -> str:
    if not np.isfinite(found.effect) or found.points < claim["points"]:
        return UNKNOWN
    side = margin(found.effect, claim)
    # an effect that is a threshold but for rounding is that threshold
    touches = abs(side) < 1e-9
    strict = claim["direction"] in ("above", "below")
    return FAILS if (side < 0 and not touches) or (strict and touches) else HOLDS


def by_number(judged: Sequence[Judged]) -> dict[int, str]:
    """The verdict on every claim, all of whose rows must hold; rows without data are passed over."""
    verdicts: dict[int, set[str]] = {}
    for one in judged:
        verdicts.setdefault(one.claim["claim"], set()).add(one.verdict)
    return {
        number: FAILS if FAILS in found else HOLDS if HOLDS in found else UNKNOWN
        for number, found in verdicts.items()
    }


def scorecard_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """The scorecard, a row a row of the file of claims.

    Returns:
        row, claim, where, statement, statistic, test (its number in words), direction, threshold, share,
        verdict, claim_verdict (of all rows of the claim), parts (that count) and holding (of them), the
        deciding part with effect, low, high, points and note, certain (whether its interval is on the
        verdict's side), published (the paper's numbers, or words), source, set_up.
    """
    verdicts = by_number(judged)
    rows = []
    for one in judged:
        claim, found = one.claim, one.deciding
        rows.append(
            {
                "row": claim["row"],
                "claim": claim["claim"],
                "where": " ".join(claim["where"]),
                "statement": claim["statement"],
                "statistic": claim["statistic"],
                "test": claim["effect"],
                "direction": claim["direction"],
                "threshold": threshold_text(claim),
                "share": claim["share"],
                "verdict": one.verdict,
                "claim_verdict": verdicts[claim["claim"]],
                "parts": len(one.judged),
                "holding": one.verdicts.count(HOLDS),
                "part": found.part,
                "effect": found.effect,
                "low": found.low,
                "high": found.high,
                "points": found.points,
                "certain": one.certain,
                "note": found.note,
                "published": published_text(one),
                "source": claim["source"],
                "set_up": one.set_up,
            }
        )
    return pd.DataFrame(rows)


def parts_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """Every number behind the scorecard, a row a claim's row and part; ``published`` where parts match."""
    rows = []
    for one in judged:
        known = {found.part: found.effect for found in one.published}
        for found, verdict in zip(one.findings, one.verdicts, strict=True):
            rows.append(
                {"row": one.claim["row"], "claim": one.claim["claim"], "statistic": one.claim["statistic"]}
                | asdict(found)
                | {"verdict": verdict, "published": known.get(found.part, np.nan), "set_up": one.set_up}
            )
    return pd.DataFrame(rows)


def threshold_text(claim: Mapping[str, Any]) -> str:
    """A threshold in words: a number, or a range."""
    threshold = claim["threshold"]
    return f"{threshold[0]:g} to {threshold[1]:g}" if isinstance(threshold, list) else f"{threshold:g}"


def published_text(one: Judged) -> str:
    """What the paper says: its numbers part by part, or its words."""
    if one.published:
        return ", ".join(number(found.effect) for found in one.published)
    return str((one.claim["published"] or {}).get("text") or "")


def number(value: float) -> str:
    """A number as a reader wants it: three digits, a real minus sign, a dash for none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
