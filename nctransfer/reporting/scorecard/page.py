"""The scorecard for readers: Markdown, and a self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from nctransfer.reporting import pages
from nctransfer.reporting.scorecard import windows
from nctransfer.reporting.scorecard.estimates import ALPHA
from nctransfer.reporting.scorecard.findings import Finding, Part
from nctransfer.reporting.scorecard.verdicts import (
    ABSENT,
    FAILS,
    HOLDS,
    UNDECIDED,
    UNKNOWN,
    UNTRAINED,
    VERDICTS,
    Judged,
    bound_of,
    by_number,
    family_wise,
    number,
    published_text,
    published_verdict,
    threshold_text,
)

SIGNS = {"below": "<", "above": ">", "at_most": "≤", "at_least": "≥", "within": "within"}
TILES = {
    HOLDS: "hold", FAILS: "do not hold", UNDECIDED: "undecided", UNTRAINED: "on sources not trained",
    UNKNOWN: "without enough data",
}  # fmt: skip
CLASSES = {
    HOLDS: "holds", FAILS: "fails", UNDECIDED: "undecided", UNTRAINED: "unknown", UNKNOWN: "unknown",
}  # fmt: skip
WEAK = 0.5  # power below which a row says so


@dataclass(frozen=True)
class Circumstances:
    """What a reader of the scorecard must know of the run and of the tests."""

    study: str | None  # name of the study
    paper: str  # name of the paper's own set-up
    chance: pd.DataFrame  # verdicts on numbers dealt out at random
    calibration: pd.DataFrame | None = None  # how the tests err, if it is known
    windows: pd.DataFrame | None = None  # points in the paper's windows, if they are shown

    def power(self, row: str) -> float:
        """Share of the worlds that the paper describes in which a row holds; NaN if unknown."""
        if self.calibration is None:
            return float("nan")
        table = self.calibration
        found = table.loc[(table["row"] == row) & (table["world"] == "expected"), "holds"]
        return float(found.iloc[0]) if len(found) else float("nan")


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; }
body { max-width: 76em; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin-bottom: .2em; }
p { max-width: 58em; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid #888; padding: .35em .6em; }
td { vertical-align: top; border-bottom: 1px solid #ddd; padding: .4em .6em; }
td.number { white-space: nowrap; }
.verdict { display: inline-block; border-radius: .7em; padding: .05em .7em; }
.verdict { white-space: nowrap; font-weight: 600; }
.holds { background: #d3ebe2; color: #00553c; }
.fails { background: #f9dcc9; color: #8a3c00; }
.undecided { background: #fbf0c9; color: #6a5200; }
.unknown { background: #e8e8e8; color: #555; }
.departs { color: #8a3c00; }
.small { color: #555; font-size: .88em; }
.tiles { display: flex; gap: 1em; margin: 1em 0; }
.tile { border-radius: .5em; padding: .5em 1.2em; font-size: 1.05em; }
.tile b { font-size: 1.5em; }
.note { white-space: normal; max-width: 16em; }
details summary { cursor: pointer; }
details table { font-size: .88em; margin: .3em 0; width: auto; }
details td, details th { padding: .1em .7em .1em 0; border-bottom: 1px solid #eee; }
svg { display: block; margin-top: .25em; }
"""
_BODY = """\
<p>What <a href="https://arxiv.org/abs/2212.12206">the paper</a> claims, claim by claim,
and what this run found.
{{ setting }}</p>
<div class="tiles">
{% for verdict, count in counts %}
<div class="tile {{ classes[verdict] }}"><b>{{ count }}</b> {{ tiles[verdict] }}</div>
{% endfor %}</div>
<p><b>By chance</b> {{ chance }} <b>Together</b>, {{ family }}</p>
<p class="small">{{ reading }}</p>
<table>
<thead><tr><th>Claim</th><th>What the paper says</th><th>Where</th><th>Found</th><th>Published</th>
<th>Verdict</th></tr></thead>
<tbody>
{% for one, words in rows %}{% set claim = one.claim %}<tr id="claim-{{ claim.row }}">
<td>{{ claim.row }}</td>
<td>{{ claim.statement }}<br><span class="small">{{ words.test }}</span></td>
<td>{{ claim.where|join(", ") }}<br><span class="small">{{ claim.source }}</span></td>
<td class="number">{{ words.found }}{{ one|picture }}
{% if words.over %}<div class="small note">over {{ words.over }}</div>{% endif %}
{% if words.note %}<div class="small note">{{ words.note }}</div>{% endif %}
{% if one.finding.parts|length > 1 %}
<details><summary class="small">{{ one.finding.parts|length }} parts</summary>
<table><tr><th>part</th><th>found</th><th>n</th></tr>
{% for part in one.finding.parts %}
<tr><td>{{ part.part }}{% if part.note %}; {{ part.note }}{% endif %}</td><td>{{ part|effect }}</td>
<td>{{ part.points }}</td></tr>
{% endfor %}</table></details>{% endif %}</td>
<td>{{ words.published }}{% if words.own %}<div class="small">{{ words.own }}</div>{% endif %}</td>
<td><span class="verdict {{ classes[one.verdict] }}">{{ one.verdict }}</span>
<div class="small">{{ words.certain }}</div>
{% if words.weak %}<div class="small departs">{{ words.weak }}</div>{% endif %}
{% if one.set_up != absent %}
{% set short, _, details = one.set_up.partition("; ") %}
<div class="small{% if one.set_up != paper %} departs{% endif %}">{{ short }}</div>
{% if details %}<details><summary class="small">set-up</summary>
<div class="small">{{ details }}</div></details>{% endif %}{% endif %}</td>
</tr>
{% endfor %}</tbody>
</table>
"""

