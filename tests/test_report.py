"""Snakemake's report of a small study, made by the real command and opened in a real browser."""

import base64
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml
from project import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("NCTRANSFER_REQUIRE_BROWSER") == "1"
REPORT = "results/tiny/report.html"
SHOWN = {
    "figures": {
        "fig10": {"kind": "layerwise", "panels": [{"model": "tiny", "dataset": "digits59"}]},
        "fig3": {"kind": "layerwise", "panels": [{"model": "tiny", "dataset": "digits59"}]},
        "mine_own": {"kind": "layerwise", "panels": [{"model": "tiny", "dataset": "digits04", "title": "*a* _b_ |c|"}]},
    },
    "tables": {
        "tableB": {
            "kind": "pretraining",
            "panels": [{"dataset": "digits59", "nc1_on": "digits04", "series": [{"models": {"Tiny": "tiny"}}]}],
        },
    },
}  # fmt: skip
# Nothing of these leaves the machine; the last two are the browser's own viewer of PDFs.
INSIDE = ("file:", "data:", "blob:", "chrome-extension:", "chrome:")
CATEGORIES = ["1. Scorecard", "2. Figures", "3. Tables", "4. Files", "5. About this run"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Project:
    """A finished study of which all is shown: the paper's own pictures, for which there are no data, are left out."""
    project = Project.fresh(tmp_path_factory.mktemp("report") / "p")
    nothing = {"figures": {}, "tables": {}, "rank": {"datasets": []}}
    for name, pictures in (("config.yaml", nothing), ("tiny.yaml", SHOWN)):
        whole = yaml.safe_load(project.read(name)) | pictures
        (project.folder / name).write_text(yaml.safe_dump(whole))
    run = project.run("all", options=("--resources", "gpu=0"))
    assert run.returncode == 0, run.stdout + run.stderr
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")  # where nobody answers: no network
        run = project.run(options=("--report", REPORT))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "downloading" not in run.stderr + run.stdout
    return project


class Reader:
    """A person before the report; notes everything that goes wrong."""

    def __init__(self, page, address: str, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.wrong: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self.wrong.append(f"failed: {request.url[:200]}"))
        page.on("request", self._note)
        page.route(re.compile(f"^(?!{'|'.join(INSIDE)})"), lambda route: route.abort())
        page.goto(address)
        page.get_by_text("Workflow", exact=True).wait_for()

    def _note(self, request) -> None:
        if not request.url.startswith(INSIDE):
            self.wrong.append(f"asked for {request.url[:200]}")

    def menu(self) -> list[str]:
        return [text.strip() for text in self.page.locator("nav > div li a, nav li a").all_inner_texts()]

    def go_home(self) -> None:
        self.page.locator("nav ol a").first.click()
        self.page.get_by_text("Statistics", exact=True).wait_for()

    def open(self, category: str) -> list[str]:
        """Go to a category; the names of its entries."""
        if not self.page.get_by_text("Statistics", exact=True).is_visible():
            self.go_home()
        self.page.locator("nav li a").get_by_text(category, exact=True).click()
        self.page.locator("nav tbody tr").first.wait_for()
        return [
            re.sub(r"\s+", " ", row.locator("td").first.inner_text()).strip() for row in self._rows().all()
        ]

    def choose(self, form: str) -> None:
        self.page.locator("nav fieldset label").get_by_text(form, exact=True).click()

    def _rows(self):
        return self.page.locator("nav tbody tr")

    def look(self, row: int) -> None:
        """Click an entry's eye."""
        self._rows().nth(row).locator("a").nth(0).click()
        self.page.wait_for_timeout(300)

    def read_about(self, row: int) -> str:
        """Click an entry's i; its description."""
        self._rows().nth(row).locator("a").nth(1).click()
        caption = self.page.locator("nav li.prose")
        caption.wait_for()
        return caption.inner_text()

    def photograph(self, name: str) -> None:
        self.page.screenshot(path=self.folder / f"{name}.png")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    if CHROMIUM is None:
        if REQUIRED:
            pytest.fail("no chromium on the path, and NCTRANSFER_REQUIRE_BROWSER=1 asks for one")
        pytest.skip("no chromium on the path (apt-get install --no-install-recommends chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root may not use the sandbox (the page is our own), and containers have little shared memory
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        started.close()


@pytest.fixture
def reader(browser, study, tmp_path) -> Iterator[Reader]:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(20_000)
    found = Reader(page, (study.folder / REPORT).as_uri(), tmp_path)
    yield found
    page.close()
    assert found.wrong == []


def contents(link: str) -> tuple[str, bytes]:
    """Type and bytes of a data address."""
    header, _, data = link.partition(",")
    return header.removeprefix("data:").partition(";")[0], base64.b64decode(unquote(data))


def test_the_front_page_says_what_this_is_and_leads_to_every_category_the_scorecard_first(reader):
    text = reader.page.locator(".prose").inner_text()
    assert "Neural Collapse" in text
    assert "overlay of the paper's configuration" in text
    assert "System Message" not in text
    assert [entry for entry in reader.menu() if entry[:1].isdigit()] == CATEGORIES
    reader.photograph("home")
    for category in CATEGORIES:
        reader.go_home()
        reader.page.get_by_text("Workflow", exact=True).click()
        reader.page.locator(".prose a").get_by_text(category, exact=True).click()
        reader.page.locator("nav tbody tr").first.wait_for()
    reader.go_home()
    for entry in ("Workflow", "Statistics"):
        reader.page.get_by_text(entry, exact=True).click()
        reader.page.locator("canvas, svg.marks").first.wait_for()


def test_the_scorecard_shows_every_claim(reader, study):
    names = reader.open("1. Scorecard")
    assert names[0] == "All claims with their verdicts"
    reader.look(0)
    page = reader.page.frame_locator("iframe")
    claims = pd.read_csv(study.folder / "results/tiny/scorecard.csv")
    page.locator("body", has_text=claims["statement"].iloc[-1]).wait_for()
    text = page.locator("body").inner_text()
    assert all(statement in text for statement in claims["statement"])
    reader.photograph("scorecard")
    assert "the paper's claims" in reader.read_about(0).lower()


def test_figures_come_by_number_with_picture_vector_graphics_and_caption(reader, study):
    names = reader.open("2. Figures")
    assert [name.partition(" · ")[0] for name in names] == ["Figure 3", "Figure 10", "Unnumbered: mine_own"]
    for row, key in enumerate(("fig3", "fig10", "mine_own")):
        reader.open("2. Figures")
        reader.look(row)
        picture = reader.page.locator("img[src^='data:image/png']")
        picture.wait_for()
        assert picture.evaluate("image => image.complete && image.naturalWidth") > 300
        kind, data = contents(picture.get_attribute("src"))
        assert (kind, data) == ("image/png", (study.folder / f"figures/tiny/{key}.png").read_bytes())
        reader.photograph(key)
        caption = reader.read_about(row)
        reader.photograph(f"{key}-caption")
        assert "accuracy of a linear probe" in caption
        assert ("In the paper" in caption) == (key != "mine_own")
        assert ("*a* _b_ |c|" in caption) == (key == "mine_own")
        assert "System Message" not in caption
        for suffix, mime in (("pdf", "application/pdf"), ("csv", "text/csv")):
            path = f"figures/tiny/{key}.{suffix}"
            kind, data = contents(reader.page.evaluate("path => results[path].data_uri", path))
            assert (kind, data) == (mime, (study.folder / path).read_bytes())
        # the link to the numbers leads to where they are to be had
        reader.page.locator("nav li.prose a").get_by_text(f"{key}.csv", exact=True).click()
        download = reader.page.locator("nav a[download]")
        download.wait_for()
        assert download.get_attribute("download") == f"{key}.csv"
        assert contents(download.get_attribute("href"))[1] == data
        assert f"{key}.pdf" in reader.page.locator("nav li.prose").inner_text()


def test_a_pdf_is_one_click_from_its_picture(reader):
    reader.open("2. Figures")
    reader.choose("vector (PDF)")
    reader.look(0)
    source = reader.page.locator("iframe").get_attribute("src")
    kind, data = contents(source)
    assert kind == "application/pdf"
    assert data.startswith(b"%PDF")


def test_tables_are_pages(reader):
    assert reader.open("3. Tables") == ["Table B · Pre-training losses"]
    reader.look(0)
    page = reader.page.frame_locator("iframe")
    assert page.locator("h1").inner_text() == "Table B"
    assert page.locator("tbody tr").count() == 1
    assert "Tiny" in page.locator("tbody").inner_text()
    reader.photograph("table")
    caption = reader.read_about(0)
    assert "tableB.tex" in caption
    assert "Appendix B" in caption


def test_the_files_are_downloads(reader, study):
    rows = reader.open("4. Files")
    links = reader.page.locator("nav tbody a[download]")
    assert links.count() == len(rows) == 5  # numbers of three figures and a table, LaTeX of that
    for link in links.all():
        folder = "tables" if link.get_attribute("download").startswith("table") else "figures"
        path = study.folder / folder / "tiny" / link.get_attribute("download")
        assert contents(link.get_attribute("href"))[1] == path.read_bytes()


def test_the_run_is_told_of_code_machines_and_times(reader, study):
    assert len(reader.open("5. About this run")) == 1
    reader.look(0)
    page = reader.page.frame_locator("iframe")
    page.locator("summary").wait_for()  # behind all else
    text = page.locator("body").inner_text()
    assert "Revision" in text
    assert "snakemake 9." in text
    rules = page.locator("table.jobs tbody tr td:first-child").all_inner_texts()
    assert set(rules) == {
        "images", "pretrain", "model", "features", "metrics", "probes", "figure", "table", "chance",
        "scorecard",
    }  # fmt: skip
    page.locator("summary").click()
    assert "study: tiny" in page.locator("pre").inner_text()
    reader.photograph("about")
    assert "git revision" in reader.read_about(0)


def test_the_list_with_links_leads_to_files_that_are_there(study):
    text = study.read("results/tiny/REPORT.md")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    for link in links:
        assert (study.folder / "results/tiny" / link).is_file(), link
    assert text.index("## Scorecard") < text.index("**Figure 3.**") < text.index("**Figure 10.**")
    claims = pd.read_csv(study.folder / "results/tiny/scorecard.csv").drop_duplicates("claim")
    for verdict, count in claims["claim_verdict"].value_counts().items():
        assert f"| {verdict} | {count} |" in text


def test_what_is_shown_is_the_same_bytes_when_it_is_made_again(study):
    assert study.planned("all") == {}
    folders = ("figures", "tables")
    before = study.contents(*folders), study.read("results/tiny/REPORT.md")
    again = ("figure", "table", "overview")
    run = study.run("all", options=("--forcerun", *again))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Drawing figure fig3" in run.stdout + run.stderr
    assert (study.contents(*folders), study.read("results/tiny/REPORT.md")) == before
    assert {Path(name).suffix for name in before[0]} == {
        ".pdf",
        ".png",
        ".csv",
        ".json",
        ".md",
        ".tex",
        ".html",
    }
