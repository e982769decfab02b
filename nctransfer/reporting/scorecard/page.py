"""The scorecard for readers: Markdown, and a self-contained HTML page."""

from collections.abc import Sequence

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from nctransfer.reporting import pages
from nctransfer.reporting.scorecard.findings import Finding
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.reporting.scorecard.verdicts import (
    ABSENT,
    FAILS,
    HOLDS,
    UNKNOWN,
    VERDICTS,
    Judged,
    by_number,
    margin,
    number,
    published_text,
    threshold_text,
)

SIGNS = {"below": "<", "above": ">", "at_most": "≤", "at_least": "≥", "within": "within"}
TILES = {HOLDS: "hold", FAILS: "do not hold", UNKNOWN: "without enough data"}
CLASSES = {HOLDS: "holds", FAILS: "fails", UNKNOWN: "unknown"}

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
<p class="small">{{ reading }}</p>
<table>
<thead><tr><th>Claim</th><th>What the paper says</th><th>Where</th><th>Found</th><th>Published</th>
<th>Verdict</th></tr></thead>
<tbody>
{% for one in judged %}{% set claim = one.claim %}<tr id="claim-{{ claim.row }}">
<td>{{ claim.row }}</td>
<td>{{ claim.statement }}<br><span class="small">{{ claim|test }}</span></td>
<td>{{ claim.where|join(", ") }}<br><span class="small">{{ claim.source }}</span></td>
<td class="number">{{ one.deciding|effect }}{{ one|picture }}
{% if one|note %}<div class="small note">{{ one|note }}</div>{% endif %}
<details><summary class="small">{{ one|parts }}</summary>
<table><tr><th>part</th><th>found</th><th>n</th><th>verdict</th></tr>
{% for finding, verdict in one.pairs %}
<tr><td>{{ finding.part }}</td><td>{{ finding|effect }}</td><td>{{ finding.points }}</td>
<td>{{ verdict }}{% if finding.note %}; {{ finding.note }}{% endif %}</td></tr>
{% endfor %}</table></details></td>
<td>{{ one|published }}</td>
<td><span class="verdict {{ classes[one.verdict] }}">{{ one.verdict }}</span>
<div class="small">{{ one|certain }}</div>
<div class="small{% if one.set_up != paper %} departs{% endif %}">{{ one.set_up }}</div></td>
</tr>
{% endfor %}</tbody>
</table>
"""

READING = (
    "A claim is tested in every part that it speaks of (a panel, say) and holds if it does in as many of "
    "them as the test asks; the number shown is that of the deciding part, with its 95 % interval and the "
    "number of observations n. The verdict goes by the number itself. Where the interval reaches over the "
    "threshold it says so: few points leave much open. There is no interval of places and shares of a curve, "
    "nor between single runs. A claim of several rows holds if all of those do that have data."
)


def setting_text(judged: Sequence[Judged], study: str | None, paper: str) -> str:
    """A sentence about the set-up of the whole scorecard: the paper's, or another one.

    ``paper`` is the name of the paper's own set-up.
    """
    tested = [one for one in judged if one.set_up != ABSENT]
    others = [one for one in tested if one.set_up != paper]
    if not others:
        return "Every picture is of the paper's own set-up."
    which = "No picture" if len(others) == len(tested) else "Not every picture"
    name = f" (study {study!r})" if study else ""
    return f"{which} is of the paper's own set-up{name}: each row says what it is of."


def certain_text(one: Judged) -> str:
    """Whether the interval agrees with the verdict."""
    if one.verdict == UNKNOWN:
        return one.deciding.note
    texts = {True: "the interval agrees", False: "the interval leaves it open", None: "no interval"}
    return texts[one.certain]


def effect_text(finding: Finding) -> str:
    """An effect with its interval."""
    if not np.isfinite([finding.low, finding.high]).all():
        return number(finding.effect)
    return f"{number(finding.effect)} [{number(finding.low)}, {number(finding.high)}]"


def note_text(one: Judged) -> str:
    """Note on the deciding part."""
    return one.deciding.note if one.judged else ""


def parts_text(one: Judged) -> str:
    """In how many parts the claim holds."""
    judged, held = len(one.judged), one.verdicts.count(HOLDS)
    if judged == 0:
        return "no part with enough data"
    asked = "" if one.needed == judged else f", {one.needed} asked for"
    return f"holds in {held} of {judged}{asked}"


def test_text(claim: JudgedClaimSettings) -> str:
    """The test in words."""
    return f"{claim.effect} {SIGNS[claim.direction]} {threshold_text(claim)}"


def counted(judged: Sequence[Judged]) -> list[tuple[str, int]]:
    """Number of claims (whatever their number of rows) per verdict."""
    verdicts = list(by_number(judged).values())
    return [(verdict, verdicts.count(verdict)) for verdict in VERDICTS]


def html(judged: Sequence[Judged], study: str | None, paper: str) -> str:
    """The scorecard as a page of HTML."""
    environment = Environment(autoescape=True)
    environment.filters |= {
        "test": test_text, "effect": effect_text, "picture": _strip, "note": note_text, "parts": parts_text,
        "published": published_text, "certain": certain_text,
    }  # fmt: skip
    body = environment.from_string(_BODY).render(
        setting=setting_text(judged, study, paper), reading=READING, counts=counted(judged), classes=CLASSES,
        tiles=TILES, judged=judged, paper=paper,
    )  # fmt: skip
    return pages.page("Scorecard", f"{body}\n", _STYLE)


def _strip(one: Judged, width: int = 190, height: int = 14) -> Markup:
    """Inline SVG of every part's effect and the deciding interval on a line, with the threshold."""
    effects = [finding.effect for finding in one.judged]
    if not effects:
        return Markup()
    threshold = one.claim.threshold
    bounds = threshold if isinstance(threshold, tuple) else (threshold,)
    ends = [end for end in (one.deciding.low, one.deciding.high) if np.isfinite(end)]
    low, high = min([*effects, *bounds]), max([*effects, *bounds])
    reach = (high - low) or 1.0
    low, high = low - 0.25 * reach, high + 0.25 * reach

    def at(value: float) -> float:
        return float(np.clip(4 + (value - low) / (high - low) * (width - 8), 2, width - 2))

    middle = height / 2
    parts = [f'<line x1="0" x2="{width}" y1="{middle}" y2="{middle}" stroke="#ddd"/>']
    upright, dashes = f'y1="0" y2="{height}"', 'stroke="#888" stroke-dasharray="2,2"'
    parts += [f'<line x1="{at(end):.1f}" x2="{at(end):.1f}" {upright} {dashes}/>' for end in bounds]
    if len(ends) == 2:
        parts.append(
            f'<line x1="{at(ends[0]):.1f}" x2="{at(ends[1]):.1f}" y1="{middle}" y2="{middle}" '
            'stroke="#0072B2" stroke-width="2"/>'
        )
    for effect in effects:
        colour = "#009E73" if margin(effect, one.claim) >= 0 else "#D55E00"
        parts.append(
            f'<circle cx="{at(effect):.1f}" cy="{middle}" r="2.5" fill="{colour}" fill-opacity="0.75"/>'
        )
    label = f"{len(effects)} parts about the threshold {threshold_text(one.claim)}"
    head = f'<svg width="{width}" height="{height}" role="img" aria-label="{label}"><title>{label}</title>'
    return Markup(f"{head}{''.join(parts)}</svg>")


def markdown(judged: Sequence[Judged], study: str | None, paper: str) -> str:
    """The scorecard in Markdown."""
    counts = ", ".join(f"{count} {TILES[verdict]}" for verdict, count in counted(judged))
    lines = [
        "# Scorecard",
        "",
        f"{setting_text(judged, study, paper)} Of {len(by_number(judged))} claims: {counts}.",
        "",
        READING,
        "",
        "| claim | what the paper says | where | test | found | n | parts | published | verdict | interval "
        "| set-up |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in judged:
        claim = one.claim
        cells = [
            claim.row,
            claim.statement,
            f"{', '.join(claim.where)} ({claim.source})",
            test_text(claim),
            "; ".join(filter(None, (effect_text(one.deciding), note_text(one)))),
            str(one.deciding.points),
            parts_text(one),
            published_text(one),
            f"**{one.verdict}**",
            certain_text(one),
            one.set_up,
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"