READING = (
    "A row holds if its 95 % interval lies wholly on the claim's side of the threshold (a one-sided test at "
    "2.5 %) and further conditions that its note gives are met, does not hold if it lies wholly on the other "
    "side, and is undecided otherwise. The interval is over what varies: training seeds, models, units, data "
    "sets, or the test images where there is one run each. A claim of several rows holds if all of them do. "
    "No row is judged on a source model that missed the accuracy on its own source data that it must reach."
)


def chance_text(judged: Sequence[Judged], chance: pd.DataFrame) -> str:
    """How many claims would hold if this run's numbers were dealt out at random."""
    count = chance["permutation"].nunique()
    claims = by_number(judged)
    not_judged = [claim for claim, found in claims.items() if found == UNTRAINED]
    held = (chance["verdict"] == HOLDS) & ~chance["claim"].isin(not_judged)
    held, of = held.groupby(chance["permutation"]).sum(), len(claims) - len(not_judged)
    return (
        f"{held.mean():.1f} of {of} claims would hold: this run's own numbers, dealt out at random among "
        f"models, methods and units {count} times, gave {held.min()} to {held.max()}."
    )


def family_text(judged: Sequence[Judged]) -> str:
    """How many claims hold if all are tested together."""
    held = family_wise(judged)
    which = f" ({', '.join(map(str, held))})" if held else ""
    return (
        f"{len(held)} claims hold{which} so surely that not one of all {len(by_number(judged))} would do "
        f"so by chance in more than {100 * ALPHA:g} % of runs (Holm)."
    )


def setting_text(judged: Sequence[Judged], study: str | None, paper: str) -> str:
    """A sentence about the set-up of all: the paper's own, named ``paper``, or another one."""
    tested = [one for one in judged if one.set_up != ABSENT]
    others = [one for one in tested if one.set_up != paper]
    if not others:
        return "Every picture is of the paper's own set-up."
    which = "No picture" if len(others) == len(tested) else "Not every picture"
    name = f" (study {study!r})" if study else ""
    return f"{which} is of the paper's own set-up{name}: each row says what it is of."


def certain_text(one: Judged) -> str:
    """How sure the verdict is."""
    found = one.finding
    if one.verdict == UNKNOWN:
        return found.note if np.isnan(found.effect) else f"so few can give no p below {found.least:.2g}"
    if one.verdict == UNTRAINED:
        return f"below the source accuracy that they must reach: {', '.join(one.not_trained)}"
    p, what = (found.refuted, "against it ") if one.verdict == FAILS else (found.supported, "")
    return f"{what}p = {p:.2g}" if p >= 1e-4 else f"{what}p < 0.0001"


def effect_text(found: Finding | Part) -> str:
    """An effect with its interval."""
    if not np.isfinite([found.low, found.high]).all() or found.low == found.high:
        return number(found.effect)
    return f"{number(found.effect)} [{number(found.low)}, {number(found.high)}]"


def words_of(one: Judged, about: Circumstances) -> dict[str, str]:
    """What a row says, in words: its test, number, what the interval is over, note, p, and the paper's."""
    claim, found, own = one.claim, one.finding, published_verdict(one)
    known, power = bool(np.isfinite(found.effect)), about.power(claim.row)
    weak = f"weak: at the paper's own n it holds in {100 * power:.0f} % of worlds as the paper describes"
    return {
        "test": f"{claim.effect} {SIGNS[claim.direction]} {threshold_text(claim)}",
        "found": effect_text(found),
        "over": f"{found.points} {found.varies}" if known and found.varies else "",
        "note": found.note if known else "",
        "published": published_text(one),
        "own": f"on the paper's own numbers: {own}" if own else "",
        "certain": certain_text(one),
        "weak": weak if power < WEAK else "",
    }


