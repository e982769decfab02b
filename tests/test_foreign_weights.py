"""Weights in files that others wrote: what they are wrapped in, what is chosen, what is refused."""

import argparse
import errno
import json
import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from networks import stored
from safetensors.torch import save_file
from timm.models.vision_transformer import checkpoint_filter_fn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture
from nctransfer.models.checkpoint import load_strictly
from nctransfer.models.foreign_weights import read_file
from nctransfer.runtime.machine_errors import explain

SETTINGS = {
    "source": "local",
    "architecture": "small/resnet18",
    "options": {"width": 4},
    "unit_layout": "resnet",
    "size": [16, 16],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}
COUNT = 122  # tensors of the network


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random weights that are no initialisation."""
    generator = torch.Generator().manual_seed(0)
    state = Architecture.parse("small/resnet18", {"width": 4}).build().state_dict()
    return {
        key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for key, value in state.items()
    }


def loaded(folder: Path, path: Path, **settings) -> dict[str, torch.Tensor]:
    """The weights that the model job takes from a file."""
    return stored(folder / "model", SETTINGS | {"weights": str(path)} | settings).network.state_dict()


def same(found: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> bool:
    return all(
        torch.equal(value, weights[key].float()) for key, value in found.items() if "num_batches" not in key
    )


def under(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def spoilt(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: torch.zeros_like(value) for key, value in state.items()}


WRAPPED = {
    "plain": lambda w: w,
    "state_dict": lambda w: {"epoch": 3, "state_dict": under("module.", w)},
    "compiled": lambda w: under("_orig_mod.", w),
    "parallel and compiled": lambda w: under("module._orig_mod.", w),
    "compiled and parallel": lambda w: under("_orig_mod.module.", w),
    "net": lambda w: {"net": w, "accuracy": 92.3},
    "nested": lambda w: {"checkpoint": {"model": {"weights": under("module.", w)}}, "epoch": 1},
    "Lightning": lambda w: {
        "state_dict": under("model.", w) | {"criterion.weight": torch.ones(3)},
        "hyper_parameters": argparse.Namespace(lr=0.1, name="run", where=Path("here")),
        "loops": {"fit": {"epoch": 3}}, "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4)}}}],
    },
    "metadata of numpy": lambda w: {"model": w, "best": np.float64(92.3), "history": np.arange(3)},
    "SWA": lambda w: under("module.", w) | {"n_averaged": torch.tensor(5)},
    "MoCo": lambda w: {
        "state_dict": under("module.encoder_k.", spoilt(w)) | under("module.encoder_q.", w)
        | {"module.queue": torch.zeros(8, 16)},
    },
    "DINO": lambda w: {"student": under("module.backbone.", spoilt(w)), "teacher": under("backbone.", w)},
    "timm's EMA": lambda w: {"state_dict": spoilt(w), "state_dict_ema": w},
    "an EMA by another name": lambda w: {"ema": under("module.", w), "model": spoilt(w)},
    "an EMA in the module": lambda w: {"state_dict": under("net.", spoilt(w)) | under("net_ema.", w)},
    "twice the same": lambda w: {"model": w, "state_dict": under("module.", w)},
}  # fmt: skip


@pytest.mark.parametrize("case", WRAPPED)
def test_what_the_field_wraps_around_weights_is_taken_off(weights, tmp_path, case, caplog):
    caplog.set_level(logging.INFO)
    torch.save(WRAPPED[case](weights), tmp_path / "weights.pth")
    assert same(loaded(tmp_path, tmp_path / "weights.pth"), weights)
    count = sum("num_batches" not in key and not key.startswith("fc.") for key in weights)
    assert f"{count} of {count} tensors match" in caplog.text
    if "EMA" in case:
        assert "rather than `" in caplog.text  # what was passed over is said


FORMS = {
    "safetensors": lambda w, folder: save_file(w, folder / "weights.safetensors"),
    "safetensors named .pt": lambda w, folder: save_file(w, folder / "weights.pt"),
    "no suffix": lambda w, folder: save_file(w, folder / "weights"),
    "an upper-case suffix": lambda w, folder: torch.save(w, folder / "weights.PTH"),
    "torch named .safetensors": lambda w, folder: torch.save(w, folder / "weights.safetensors"),
    "torch before 1.6": lambda w, folder: torch.save(
        w, folder / "weights.tar", _use_new_zipfile_serialization=False
    ),
    "half precision": lambda w, folder: save_file(
        {key: value.half() if value.is_floating_point() else value for key, value in w.items()},
        folder / "half",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_files_are_recognised_by_what_they_hold(weights, tmp_path, form):
    FORMS[form](weights, tmp_path)
    (path,) = tmp_path.iterdir()
    found = loaded(tmp_path, path)
    expected = {key: value.half() for key, value in weights.items()} if form == "half precision" else weights
    assert same(found, expected)


def test_shards_are_put_together(weights, tmp_path):
    names = list(weights)
    for number, part in enumerate((names[:50], names[50:])):
        save_file({key: weights[key] for key in part}, tmp_path / f"{number}.safetensors")
    places = {key: f"{int(position >= 50)}.safetensors" for position, key in enumerate(names)}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert same(loaded(tmp_path, index), weights)
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "../secret.pt")}))
    with pytest.raises(ModelError, match=r"index.json: .*'../secret.pt' is not beside it"):
        loaded(tmp_path, index)
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, index.name)}))  # itself
    with pytest.raises(ModelError, match=r"index.json: (damaged|refused)"):
        loaded(tmp_path, index)
    index.write_text(json.dumps({"weight_map": places | {"conv1.weight": "1.safetensors"}}))
    with pytest.raises(ModelError, match=r"its shard '1.safetensors' has no conv1.weight"):
        loaded(tmp_path, index)
    index.write_text(json.dumps({"metadata": {}}))
    with pytest.raises(ModelError, match="without a `weight_map`"):
        loaded(tmp_path, index)


def test_two_answers_are_refused_until_one_is_chosen(weights, tmp_path):
    path = tmp_path / "two.pth"
    torch.save({"generator": spoilt(weights), "classifier": under("module.", weights)}, path)
    with pytest.raises(
        ModelError, match=r"two.pth: `generator` and `classifier` .*equally well.*`weights_key`"
    ):
        loaded(tmp_path, path)
    assert same(loaded(tmp_path, path, weights_key="classifier"), weights)
    with pytest.raises(
        ModelError, match=r"no tensors under `weights_key` 'ema'; there are: 'generator', 'classifier'"
    ):
        loaded(tmp_path, path, weights_key="ema")
    torch.save({"state_dict": under("a.", spoilt(weights)) | under("b.", weights)}, path)
    with pytest.raises(ModelError, match="`weights_prefix`"):
        loaded(tmp_path, path)
    assert same(loaded(tmp_path, path, weights_prefix="b."), weights)
    with pytest.raises(ModelError, match=r"none begins with `weights_prefix` 'c\.'"):
        loaded(tmp_path, path, weights_prefix="c.")


def test_a_choice_overrides_what_would_be_taken(weights, tmp_path):
    path = tmp_path / "ema.pth"
    torch.save({"state_dict": weights, "state_dict_ema": spoilt(weights)}, path)
    assert not same(loaded(tmp_path, path), weights)
    assert same(loaded(tmp_path, path, weights_key="state_dict"), weights)


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn, torch.int32, torch.complex64]
)
def test_numbers_without_meaning_are_refused_by_their_type(weights, tmp_path, dtype):
    path = tmp_path / "quantised.safetensors"
    save_file(
        {key: (20 * value).to(dtype) if value.ndim > 1 else value for key, value in weights.items()}, path
    )
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ModelError, match=rf"conv1.weight \({name}\).*save the weights as float32"):
        loaded(tmp_path, path)


def test_a_refusal_says_what_is_there(weights, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"epoch": 3, "G": under("generator.", {"conv9.weight": torch.zeros(2)})}, path)
    with pytest.raises(
        ModelError, match=r"no tensor matches.*top-level keys: epoch, G; .*prefix is 'generator.'"
    ):
        loaded(tmp_path, path)
    few = {key: weights[key] for key in list(weights)[:7]}
    torch.save({"state_dict": under("module.", few)}, path)
    with pytest.raises(ModelError, match=rf"7 of {COUNT} tensors match"):
        loaded(tmp_path, path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="it holds a list"):
        loaded(tmp_path, path)
    for take in (loaded, lambda _, there: read_file(there)):
        with pytest.raises(ModelError, match="no such weights file"):
            take(tmp_path, tmp_path / "none.pth")


def test_objects_are_refused_and_not_run(weights, tmp_path):
    ran = tmp_path / "ran"

    class Touch:
        def __reduce__(self) -> tuple:
            return (open, (str(ran), "w"))

    torch.save({"state_dict": weights, "extra": Touch()}, tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Touch(), protocol=2))
    for name in ("evil.pt", "evil.pkl"):
        with pytest.raises(ModelError, match=rf"{name}: refused.*open.*could run any code"):
            loaded(tmp_path, tmp_path / name)
    assert not ran.exists()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 2, 7, 50, 0.5, 1 - 1e-6])
def test_a_file_that_was_cut_off_is_named_as_damaged(weights, tmp_path, form, kept):
    path = tmp_path / "w.pt"
    if form == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(ModelError, match=r"w\.pt: damaged or not a weights file"):
        read_file(path)


@pytest.mark.parametrize(
    "contents", [b"<!doctype html><html>404</html>", b"version https://git-lfs", bytes(4096)]
)
def test_a_file_of_another_kind_is_not_said_to_run_code(tmp_path, contents):
    (tmp_path / "w.pt").write_bytes(contents)
    with pytest.raises(ModelError, match="damaged or not a weights file"):
        read_file(tmp_path / "w.pt")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES, None])
def test_what_the_machine_refuses_is_not_the_files_fault(weights, tmp_path, monkeypatch, number):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number), str(path)) if number else OSError("unexpected end of data")

    path = tmp_path / "w.pt"
    torch.save(weights, path)
    monkeypatch.setattr(torch, "load", refuse)
    if number is None:  # an error of the reader is the file's
        with pytest.raises(ModelError, match="damaged or not a weights file"):
            read_file(path)
        return
    with pytest.raises(OSError, match=r"w\.pt") as caught:
        read_file(path)
    said = "too many files are open" if number == errno.EMFILE else os.strerror(number)
    assert said in explain(caught.value, "there")


def test_integers_that_count_batches_may_be_missing(weights, tmp_path):
    network = Architecture.parse("small/resnet18", {"width": 4}).build()
    load_strictly(network, {key: value for key, value in weights.items() if "num_batches" not in key}, "here")


VIT = {"architecture": "timm/vit_tiny_patch16_224", "unit_layout": "vit"}


@pytest.mark.parametrize(
    "more", [{}, {"head": False}, {"classes": 5}], ids=["whole", "no head", "other classes"]
)
def test_weights_of_another_image_size_are_fitted_as_timm_does_its_own(tmp_path, more):
    small = {"depth": 2, "embed_dim": 48, "num_heads": 3}
    classes = more.get("classes", 1000)
    file = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=classes, **small).state_dict()
    file = {name: torch.rand_like(value) for name, value in file.items()}
    if more.get("head") is False:
        file = {name: value for name, value in file.items() if not name.startswith("head.")}
    save_file(file, tmp_path / "weights.safetensors")
    for side in (32, 64):
        found = loaded(
            tmp_path / f"{side}", tmp_path / "weights.safetensors", **VIT, size=[side, side],
            options={**small, "img_size": side}, head=more.get("head", True),
        )  # fmt: skip
        network = timm.create_model("vit_tiny_patch16_224", img_size=side, num_classes=classes, **small)
        wanted = checkpoint_filter_fn(dict(file), network)  # what create_model(pretrained=True) calls
        assert found["pos_embed"].shape == (1, 1 + (side // 16) ** 2, 48)
        assert all(torch.equal(found[name], wanted[name]) for name in file)


def test_weights_that_timm_does_not_fit_are_refused_with_the_remedy(tmp_path):
    """CaiT's module interpolates no positions."""
    small = {"depth": 2, "embed_dim": 48, "num_heads": 4, "depth_token_only": 1}
    state = timm.create_model("cait_xxs24_224", img_size=64, **small).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"does not fit the weights to the options .* leave `options`"):
        loaded(
            tmp_path, tmp_path / "weights.safetensors", architecture="timm/cait_xxs24_224", unit_layout="stages",
            options={**small, "img_size": 32}, size=[32, 32],
        )  # fmt: skip
