"""The documentation: links lead somewhere, quoted messages are the code's, the reference is the schema's."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from threadpoolctl import threadpool_limits

from nctransfer.config import reference, yaml_files
from nctransfer.config.configuration import Configuration
from nctransfer.config.load import load, parse_settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- links ---------------------------------------------------------------------------------


@cache
def anchors(page: Path) -> frozenset[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts)


def broken_links(page: Path, text: str) -> list[str]:
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        leads = (
            there.exists() and ROOT in (there, *there.parents) and (not anchor or anchor in anchors(there))
        )
        found += [] if leads else [target]
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    assert broken_links(page, page.read_text()) == []


def test_a_broken_link_is_found():
    text = "[a](nowhere.md) [b](README.md#nothing) [c](../README.md) [d](https://example.org) [e](outputs.md)"
    assert broken_links(ROOT / "docs" / "README.md", text) == ["nowhere.md", "README.md#nothing"]


def test_the_index_links_to_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page}" not in index} == set()


# --- the reference -------------------------------------------------------------------------


def test_the_reference_is_written_from_the_settings_and_has_a_row_for_every_key():
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert text == reference.page(), "write it again: make docs"
    schema = reference.schema(Configuration)
    assert schema["$defs"].keys() == reference.classes_below(Configuration).keys() - {"Configuration"}
    for name, node in {"": schema, **schema["$defs"]}.items():
        section = (text.partition(f"\n## {name}\n")[2] if name else text).partition("\n## ")[0]
        missing = [
            key
            for key, part in node["properties"].items()
            if not re.search(rf"^\| {key} \| .*{re.escape(part['description'][:40])}", section, re.MULTILINE)
        ]
        assert missing == [], name


# --- what is quoted ------------------------------------------------------------------------


@cache
def messages() -> str:
    """All literal text of the code: of messages with values in them, what stands between the values."""
    files = [ROOT / "Makefile", *(ROOT / "workflow").rglob("*.smk"), ROOT / "Snakefile"]
    texts = [path.read_text() for path in files]
    for path in (ROOT / "nctransfer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(" ".join(text.split(" ")) for text in texts)


def literal_parts(message: str) -> list[str]:
    """A quoted message without its values, which `...` or `<name>` stand for."""
    return [part for part in re.split(r"\.\.\.|<[a-z ]+>", message) if len(part.strip()) > 3]


def unknown_messages(text: str, theirs: tuple[str, ...] = ()) -> list[str]:
    """Messages quoted in the first column of tables that the code does not say."""
    quoted = [
        found
        for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for found in re.findall(r"`([^`]+)`", row)
    ]
    assert quoted
    return [
        message
        for message in quoted
        if message not in theirs and not all(part in messages() for part in literal_parts(message))
    ]


# Said by Snakemake, Python or the system, not by this project.
OTHERS = (
    "Directory cannot be locked",
    "died with <Signals.SIGKILL: 9>",
    "slurmstepd: error: Detected 1 oom_kill event",
    "ValueError: dictionary update sequence element #1 has length 1; 2 is required",
    "Invalid partition name specified",
    "MissingRuleException",
    "marked for report but does not exist",
    "Missing metadata for file ...",
)


def test_quoted_messages_are_the_codes():
    assert unknown_messages((ROOT / "docs" / "troubleshooting.md").read_text(), OTHERS) == []


def test_a_message_that_the_code_does_not_say_is_found():
    text = "| `the disk is full` | room |\n| `the disk is empty` | ? |\n| `no file ... of <a name>, it says` | ? |"
    assert unknown_messages(text) == ["the disk is empty", "no file ... of <a name>, it says"]


# --- examples ------------------------------------------------------------------------------


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


# those of extending.md name what it adds (test_extending)
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "extending.md"], ids=named)
def test_overlays_in_the_pages_are_valid(page, tmp_path):
    for index, block in enumerate(blocks(page, "yaml")):
        written = yaml_files.parse(block, f"{page.name}, block {index}")
        overlay = tmp_path / f"{index}.yaml"
        overlay.write_text(yaml.safe_dump({"study": "x", **written}))
        load(ROOT / "config.yaml", [overlay])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_in_the_pages_can_be_parsed(page):
    for block in blocks(page, "python"):
        ast.parse(block)


def test_commands_in_the_pages_name_real_options_and_targets():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for command in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert re.search(rf"^{''.join(command)}:", makefile, re.MULTILINE), (page.name, command)


def test_numbers_of_the_page_on_nc1_are_the_packages():
    page = ROOT / "docs" / "nc1.md"
    defined: dict = {}
    exec(blocks(page, "python")[0], defined)
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.e+]+) \| ([\d.e+]+) \|$", page.read_text(), re.M
    )
    assert len(rows) == 14
    for *sizes, spread, value, shuffled in rows:
        with threadpool_limits(1):  # threads that wait for each other on a busy machine
            found = defined["toy"](*map(int, sizes), float(spread))
        assert found == pytest.approx((float(value), float(shuffled)), rel=2e-3), (*sizes, spread)


# --- the workflow catalogue ----------------------------------------------------------------


def test_the_catalogue_file_has_the_keys_that_the_catalogue_reads():
    entry = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert set(entry) == {"usage"}
    assert set(entry["usage"]) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(entry["usage"]["mandatory-flags"]) == {"desc", "flags"}
    deployment = entry["usage"]["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    assert all(isinstance(value, bool) for value in (*deployment.values(), entry["usage"]["report"]))
    assert (ROOT / "config" / "README.md").is_file()


def test_single_settings_of_the_pages_are_settings():
    for page in PAGES:
        for setting in re.findall(r"--config ([a-z_]+=\S+)", page.read_text()):
            assert parse_settings([setting.rstrip("`;,.")])
