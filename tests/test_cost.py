"""The cost model: published speeds, what jobs that have run teach, what is counted once, and what is said."""

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from nctransfer.catalog.known_models import lookup_architecture
from nctransfer.catalog.model_facts import describe_model
from nctransfer.catalog.network_costs import network_costs
from nctransfer.config.load import load
from nctransfer.dag import cost, speeds
from nctransfer.dag.estimates import Need, Needs
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
CPU_LINE = {"device": "cpu", "device_name": "some CPU"}


def plan_of(*files: str) -> Plan:
    return Plan(load(ROOT / "config.yaml", [ROOT / file for file in files]), ROOT)


@pytest.fixture(scope="module")
def demo() -> Plan:
    return plan_of("config/demo.yaml")


@pytest.fixture(scope="module")
def figure3(demo) -> list[cost.Name]:
    return cost.targets(demo, ["fig3"])["figures/fig3"]


@pytest.mark.parametrize(
    ("gpu", "half", "published"), [("v100", False, 367), ("a100", False, 938), ("a100", True, 2470)]
)
def test_the_table_of_devices_gives_the_published_speed_of_training_resnet50(gpu, half, published):
    costs = network_costs(
        describe_model(lookup_architecture("torchvision/resnet50"), "torchvision", None, None, None, {})
    )
    seconds = speeds.TRAINING * speeds.GPUS[gpu].passes(costs, 25_600, 256, half)
    assert published / 1.25 < 25_600 / seconds < 1.25 * published


def test_rules_with_a_gpu_are_those_that_ask_for_one():
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    asking = re.findall(r"^rule (\w+):\n(?:(?!^rule ).*\n)*?        gpu=GPUS,", rules, flags=re.M)
    assert set(asking) == Needs.rules_on_gpu


# --- what has run --------------------------------------------------------------------------------


def line(plan: Plan, name: cost.Name, seconds: float, digest: str | None = None, **device):
    job = plan.jobs[name]
    return {"rule": name[0], "wildcards": dict(zip("abc", name[1:], strict=False)), "seconds": seconds,
            "digest": digest or job.stamp.digest, **(device or CPU_LINE)}  # fmt: skip


def test_jobs_that_have_run_correct_the_others_of_their_rule(demo, figure3):
    price = cost.Prices(demo, "none")
    names = {name[0]: name for name in figure3}
    before = price.seconds(figure3)
    for factor in (1, 3, 100):
        price.learn(names["features"], line(demo, names["features"], factor * before[names["features"]]))
    after = price.seconds(figure3)
    for rule, name in names.items():
        assert after[name] == pytest.approx((3 if rule == "features" else 1) * before[name])
    assert price.measured == 3


def test_jobs_of_another_device_teach_only_what_needs_no_gpu(demo, figure3):
    price, names = cost.Prices(demo, "h200"), {name[0]: name for name in figure3}
    price.learn(names["features"], line(demo, names["features"], 99))
    price.learn(names["figure"], line(demo, names["figure"], 99))
    assert price.measured == 1
    h200 = {"device": "cuda", "device_name": "NVIDIA H200"}
    price.learn(names["features"], line(demo, names["features"], 99, **h200))
    assert price.seconds(figure3)[names["features"]] == pytest.approx(99)


def test_a_training_that_went_on_after_a_stop_teaches_nothing(demo, figure3, monkeypatch, tmp_path):
    name = next(name for name in figure3 if name[0] == "pretrain")
    log = tmp_path / "pretrain.log"
    record = json.dumps(line(demo, name, 5.0) | {"study": demo.configuration.study, "start": "2026"})
    for part, taught in (("epoch 1", 1), ("continues after epoch 4, step 40", 0)):
        log.write_text(f"x INFO nctransfer: {part}\nx INFO nctransfer: run {record}\n")
        monkeypatch.setattr(demo, "logs", str(tmp_path))
        assert cost.prices(demo, None, cost.records(demo)).measured == taught


def test_only_jobs_as_they_are_planned_teach(demo, figure3, monkeypatch):
    name = next(name for name in figure3 if name[0] == "probes")
    lines = [line(demo, name, 5.0), line(demo, figure3[0], 5.0, digest="of older settings")]
    monkeypatch.setattr(cost, "read_lines", lambda logs, study: lines)
    assert cost.records(demo) == {name: lines[0]}
    assert cost.prices(demo, None, cost.records(demo)).gpu == "none"  # the device of what has run
    assert cost.prices(demo, None, {}).gpu == cost.USUAL_GPU
    assert cost.prices(demo, "v100", {}).gpu == "v100"


