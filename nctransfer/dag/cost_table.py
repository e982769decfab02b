"""The table of costs in docs/outputs.md: ``make docs``."""

import sys
from itertools import chain
from pathlib import Path

from nctransfer.config.load import load
from nctransfer.dag.calibrate import with_tables
from nctransfer.dag.command_line import ROOT
from nctransfer.dag.cost import NO_GPU, Prices, size, span, targets
from nctransfer.dag.plan import Plan
from nctransfer.dag.speeds import GPUS
from nctransfer.storage.files import save_text

PAGE = Path("docs/outputs.md")
# Targets of config.yaml, by what a row says of them.
ROWS = {
    "Figure 3": "fig3",
    "Figures 2 and 4": "fig2 fig4",
    "Figures 1, 10, 11, 12, 15 and Table B (pre-training)": "fig1 fig10 fig11 fig12 fig15 tableB",
    "`collapse-over-training`": "collapse-over-training",
    "Figures 7, 8, 9, 14, 16, 17 and Tables 3, 4, 5 (fine-tuning)": (
        "fig7 fig8 fig9 fig14 fig16 fig17 table3 table4 table4-clip table5"
    ),
    "Table 2 (few-shot)": "table2",
    "`rank`": "rank",
    "everything (`all`)": "all",
}


def table(plan: Plan) -> str:
    """What the paper's targets cost, as Markdown; ``plan`` is that of config.yaml."""
    prices = {gpu: Prices(plan, gpu) for gpu in (*GPUS, NO_GPU)}
    heads = ["target", "jobs", *(f"GPU, {gpu.upper()}" for gpu in GPUS), "cores beside it"]
    heads += ["cores without a GPU", "disk", "downloads"]
    rows = [heads, ["---", *["--:"] * (len(heads) - 1)]]
    for title, words in ROWS.items():
        names = list(dict.fromkeys(chain.from_iterable(targets(plan, words.split()).values())))
        *shares, cores = (price.together(names) for price in prices.values())
        cells = [title, f"{len(names):,}", *(span(share.gpu) for share in shares), span(shares[0].cpu)]
        rows.append([*cells, span(cores.cpu), size(cores.disk), size(prices[NO_GPU].downloads(names))])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page(text: str, plan: Plan) -> str:
    """The page with the present table."""
    return with_tables(text, {"cost": table(plan)})


def main() -> None:
    """Write the table."""
    save_text(
        page((ROOT / PAGE).read_text(encoding="utf-8"), Plan(load(ROOT / "config.yaml"), ROOT)), ROOT / PAGE
    )
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