def counted(judged: Sequence[Judged]) -> list[tuple[str, int]]:
    """Number of claims (whatever their number of rows) per verdict; no row for sources that are trained."""
    verdicts = list(by_number(judged).values())
    counts = [(verdict, verdicts.count(verdict)) for verdict in VERDICTS]
    return [(verdict, count) for verdict, count in counts if count or verdict != UNTRAINED]


def html(judged: Sequence[Judged], about: Circumstances) -> str:
    """The scorecard as a page of HTML."""
    environment = Environment(autoescape=True)
    environment.filters |= {"effect": effect_text, "picture": _strip}
    body = environment.from_string(_BODY).render(
        setting=setting_text(judged, about.study, about.paper), reading=READING, counts=counted(judged),
        chance=chance_text(judged, about.chance), family=family_text(judged), classes=CLASSES, tiles=TILES,
        rows=[(one, words_of(one, about)) for one in judged], paper=about.paper, absent=ABSENT,
    )  # fmt: skip
    shown = "" if about.windows is None else windows.html(about.windows)
    return pages.page("Scorecard", f"{body}\n{shown}\n", _STYLE)


def _strip(one: Judged, width: int = 190, height: int = 14) -> Markup:
    """Inline SVG of the effect with its interval and of every part's effect on a line, with the threshold."""
    found = one.finding
    if not np.isfinite(found.effect):
        return Markup()
    bound = bound_of(one.claim)
    bounds = [end for end in bound.ends if np.isfinite(end)]
    values = [found.effect, *bounds, *(end for end in (found.low, found.high) if np.isfinite(end))]
    low, high = min(values), max(values)
    reach = (high - low) or 1.0
    low, high = low - 0.1 * reach, high + 0.1 * reach

    def at(value: float) -> float:
        return float(np.clip(4 + (value - low) / (high - low) * (width - 8), 2, width - 2))

    middle = height / 2
    parts = [f'<line x1="0" x2="{width}" y1="{middle}" y2="{middle}" stroke="#ddd"/>']
    upright, dashes = f'y1="0" y2="{height}"', 'stroke="#888" stroke-dasharray="2,2"'
    parts += [f'<line x1="{at(end):.1f}" x2="{at(end):.1f}" {upright} {dashes}/>' for end in bounds]
    if np.isfinite([found.low, found.high]).all():
        parts.append(
            f'<line x1="{at(found.low):.1f}" x2="{at(found.high):.1f}" y1="{middle}" y2="{middle}" '
            'stroke="#0072B2" stroke-width="2"/>'
        )
    colour = "#009E73" if bound.margin(found.effect) >= 0 else "#D55E00"
    parts.append(f'<circle cx="{at(found.effect):.1f}" cy="{middle}" r="3" fill="{colour}"/>')
    label = f"{number(found.effect)} about the threshold {threshold_text(one.claim)}"
    head = f'<svg width="{width}" height="{height}" role="img" aria-label="{label}"><title>{label}</title>'
    return Markup(f"{head}{''.join(parts)}</svg>")


def markdown(judged: Sequence[Judged], about: Circumstances) -> str:
    """The scorecard in Markdown."""
    counts = ", ".join(f"{count} {TILES[verdict]}" for verdict, count in counted(judged))
    setting = setting_text(judged, about.study, about.paper)
    lines = [
        "# Scorecard",
        "",
        f"{setting} Of {len(by_number(judged))} claims: {counts}.",
        "",
        f"By chance {chance_text(judged, about.chance)} Together, {family_text(judged)}",
        "",
        READING,
        "",
        "| claim | what the paper says | where | test | found | over | published | verdict | p | set-up |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in judged:
        claim, words = one.claim, words_of(one, about)
        pairs = ("found", "note"), ("published", "own"), ("certain", "weak")
        found, published, certain = ("; ".join(filter(None, map(words.get, pair))) for pair in pairs)
        where = f"{', '.join(claim.where)} ({claim.source})"
        cells = [
            claim.row, claim.statement, where, words["test"], found, words["over"], published,
            f"**{one.verdict}**", certain, one.set_up,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    shown = "" if about.windows is None else f"\n{windows.markdown(about.windows)}"
    return "\n".join(lines) + "\n" + shown
