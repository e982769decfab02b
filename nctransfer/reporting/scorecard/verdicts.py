"""From findings to verdicts: holds, does not hold, undecided, or not enough data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from nctransfer import variants
from nctransfer.errors import ConfigError
from nctransfer.reporting.scorecard import statistics
from nctransfer.reporting.scorecard.estimates import ALPHA, Bound
from nctransfer.reporting.scorecard.findings import Finding, Part, nothing, select
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.reporting.sources import not_trained
from nctransfer.reporting.tidy_rows import PAIRED, SAMPLES
from nctransfer.settings import Settings

ABSENT = "not in this run"
HOLDS, FAILS, UNDECIDED, UNKNOWN = "holds", "does not hold", "undecided", "not enough data"
UNTRAINED = "source not trained"
VERDICTS = (HOLDS, FAILS, UNDECIDED, UNTRAINED, UNKNOWN)
JOIN = ("view", "series", "label", "model")  # identify a point in two figures
# columns that statistics read whatever a claim says
ALWAYS = (*JOIN, "panel", "title", "method", "per_class", "seeds", SAMPLES, PAIRED, "depth")


@dataclass(frozen=True)
class Judged:
    """A claim with what was found."""

    claim: JudgedClaimSettings  # the claim
    finding: Finding  # what this run found
    published: Finding | None  # what the paper's own numbers give, if they are known
    set_up: str  # set-up of its figures and tables: the paper's own, or how it differs
    not_trained: tuple[str, ...] = ()  # source models that missed what they must reach

    @property
    def verdict(self) -> str:
        """The verdict: a one-sided test at 2.5 %, each way; none on a source that is not trained."""
        found = verdict(self.finding)
        return UNTRAINED if self.not_trained and found != UNKNOWN else found


def verdict(finding: Finding) -> str:
    """The verdict on a finding."""
    if not np.isfinite(finding.effect) or np.isnan(finding.supported):
        return UNKNOWN
    if finding.supported <= ALPHA:
        return HOLDS
    if finding.refuted <= ALPHA:
        return FAILS
    return UNKNOWN if finding.least > ALPHA else UNDECIDED


def judge(
    claims: Sequence[JudgedClaimSettings],
    tables: Mapping[str, pd.DataFrame],
    published: Mapping[str, pd.DataFrame],
    set_ups: Mapping[str, str],
) -> list[Judged]:
    """Test every claim on tables and set-ups by key of the picture, and published numbers by their name.

    Raises:
        ConfigError: a claim's options are not those of its statistic, or ``only`` or ``above`` name a column
            that does not exist.
    """
    return [
        Judged(
            claim,
            find(claim, tables),
            _published(claim, published),
            _set_up(claim, set_ups),
            _not_trained(claim, tables),
        )
        for claim in claims
    ]


def _not_trained(claim: JudgedClaimSettings, tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    rows = rows_of(claim, tables)
    return () if isinstance(rows, str) else tuple(not_trained(rows))


def find(claim: JudgedClaimSettings, tables: Mapping[str, pd.DataFrame]) -> Finding:
    """Test one claim on the figures and tables that it names; all of them must be there."""
    rows = rows_of(claim, tables)
    return nothing(rows) if isinstance(rows, str) else measure(claim, rows)


def rows_of(claim: JudgedClaimSettings, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame | str:
    """The rows of figures and tables that a claim is about, one below the other; or why there are none."""
    needed = [*claim.where, *([claim.against] if claim.against else [])]
    if missing := [name for name in needed if name not in tables]:
        return f"{' and '.join(missing)} {ABSENT}"
    found = []
    for key in claim.where:
        table = tables[key]
        if claim.against is not None:
            join = [column for column in JOIN if column in table]
            table = table.merge(tables[claim.against], on=join, suffixes=("", "_against"))
        table = _selected(claim, key, table)
        if len(claim.where) > 1:
            named = {column: f"{key}: " + table[column].astype(str) for column in ("panel", "title")}
            table = table.assign(**named)
        found.append(table)
    rows = pd.concat(found, ignore_index=True)
    return "nothing of what the claim is about" if rows.empty else rows


def narrow(table: pd.DataFrame, claims: Sequence[JudgedClaimSettings]) -> pd.DataFrame:
    """A figure's or table's columns that claims may read: tables are wide, and fewer columns much faster."""
    said = " ".join(f"{claim} {read_options(claim)}" for claim in claims)
    columns = map(str, table)
    return table[[name for name in columns if name in ALWAYS or name.removesuffix("_std") in said]]


def read_options(claim: JudgedClaimSettings) -> Settings:
    """A claim's options, as ``Options`` of its statistic; ConfigError, naming all that are wrong."""
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


def _selected(claim: JudgedClaimSettings, picture: str, table: pd.DataFrame) -> pd.DataFrame:
    """The claim's rows of a figure or table; ConfigError for a column that does not exist."""
    for field, selection in (("only", claim.only), ("above", claim.above)):
        for column in selection:
            if column not in table:
                columns = ", ".join(map(str, table.columns))
                raise ConfigError(
                    f"claim {claim.row}, {picture}: {field} names {column!r}; there are: {columns}"
                )
    table = select(table, claim.only)
    for column, least in claim.above.items():
        table = table[table[column] > least]
    return table


def bound_of(claim: JudgedClaimSettings) -> Bound:
    """Side of the threshold on which the claim's number must be."""
    return Bound(claim.direction, claim.threshold)