# --- what is counted -----------------------------------------------------------------------------


def test_a_download_is_counted_once(demo, monkeypatch):
    price = cost.Prices(demo, "a100")
    needs = {
        ("images", "a"): Need(1, 110, 1, 500, "torchvision/X"),
        ("images", "b"): Need(1, 110, 1, 500, "torchvision/X"),
        ("images", "c"): Need(1, 10, 1),
    }
    monkeypatch.setattr(cost.Prices, "need", lambda self, name: needs[name])
    assert price.downloads(needs) == 500
    assert list(price.seconds(needs).values()) == [110, 10, 10]
    price.learn(("images", "a"), {"seconds": 1.0, **CPU_LINE})  # its data were there before
    assert price.measured == 0


def test_targets_are_those_of_the_workflow(demo):
    (one,) = cost.targets(demo, ["figures/demo/fig3.pdf"]).values()
    assert cost.targets(demo, ["fig3", "figures/fig3"]) == {"figures/fig3": one}
    assert {name[0] for name in one} == {
        "images", "pretrain", "model", "features", "metrics", "probes", "figure",
    }  # fmt: skip
    assert set(cost.targets(demo, ["rank"])) == {
        "figures/rank-digits59", "figures/rank-digits59-units", "tables/rank-digits59",
    }  # fmt: skip
    assert set(one) < set(cost.targets(demo, ["scorecard"])["scorecard"])
    with pytest.raises(ConfigError, match=r"'figures/fig33' \(did you mean 'figures/fig3'"):
        cost.targets(demo, ["figures/fig33"])


def test_the_parts_of_a_cost_add_up(demo, figure3):
    price = cost.Prices(demo, "a100")
    parts = list(price.by_rule(figure3).values())
    together = price.together(figure3)
    assert together.jobs == len(figure3) == sum(part.jobs for part in parts)
    assert together.gpu == pytest.approx(sum(part.gpu for part in parts))
    assert cost.Prices(demo, "none").together(figure3).gpu == 0
    assert together.disk == pytest.approx(sum(price.need(name).disk for name in figure3))


def test_the_command_says_time_memory_disk_and_downloads(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    overlay = ["--configfile", str(ROOT / "config/demo.yaml")]
    assert cost.main(["--gpu", "h200", *overlay, "fig3", "table2"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^Cost with H200 .*not measured here", said)
    for row in ("target", "figures/fig3", "tables/table2", "rule", "features", "together"):
        assert re.search(rf"^  {row} +\S+", said, flags=re.M)
    assert re.search(r"largest job needs [\d.]+ GB of memory \(\w+ .*\); at most 0 MB are downloaded", said)
    assert "without a GPU" in said.splitlines()[-1]
    assert cost.main(["nothing", *overlay]) == 1
    assert "no target 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("hours", "said"), [(1234, "1,200 h"), (2, "2 h"), (0.5, "30 min"), (0.01, "36 s"), (0, "0 s")]
)
def test_times_are_in_a_fitting_unit(hours, said):
    assert cost.span(hours) == said


# --- while a run goes on -------------------------------------------------------------------------


def finished(number: int) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Finished", None, None)
    record.event, record.job_id = SimpleNamespace(name="JOB_FINISHED"), number
    return record


def test_a_run_says_what_is_left(demo, figure3, tmp_path, monkeypatch):
    price, said = cost.Prices(demo, "none"), []
    planned = {number: (name, tmp_path / f"{number}.log") for number, name in enumerate(figure3)}
    progress = cost.Progress(lambda: price, planned, said.append)
    first = 2 * price.need(figure3[0]).seconds
    monkeypatch.setattr(cost, "lines_of", lambda path: [line(demo, figure3[0], first)])
    (tmp_path / "0.log").touch()
    progress.emit(finished(0))
    assert said == []  # at most once a minute
    assert price.measured == 1
    progress._began, progress._said = progress._began - 2 * first, progress._said - 61
    progress.emit(finished(len(figure3) - 1))
    left = sum(price.seconds(figure3[1:-1]).values())
    (words,) = said
    # of two seconds that passed, a job used one
    assert words.startswith(f"{len(figure3) - 2} jobs are left, about {cost.span(2 * left / 3600)} at this")