def measure(claim: JudgedClaimSettings, rows: pd.DataFrame) -> Finding:
    """The finding of the claim's statistic in its rows; without their columns, what is missing.

    A figure of that name may be of another kind than the claim's.

    Raises:
        ConfigError: the options are wrong.
    """
    statistic = variants.load(statistics, claim.statistic, needs=["measure"])
    options = read_options(claim)
    try:
        finding: Finding = statistic.measure(rows, options, bound_of(claim))
    except KeyError as error:
        missing = str(error.args[0]).removeprefix("Column not found: ")
        if missing in rows:  # no fault of the table
            raise
        return nothing(f"no column {missing!r}; there are: {', '.join(map(str, rows.columns))}")
    return finding


def _published(claim: JudgedClaimSettings, published: Mapping[str, pd.DataFrame]) -> Finding | None:
    source = claim.published
    if source is None or source.table is None:
        return None
    table = published[source.table]
    if source.column is not None:
        values = pd.to_numeric(table[source.column])
        shown = [Part(str(title), float(value)) for title, value in zip(table["title"], values, strict=True)]
        return nothing("", parts=shown)
    return measure(claim, _selected(claim, source.table, table))


def by_number(judged: Sequence[Judged]) -> dict[int, str]:
    """The verdict on every claim: it holds if all of its rows do, and does not if one does not."""
    rows: dict[int, list[Judged]] = {}
    for one in judged:
        rows.setdefault(one.claim.claim, []).append(one)
    return {claim: _of_rows(of_claim) for claim, of_claim in rows.items()}


def _of_rows(rows: Sequence[Judged]) -> str:
    """The verdict of rows that must all hold; that one does not is one chance of several (Bonferroni)."""
    found = {one.verdict for one in rows}
    if any(one.verdict == FAILS and len(rows) * one.finding.refuted <= ALPHA for one in rows):
        return FAILS
    for missing in (UNTRAINED, UNKNOWN):
        if missing in found:
            return missing
    return HOLDS if found == {HOLDS} else UNDECIDED


def family_wise(judged: Sequence[Judged]) -> list[int]:
    """Claims that hold if all of them are tested together (Holm 1979), at 2.5 % for the whole family.

    The p of a claim is the largest of its rows, all of which must hold; 1 without data.
    """
    ps: dict[int, float] = {}
    for one in judged:
        p = one.finding.supported if one.verdict not in (UNTRAINED, UNKNOWN, FAILS) else 1.0
        ps[one.claim.claim] = max(ps.get(one.claim.claim, 0.0), p)
    held = []
    for place, (claim, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        if p > ALPHA / (len(ps) - place):
            break
        held.append(claim)
    return sorted(held)


def scorecard_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """The scorecard, one row per row of the file of claims.

    Returns:
        row, claim, where, statement, statistic, test (its number in words), direction, threshold, verdict,
        claim_verdict (over all rows of the claim), family_wise (whether the claim holds among all of them,
        Holm), effect with its interval low and high, points, varies (over what the interval is), p (of the
        null hypothesis that the claim is wrong), p_refuted (that it is right), note, not_trained (source
        models that missed what they must reach), published (the paper's numbers, or words),
        published_verdict (the same test on them), source, set_up.
    """
    verdicts, held = by_number(judged), family_wise(judged)
    rows = []
    for one in judged:
        claim, found = one.claim, one.finding
        rows.append({
            "row": claim.row, "claim": claim.claim, "where": " ".join(claim.where),
            "statement": claim.statement, "statistic": claim.statistic, "test": claim.effect,
            "direction": claim.direction, "threshold": threshold_text(claim), "verdict": one.verdict,
            "claim_verdict": verdicts[claim.claim], "family_wise": claim.claim in held,
            "effect": found.effect, "low": found.low, "high": found.high, "points": found.points,
            "varies": found.varies, "p": found.supported, "p_refuted": found.refuted, "note": found.note,
            "not_trained": ", ".join(one.not_trained),
            "published": published_text(one), "published_verdict": published_verdict(one),
            "source": claim.source, "set_up": one.set_up,
        })  # fmt: skip
    return pd.DataFrame(rows)


def parts_table(judged: Sequence[Judged]) -> pd.DataFrame:
    """Every number behind the scorecard, one row per claim and part; ``published`` if parts match."""
    rows: list[dict[str, Any]] = []
    for one in judged:
        papers = {part.part: part.effect for part in (one.published.parts if one.published else ())}
        shared = {"row": one.claim.row, "claim": one.claim.claim, "statistic": one.claim.statistic}
        rows += [
            shared | asdict(part) | {"published": papers.get(part.part, np.nan), "set_up": one.set_up}
            for part in one.finding.parts
        ]
    columns = ["row", "claim", "statistic", *Part.__dataclass_fields__, "published", "set_up"]
    return pd.DataFrame(rows, columns=columns)


def threshold_text(claim: JudgedClaimSettings) -> str:
    """A threshold in words: a number, or a range."""
    if isinstance(claim.threshold, tuple):
        return " to ".join(f"{end:g}" for end in claim.threshold)
    return f"{claim.threshold:g}"


def published_text(one: Judged) -> str:
    """The paper's numbers part by part, or its words."""
    if one.published is not None:
        if one.published.parts:
            return ", ".join(number(part.effect) for part in one.published.parts)
        return number(one.published.effect)
    return (one.claim.published and one.claim.published.text) or ""


def published_verdict(one: Judged) -> str:
    """The verdict of the same test on the paper's own numbers; empty if it prints none."""
    if one.published is None or np.isnan(one.published.effect):
        return ""
    return verdict(one.published)


def number(value: float) -> str:
    """A number for readers: three digits, a true minus sign, a dash for none."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.2f}" if 0.1 <= abs(value) < 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}")
