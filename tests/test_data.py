"""Data sources, subsets, geometry and image stores: what comes in, and what must not."""

import io
import logging
import os
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from nctransfer import variants
from nctransfer.data import sources, subset
from nctransfer.data.class_names import class_indices
from nctransfer.data.dataset import DataSet, data_set
from nctransfer.data.decode import DeepImageError, eight_bits, read_file, read_picture
from nctransfer.data.images import ImageStore, prepare_images
from nctransfer.data.resize import _resize_in_float, apply_geometry
from nctransfer.data.settings import DataSetSettings, Geometry, ImagesJobSettings
from nctransfer.data.sources.torchvision.dataset import SETS
from nctransfer.errors import ConfigError, DataError, StoreError
from nctransfer.stamp import UNSTAMPED

SQUARE = Geometry(resize=(8, 8))
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # two workers: order must not depend on who is first
    yield
    torch.set_num_threads(before)


def encoded(value: Any, size: tuple[int, int] = (9, 7), kind: str = "PNG") -> bytes:
    """A picture of one grey level (or colour), so that it can be told from others."""
    image = Image.new("RGB", size, value if isinstance(value, tuple) else (value,) * 3)
    return saved(image, kind, **({"lossless": True} if kind == "WEBP" else {}))


def fill(root: Path, classes: dict[str, list[int]]) -> Path:
    """A folder of classes with one picture a grey level."""
    for name, values in classes.items():
        (root / name).mkdir(parents=True)
        for value in values:
            (root / name / f"{value:03d}.png").write_bytes(encoded(value))
    return root


def decode(data: bytes, white_level: float | None = None, max_megapixels: int = 50) -> np.ndarray:
    return eight_bits(read_picture(data, max_megapixels).pixels, white_level)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path / "set" / "train", {"cat": [0, 1, 2, 3], "dog": [10, 11, 12]})
    fill(tmp_path / "set" / "test", {"cat": [20], "dog": [30, 31]})
    return tmp_path / "set"


def make(tmp_path: Path, source: str, options: dict[str, Any], **settings: Any) -> dict[str, ImageStore]:
    manifests = {split: tmp_path / "images" / split / "manifest.json" for split in ("train", "test")}
    told = {"source": source, "options": options, "geometry": SQUARE, "seed": 0} | settings
    prepare_images(manifests, ImagesJobSettings.read(told), UNSTAMPED, tmp_path / "downloads")
    return {split: ImageStore(manifest) for split, manifest in manifests.items()}


def fails(tmp_path: Path, source: str, options: dict[str, Any], **settings: Any) -> str:
    """Message of a failure that must leave no store of the training split."""
    with pytest.raises(DataError) as failure:
        make(tmp_path, source, options, **settings)
    assert not (tmp_path / "images" / "train").exists()
    assert not list((tmp_path / "images").glob(".*")) if (tmp_path / "images").exists() else True
    return str(failure.value)


def levels(store: ImageStore) -> list[int]:
    return store.images[:, 0, 0, 0].tolist()


# --- geometry ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(32, 32), (37, 53), (90, 41), (8, 8)])
def test_geometry_is_torchvisions_on_uint8_tensors(shape: tuple[int, int], mode: str) -> None:
    from torchvision.transforms import InterpolationMode, v2

    images = torch.randint(0, 256, (3, 3, *shape), dtype=torch.uint8, generator=torch.manual_seed(0))
    for resize, crop in [([24, 40], None), (30, None), (30, 24), (20, 33), (None, 21), (None, 64), (35, 35)]:
        steps = [v2.Identity()]
        if resize is not None:
            steps.append(v2.Resize(resize, interpolation=InterpolationMode(mode), antialias=True))
        if crop is not None:
            steps.append(v2.CenterCrop(crop))
        expected = v2.Compose(steps)(images)
        geometry = Geometry(resize=resize, crop=crop, interpolation=mode)
        assert torch.equal(apply_geometry(images, geometry), expected), geometry
        # the same alone, and in the memory format that image stores give
        channels_last = images.contiguous(memory_format=torch.channels_last)
        assert torch.equal(apply_geometry(channels_last, geometry), expected), geometry
        assert torch.equal(apply_geometry(images[1:2], geometry), expected[1:2]), geometry


@pytest.mark.parametrize(("mode", "most"), [("bilinear", 1), ("bicubic", 2)])
def test_geometry_agrees_with_pil_on_photographs(shared_data: Path, mode: str, most: int) -> None:
    with zipfile.ZipFile(shared_data / "dtd10_160.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::60]
        pictures = [decode(archive.read(name)) for name in names]
    pil = Image.Resampling[mode.upper()]
    for picture in pictures:
        image = torch.from_numpy(picture).permute(2, 0, 1)[None]
        ours = apply_geometry(image, Geometry(resize=(224, 200), interpolation=mode))
        # Columns first: new PILs choose the order by its cost, and at sharp edges that shows.
        wide = Image.fromarray(picture).resize((200, len(picture)), pil)
        theirs = torch.from_numpy(np.array(wide.resize((200, 224), pil))).permute(2, 0, 1)
        difference = (ours[0].int() - theirs.int()).abs()
        assert difference.max() <= most
        assert (difference > 0).float().mean() < 0.05


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
@pytest.mark.parametrize(("mode", "most"), [("bilinear", 1), ("bicubic", 2)])
def test_geometry_in_float_as_on_gpus_is_within_grey_levels(mode: str, most: int, device: str) -> None:
    noise = torch.randint(0, 256, (2, 3, 41, 57), dtype=torch.uint8, generator=torch.manual_seed(1))
    edges = (noise > 127).to(torch.uint8) * 255
    for images in (noise, edges):
        for size in [(96, 96), (17, 90), (20, 20)]:
            geometry = Geometry(resize=size, interpolation=mode)
            there = images.to(device)
            found = (
                _resize_in_float(images, size, mode) if device == "cpu" else apply_geometry(there, geometry)
            )
            assert found.device.type == device
            assert (found.cpu().int() - apply_geometry(images, geometry).int()).abs().max() <= most


@pytest.mark.parametrize(
    "geometry",
    [
        *({"resize": side} for side in ([3], [3, 0], 0, "big")),
        {"resise": 3}, {"resize": 8, "crop": "x"}, {"resize": 8, "interpolation": "bicubik"},
        {"resize": 8, "rounding": "never"},
    ],
)  # fmt: skip
def test_geometry_refuses(geometry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=list(geometry)[-1]):
        Geometry.read(geometry)


def test_a_geometry_is_read_as_it_was_told() -> None:
    for geometry in (
        SQUARE,
        Geometry(),
        Geometry(resize=9, crop=8, interpolation="bicubic", rounding="once"),
    ):
        assert Geometry.read(geometry.told()) == geometry
    assert SQUARE.told() == {"resize": [8, 8]}


# --- decoding ---------------------------------------------------------------------------


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_every_kind_of_picture_becomes_rgb() -> None:
    red = Image.new("RGB", (5, 4), (250, 10, 20))
    assert decode(saved(red, "PNG"))[0, 0].tolist() == [250, 10, 20]
    assert decode(saved(red, "PNG")).shape == (4, 5, 3)
    assert decode(saved(red.convert("RGBA"), "PNG"))[0, 0].tolist() == [250, 10, 20]
    assert decode(saved(red.convert("P"), "GIF"))[0, 0].tolist() == pytest.approx([250, 10, 20], abs=30)
    assert (
        decode(saved(red.convert("L"), "PNG"))[0, 0].tolist()
        == [decode(saved(red.convert("L"), "PNG"))[0, 0, 0]] * 3
    )
    assert decode(saved(red.convert("1"), "PNG")).max() in (0, 255)
    assert decode(saved(red.convert("CMYK"), "TIFF"))[0, 0].tolist() == pytest.approx([250, 10, 20], abs=3)
    transparent = red.convert("P")
    assert decode(saved(transparent, "PNG", transparency=b"\x00" * 20))[0, 0].tolist() == pytest.approx(
        [250, 10, 20], abs=30
    )
    turned = Image.new("RGB", (5, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(saved(turned, "JPEG", exif=exif)).shape == (4, 5, 3)  # as the field: EXIF not applied


def test_unreadable_pictures_say_why() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole, photograph = (saved(Image.fromarray(noise), kind) for kind in ("PNG", "JPEG"))
    for data, reason in [
        (b"", "empty"),
        (b"hello", "not an image"),
        (whole[: len(whole) // 2], "corrupt or truncated"),
        (photograph[: len(photograph) // 2], "corrupt or truncated"),
        (whole[:60] + b"\xff" * 40 + whole[100:], "corrupt or truncated"),
        (saved(Image.fromarray(np.full((3, 3), np.nan, np.float32)), "TIFF"), "no finite numbers"),
        (saved(Image.fromarray(np.full((3, 3), -1, np.int32)), "TIFF"), "negative pixels"),
        # formats whose readers start programs, or that no suffix of an image stands for
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
            "not an image in a supported format",
        ),
        (saved(Image.fromarray(noise), "PDF"), "not an image in a supported format"),
        (saved(Image.fromarray(noise), "ICO"), "not an image in a supported format"),
    ]:
        with pytest.raises(ValueError, match=reason):
            decode(data)
    vast = saved(Image.new("1", (1500, 1000)), "PNG")
    assert decode(vast, max_megapixels=2).shape == (1000, 1500, 3)
    with pytest.raises(ValueError, match="1500 x 1000 px, more than max_megapixels: 1"):
        decode(vast, max_megapixels=1)


@pytest.mark.parametrize(
    ("dtype", "form", "white", "level"),
    [
        (np.uint16, "PNG", 65535, 40 * 257),
        (np.uint16, "PNG", 4095, 642),
        (np.uint16, "TIFF", 1023, 160),
        (np.int32, "TIFF", 2**20 - 1, 164_482),
        (np.float32, "TIFF", 1, 0.157),
    ],
)
def test_more_than_eight_bits_are_scaled_by_the_white_level(
    dtype, form: str, white: float, level: float
) -> None:
    data = saved(Image.fromarray(np.array([[0, level, white]], dtype)), form)
    assert decode(data, white)[0].tolist() == [[0] * 3, [40] * 3, [255] * 3]
    with pytest.raises(DeepImageError):
        decode(data)
    with pytest.raises(ValueError, match="above the white level"):
        decode(data, white * 0.9)


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a regular file"):
            read_file(path)
    with (tmp_path / "vast.png").open("wb") as file:
        file.truncate(3 * 28_000_000)  # sparse
    with pytest.raises(ValueError, match="84 MB are too many for max_megapixels: 2"):
        read_file(tmp_path / "vast.png", 2)
    assert len(read_file(tmp_path / "vast.png", 3)) == 84_000_000


# --- stores -----------------------------------------------------------------------------


def spoil(folder: Path) -> list[str]:
    """Put what is no image into a folder of classes; returns what must be said of each."""
    place = folder / "train" / "cat"
    os.mkfifo(place / "pipe.jpg")
    (place / "loop.jpg").symlink_to("loop.jpg")
    (place / "gone.png").symlink_to("nowhere.png")
    (place / "notes.txt").write_text("notes")
    (place / "script.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    (place / "cut.png").write_bytes(encoded(5)[:50])
    (place / "empty.png").touch()
    (place / "above").symlink_to(place)
    (folder / "train" / "ring").symlink_to("ring")
    (folder / "train" / "stray.png").write_bytes(encoded(1))
    (folder / "test" / "dog" / "page.jpg").write_text("<html>404</html>")
    return [
        "cat/pipe.jpg: not a regular file", "cat/loop.jpg: Too many levels", "cat/gone.png: No such file",
        "cat/notes.txt: not the name of an image", "cat/script.jpg: not an image in a supported format",
        "cat/cut.png: corrupt or truncated", "cat/empty.png: empty file", "cat/above: a link to one of its parent folders",
        "train/ring: Too many levels", "train/stray.png: an image outside the class folders has no class",
        "test/dog/page.jpg: not an image",
    ]  # fmt: skip


def test_all_that_is_no_image_is_named_in_one_list(tmp_path: Path, folder: Path) -> None:
    said = spoil(folder)
    message = fails(tmp_path, "imagefolder", {"path": str(folder)})
    assert message.startswith(f"{len(said)} files cannot be used as images")
    assert [part for part in said if part not in message] == []
    assert not (tmp_path / "images" / "test").exists()


def test_what_is_no_image_can_be_skipped(tmp_path: Path, folder: Path, caplog: Any) -> None:
    said = spoil(folder)
    with caplog.at_level(logging.WARNING, "nctransfer"):
        stores = make(tmp_path, "imagefolder", {"path": str(folder), "on_error": "skip"}, per_class=3)
    assert stores["train"].manifest["counts"] == [3, 3]  # drawn from those that can be used
    assert set(levels(stores["train"])) <= {0, 1, 2, 3, 10, 11, 12}
    skipped = "\n".join(name for store in stores.values() for name in store.manifest["skipped"])
    assert [part for part in said if part.partition(":")[0] not in skipped or part not in caplog.text] == []
    assert len(stores["test"].manifest["skipped"]) == 1


def test_classes_of_no_or_a_single_image_are_warned_of(tmp_path: Path, folder: Path, caplog: Any) -> None:
    for path in (folder / "test" / "cat").iterdir():
        path.write_bytes(b"no image")
    options = {"path": str(folder), "on_error": "skip"}
    stores = make(tmp_path, "imagefolder", options, per_class=1)
    assert stores["test"].manifest["counts"] == [0, 2]
    assert "test: no image of the classes cat" in caplog.text
    assert "train: a single image of the classes cat, dog" in caplog.text
    caplog.clear()
    make(tmp_path, "imagefolder", options, per_class=2)
    assert "a single image" not in caplog.text


def deep_folder(root: Path, values: list[list[int]], dtype: type = np.uint16, form: str = "png") -> Path:
    """Two classes of grey pictures, the same in both splits; the first split has all but the last value."""
    for split, cut in (("train", -1), ("test", None)):
        for name, own in zip("ab", values, strict=True):
            (root / split / name).mkdir(parents=True)
            for number, value in enumerate(own[:cut]):
                image = Image.fromarray(np.full((8, 8), value, dtype))
                image.save(root / split / name / f"{number}.{form}")
    return root


@pytest.mark.parametrize(
    ("dtype", "form", "white"),
    [(np.uint16, "png", 4095), (np.uint16, "tif", 1023), (np.uint16, "png", 255), (np.int32, "tif", 2**24 - 1),
     (np.float32, "tif", 1), (np.float32, "tif", 65535)],
)  # fmt: skip
def test_white_is_that_of_all_images_of_both_splits(
    tmp_path: Path, dtype: type, form: str, white: int
) -> None:
    """The same pictures with more bits are the same images, although no training image is the brightest."""
    shares = [[0.2, 0.4, 0.3], [0.1, 0.5, 0.98]]
    values = [[dtype(share * white) for share in own] for own in shares]
    root = deep_folder(tmp_path / "deep", values, dtype, form)
    stores = make(tmp_path, "imagefolder", {"path": str(root)})
    assert stores["train"].manifest["white_level"] == white
    expected = [int(255 * float(value) / white + 0.5) for own in values for value in own[:-1]]
    assert levels(stores["train"]) == expected
    # a subset has the same scale, and the option wins
    few = make(tmp_path, "imagefolder", {"path": str(root)}, per_class=1, test_per_class=1)
    assert few["test"].manifest["white_level"] == white
    assert set(levels(few["train"])) <= set(expected)
    brighter = make(tmp_path, "imagefolder", {"path": str(root), "white_level": 2 * white})
    assert levels(brighter["train"]) == pytest.approx([level / 2 for level in expected], abs=1)


PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def png16(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, shape (H, W, channels), which PIL cannot write."""
    height, width, channels = pixels.shape

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", PNG_COLOUR_TYPES)
@pytest.mark.parametrize("bits", [12, 16])
def test_colours_of_more_than_8_bits_keep_their_values(tmp_path: Path, channels: int, bits: int) -> None:
    white = 2**bits - 1
    pixels = np.random.default_rng(0).integers(0, white, (5, 8, 8, channels), endpoint=True)
    pixels[0, 0, 0] = white
    for split in ("train", "test"):
        for index, picture in enumerate(pixels):
            path = tmp_path / "deep" / split / "ab"[index % 2] / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png16(picture))
    stores = make(tmp_path, "imagefolder", {"path": str(tmp_path / "deep")})
    expected = np.floor(pixels * (255 / white) + 0.5)
    shown = expected[..., :3] if channels > 2 else np.repeat(expected[..., :1], 3, axis=3)
    assert np.array_equal(stores["train"].images, shown[[0, 2, 4, 1, 3]])
    assert stores["train"].manifest["white_level"] == white


def test_colours_of_16_bits_in_a_tiff_are_refused_by_name() -> None:
    fields = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 130), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 136),
              (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 12)]  # fmt: skip
    head = (
        b"II*\0"
        + struct.pack("<IH", 8, len(fields))
        + b"".join(struct.pack("<HHII", *entry) for entry in fields)
    )
    data = head.ljust(130, b"\0") + struct.pack("<HHH", 16, 16, 16) + bytes(range(12))
    with pytest.raises(ValueError, match="colours of 16 bits in TIFF cannot be read; convert it to PNG"):
        read_picture(data)


def test_a_set_that_uses_little_of_its_range_is_named(tmp_path: Path, caplog: Any) -> None:
    root = deep_folder(tmp_path / "dark", [[900, 400, 10], [100, 200, 10]])
    make(tmp_path, "imagefolder", {"path": str(root), "white_level": 65535})
    assert "train: no pixel is above 4 of 255; is white_level right?" in caplog.text
    caplog.clear()
    make(tmp_path, "imagefolder", {"path": str(root)})
    assert not caplog.text


def test_a_deep_image_among_others_and_animations_are_said(tmp_path: Path, folder: Path, caplog: Any) -> None:
    Image.fromarray(np.full((8, 8), 2000, np.uint16)).save(folder / "train" / "cat" / "002.png")
    frames = [Image.new("L", (8, 8), level) for level in (50, 100)]
    frames[0].save(folder / "train" / "dog" / "012.gif", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.INFO, "nctransfer"):
        stores = make(tmp_path, "imagefolder", {"path": str(folder)})
    assert levels(stores["train"]) == [0, 1, 249, 3, 10, 11, 50, 12]
    assert "white is 2047" in caplog.text
    assert "train: 1 images are animated; their first frame is used" in caplog.text


def test_folder_becomes_stores_in_sorted_order(tmp_path: Path, folder: Path) -> None:
    stores = make(tmp_path, "imagefolder", {"path": str(folder)})
    train = stores["train"]
    assert train.class_names == ("cat", "dog")
    assert levels(train) == [0, 1, 2, 3, 10, 11, 12]
    assert train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert train.labels.dtype == np.int64
    assert train.images.dtype == np.uint8
    assert train.images.shape == (7, 8, 8, 3)
    assert (len(train), train.resolution) == (7, (8, 8))
    assert train.manifest["counts"] == [4, 3]
    assert levels(stores["test"]) == [20, 30, 31]
    assert [len(batch) for batch in train.batches(3)] == [3, 3, 1]
    assert np.array_equal(np.concatenate(list(train.batches(3))), train.images)
    assert np.array_equal(train.read(2, 5), train.images[2:5])
    assert train.read(7, 7).shape == (0, 8, 8, 3)
    assert np.array_equal(train.read(5, 99), train.images[5:])


def test_same_pictures_same_bytes_other_pictures_other_fingerprint(tmp_path: Path, folder: Path) -> None:
    first = make(tmp_path / "a", "imagefolder", {"path": str(folder)})["train"]
    torch.set_num_threads(1)
    second = make(tmp_path / "b", "imagefolder", {"path": str(folder)})["train"]
    assert first.manifest == second.manifest
    small = make(tmp_path / "c", "imagefolder", {"path": str(folder)}, geometry=Geometry(resize=4, crop=4))[
        "train"
    ]
    assert small.manifest["checksum"] == first.manifest["checksum"]  # of the originals
    assert small.fingerprint != first.fingerprint
    (folder / "train" / "cat" / "000.png").write_bytes(encoded(99))
    third = make(tmp_path / "d", "imagefolder", {"path": str(folder)})["train"]
    assert third.fingerprint != first.fingerprint
    assert third.manifest["checksum"] != first.manifest["checksum"]
    path = tmp_path / "d" / "images" / "train" / "arrays" / "images.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match=r"images\.npy"):
        next(ImageStore(tmp_path / "d" / "images" / "train" / "manifest.json").batches(2))


def test_real_photographs(tmp_path: Path, shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "dtd10_160.zip") as archive:
        archive.extractall(tmp_path)
    geometry = Geometry(resize=64, crop=64)
    stores = make(tmp_path, "imagefolder", {"path": str(tmp_path / "dtd10")}, geometry=geometry)
    assert stores["train"].images.shape == (800, 64, 64, 3)
    assert stores["train"].manifest["counts"] == [80] * 10
    assert stores["test"].manifest["counts"] == [40] * 10
    assert stores["train"].class_names[:2] == ("banded", "blotchy")
    path = sorted((tmp_path / "dtd10" / "train" / "banded").iterdir())[3]
    image = torch.from_numpy(decode(path.read_bytes())).permute(2, 0, 1)[None]
    expected = apply_geometry(image, geometry)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(stores["train"].images[3], expected)


def test_stored_size_is_kept_without_geometry(tmp_path: Path, folder: Path) -> None:
    store = make(tmp_path, "imagefolder", {"path": str(folder)}, geometry=None)["train"]
    assert store.resolution == (7, 9)
    (folder / "train" / "dog" / "big.png").write_bytes(encoded(5, (20, 20)))
    message = fails(tmp_path / "x", "imagefolder", {"path": str(folder)}, geometry=None)
    assert "big.png: 20 x 20 px, but" in message


# --- subsets ----------------------------------------------------------------------------


def test_subset_of_classes_is_renumbered_in_the_order_given(tmp_path: Path) -> None:
    stores = make(tmp_path, "digits", {}, classes=["7", 5, "6"], geometry=None)
    assert stores["train"].class_names == ("7", "5", "6")
    every = make(tmp_path / "all", "digits", {}, geometry=None)
    five = every["test"].images[every["test"].labels == 5]
    assert np.array_equal(stores["test"].images[stores["test"].labels == 1], five)


def test_balanced_subsets_are_seeded_nested_and_independent_of_other_classes(tmp_path: Path) -> None:
    def pictures(seed: int, count: int, name: str, classes: list[str] | None = None) -> set[bytes]:
        store = make(
            tmp_path / name, "digits", {}, per_class=count, seed=seed, geometry=None, classes=classes
        )["train"]
        assert set(store.manifest["counts"]) == {count}
        label = store.class_names.index("3")
        return {image.tobytes() for image in store.images[store.labels == label]}

    few = pictures(1, 10, "a")
    assert len(few) == 10
    assert few == pictures(1, 10, "b")
    assert few != pictures(2, 10, "c")
    assert few < pictures(1, 30, "d")
    assert few == pictures(1, 10, "e", classes=["8", "3"])
    assert len(ImageStore(tmp_path / "a" / "images" / "test" / "manifest.json")) == 450  # test stays whole


def test_digits_are_split_once_and_for_all(tmp_path: Path) -> None:
    stores = make(tmp_path, "digits", {}, geometry=None)
    train, test = stores["train"], stores["test"]
    assert len(train) + len(test) == 1797
    assert (
        np.abs(np.bincount(test.labels) / (np.bincount(test.labels) + np.bincount(train.labels)) - 0.25).max()
        < 0.01
    )
    assert train.images.max() == 255
    assert train.images.shape[1:] == (8, 8, 3)
    other = make(tmp_path / "other", "digits", {"split_seed": 1, "test_fraction": 0.5}, geometry=None)
    assert abs(len(other["test"]) - 898) < 10


def test_split_leaves_something_on_both_sides() -> None:
    labels = np.repeat([0, 1, 2], [2, 3, 100])
    for fraction in (0.01, 0.99):
        train, test = subset.split_by_fraction(labels, 3, fraction, 0)
        assert set(labels[train]) == set(labels[test]) == {0, 1, 2}
        assert not set(train) & set(test)
        assert len(train) + len(test) == len(labels)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"per_class": 4}, ["per_class: 4", "'dog' has 3"]),
        ({"test_per_class": 2}, ["2 images per class", "'cat' has 1"]),
        ({"classes": ["cat", "dgo"]}, ["no class 'dgo' (did you mean 'dog'?)"]),
        ({"classes": ["cat", 2]}, ["no class 2", "there are 2"]),
        ({"classes": ["cat", 0]}, ["0 occurs more than once"]),
    ],
)
def test_impossible_subsets(tmp_path: Path, folder: Path, settings: dict[str, Any], words: list[str]) -> None:
    message = fails(tmp_path, "imagefolder", {"path": str(folder)}, **settings)
    assert all(word in message for word in words), message


NUMBERS = ("1", "10", "11", "2", "3")


@pytest.mark.parametrize(
    ("names", "chosen", "found"),
    [
        (NUMBERS, ["1", "2", "3"], [0, 3, 4]),
        (tuple(map(str, range(10))), [3, 1], [3, 1]),  # name and index are the same
        (("cat", "dog", "ox"), [2, "cat"], [2, 0]),
        (("m", "m\u00b2", "\u00b2"), [2, 0], [2, 0]),  # a digit, but no number
        (("caf\u00e9", "bar"), ["cafe\u0301", 1], [0, 1]),  # one accent, written in two ways
    ],
)
def test_classes_are_chosen_by_name_or_index(names, chosen, found) -> None:
    assert class_indices(chosen, names) == found


@pytest.mark.parametrize(
    ("names", "chosen", "words"),
    [
        (NUMBERS, [1, 2, 3], r"1 could be a name or an index, which is the class '10'.*quote the name, '1'"),
        (NUMBERS, [10, 11], r"10 could be a name or an index, which there is not"),
        (("01", "02", "03"), [1, 2], r"1 could be a name or an index, which is the class '02'"),
        (("no", "yes", "7"), [2, 0], r"2 could be a name or an index, which is the class '7'"),
        (("cat", "dog"), [202401, 0], r"no class 202401.*quote a name that looks like a number"),
    ],
)
def test_a_number_that_may_be_a_name_is_refused_until_quoted(names, chosen, words) -> None:
    with pytest.raises(DataError, match=words):
        class_indices(chosen, names)


def test_splits_may_write_accents_in_two_ways(tmp_path: Path) -> None:
    """As where one was copied from macOS; sorted by bytes their orders differ."""
    for split, name in (("train", "cafe\u0301"), ("test", "caf\u00e9")):
        fill(tmp_path / "f" / split, {name: [1, 2], "cafz": [3, 4]})
    assert not mistakes({"source": "imagefolder", "path": str(tmp_path / "f")})
    made = make(tmp_path, "imagefolder", {"path": str(tmp_path / "f")})
    assert made["train"].class_names == made["test"].class_names == ("cafz", "caf\u00e9")


# --- folders as people keep them --------------------------------------------------------


def test_long_lists_of_bad_files_are_cut(tmp_path: Path, folder: Path) -> None:
    for number in range(70):
        (folder / "train" / "cat" / f"bad{number}.png").write_bytes(b"x")
    message = fails(tmp_path, "imagefolder", {"path": str(folder)})
    assert message.startswith("70 files")
    assert "and 50 more" in message
    assert len(message.splitlines()) == 22


def test_too_large_for_the_disk(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    assert "0.0 MB are free" in fails(tmp_path, "imagefolder", {"path": str(folder)})


def test_hidden_files_are_ignored_and_counted(tmp_path: Path, folder: Path) -> None:
    fill(folder / "train", {".ipynb_checkpoints": [1]})
    (folder / "train" / "cat" / ".ipynb_checkpoints").mkdir()
    for name in (".DS_Store", "Thumbs.db", "._001.png"):
        (folder / "train" / "cat" / name).write_bytes(b"x")
    train = make(tmp_path, "imagefolder", {"path": str(folder)})["train"]
    assert levels(train) == [0, 1, 2, 3, 10, 11, 12]
    assert train.manifest["provenance"]["hidden_ignored"] == 5


def test_hostile_names_links_and_nested_folders_are_only_data(tmp_path: Path) -> None:
    classes = {"x;touch y": [1, 2], "$(id)": [3, 4], "é ü": [5]}
    for split in ("train", "test"):
        fill(tmp_path / "set" / split, classes)
        outside = fill(tmp_path / f"elsewhere-{split}", {"deep": [7]})
        (tmp_path / "set" / split / "linked").symlink_to(outside)
    stores = make(tmp_path, "imagefolder", {"path": str(tmp_path / "set")})
    assert stores["train"].class_names == ("$(id)", "linked", "x;touch y", "é ü")
    assert levels(stores["train"]) == [3, 4, 7, 1, 2, 5]
    assert not Path("y").exists()


def test_folder_without_splits_is_split_here(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", {"a": list(range(10)), "b": list(range(20, 40))})
    options = {"path": str(root), "test_fraction": 0.2}
    stores = make(tmp_path, "imagefolder", options)
    assert [stores[split].manifest["counts"] for split in stores] == [[8, 16], [2, 4]]
    assert sorted(levels(stores["train"]) + levels(stores["test"])) == [*range(10), *range(20, 40)]
    other = make(tmp_path / "other", "imagefolder", options | {"split_seed": 1})
    assert levels(other["test"]) != levels(stores["test"])


def test_wrong_folders(tmp_path: Path, folder: Path) -> None:
    def message(name: str, path: Path = folder, **options: Any) -> str:
        return fails(tmp_path / name, "imagefolder", {"path": str(path), **options})

    assert "nowhere: no such folder" in message("a", tmp_path / "nowhere")
    assert "test_fraction such as 0.2" in message("b", folder / "train")
    assert "val: no such folder" in message("c", test_split="val")
    fill(folder / "test", {"bird": [1]})
    assert f"only in {folder / 'test'}: bird" in message("d")
    (folder / "train" / "bird").mkdir()
    (folder / "train" / "bird" / ".hidden.png").write_bytes(encoded(1))
    assert "no images in the class folders 'bird'" in message("e")


# --- arrays -----------------------------------------------------------------------------


def pack(path: Path, **arrays: Any) -> str:
    content = {
        "images": np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3),
        "labels": np.arange(6) % 3,
    }
    np.savez(path, **{key: value for key, value in (content | arrays).items() if value is not None})
    return str(path)


def test_arrays_with_and_without_names(tmp_path: Path) -> None:
    train = pack(tmp_path / "x.npz", class_names=np.array(["a", "b", "c"]))
    grey = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    test = pack(tmp_path / "y.npz", images=grey, labels=np.array([2, 0], np.uint8))
    stores = make(tmp_path, "arrays", {"train": train, "test": test}, geometry=None)
    assert np.array_equal(stores["train"].images, np.load(train)["images"])
    assert stores["test"].class_names == ("a", "b", "c")
    assert stores["test"].labels.tolist() == [2, 0]
    assert np.array_equal(stores["test"].images, np.repeat(grey[..., None], 3, -1))
    halves = make(tmp_path / "one", "arrays", {"path": train, "test_fraction": 0.5}, geometry=SQUARE)
    assert [len(store) for store in halves.values()] == [3, 3]


def test_arrays_with_geometry_equal_single_images(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 6, 9, 3), dtype=np.uint8)
    file = pack(tmp_path / "x.npz", images=images, labels=np.arange(70) % 2)
    geometry = Geometry(resize=10, crop=8, interpolation="bicubic")
    store = make(tmp_path, "arrays", {"train": file, "test": file}, geometry=geometry)["train"]
    one = apply_geometry(torch.from_numpy(images[69:]).permute(0, 3, 1, 2), geometry)[0].permute(1, 2, 0)
    assert np.array_equal(store.images[69], one.numpy())


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros((6, 4, 4, 3), np.float32)}, "images must be uint8"),
        ({"images": np.zeros((6, 3, 4, 4), np.uint8)}, "channels come last"),
        ({"images": np.zeros((6, 4), np.uint8)}, "must have shape"),
        ({"images": np.zeros((5, 4, 4, 3), np.uint8)}, "5 images, but 6 labels"),
        ({"images": np.zeros((0, 4, 4, 3), np.uint8), "labels": np.zeros(0, int)}, "nothing in them"),
        ({"labels": np.array([0, 1, 2, 3, -1, 0])}, "label -1 in row 4"),
        ({"labels": np.array([0, 1, 2, 3, 9, 9]), "class_names": np.array(list("abcd"))}, "label 9 in row 4"),
        ({"labels": np.arange(6) / 2}, "whole numbers"),
        ({"labels": np.zeros((6, 1), int)}, "whole numbers"),
        ({"labels": None, "label": np.arange(6)}, "no array 'labels' (did you mean 'label'?)"),
        ({"labels": np.array([{}] * 6)}, "pickled objects are not read"),
        ({"class_names": np.array(["a", "b", "a"])}, "class names occur more than once: 'a'"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    file = pack(tmp_path / "bad.npz", **arrays)
    assert words in fails(tmp_path, "arrays", {"train": file, "test": file})


def test_bad_array_files(tmp_path: Path) -> None:
    good = pack(tmp_path / "good.npz")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(Path(good).read_bytes()[:300])
    np.save(tmp_path / "single.npy", np.zeros(3))
    for file, words in [(cut, "cut.npz: cannot be read"), (tmp_path / "none.npz", "no such file")]:
        assert words in fails(tmp_path, "arrays", {"train": str(file), "test": good})
        assert words in fails(tmp_path, "arrays", {"train": good, "test": str(file)})
    assert "a single array" in fails(
        tmp_path, "arrays", {"train": str(tmp_path / "single.npy"), "test": good}
    )
    other = pack(tmp_path / "other.npz", class_names=np.array(["x", "y", "z"]))
    named = pack(tmp_path / "named.npz", class_names=np.array(["a", "b", "c"]))
    assert "class_names differ" in fails(tmp_path, "arrays", {"train": named, "test": other})


# --- Hugging Face -----------------------------------------------------------------------


def parquet(path: Path, labels: list[Any], values: list[int]) -> None:
    datasets = pytest.importorskip("datasets", reason="the optional datasets library is not installed")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.Value("string")})
    if isinstance(labels[0], int):
        features["label"] = datasets.ClassLabel(names=["cat", "dog"])
    rows = {"img": [{"bytes": encoded(value), "path": None} for value in values], "label": labels}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


def test_huggingface_folder_of_parquet(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    parquet(tmp_path / "hub" / "train-00000-of-00001.parquet", [0, 1, 1], [1, 2, 3])
    parquet(tmp_path / "hub" / "test-00000-of-00001.parquet", [1], [9])
    stores = make(tmp_path, "huggingface", {"path": str(tmp_path / "hub")})
    assert stores["train"].class_names == ("cat", "dog")
    assert levels(stores["train"]) == [1, 2, 3]
    assert stores["train"].labels.tolist() == [0, 1, 1]
    assert levels(stores["test"]) == [9]
    path = str(tmp_path / "hub")
    assert "no split 'tset' (did you mean 'test'?)" in fails(
        tmp_path / "a", "huggingface", {"path": path, "test_split": "tset"}
    )
    assert "image_column 'imgs' is not a column (did you mean 'img'?)" in fails(
        tmp_path / "b", "huggingface", {"path": path, "image_column": "imgs"}
    )


def test_huggingface_file_with_text_labels_split_here(tmp_path: Path) -> None:
    parquet(tmp_path / "all.parquet", ["b", "a"] * 5, list(range(10)))
    stores = make(tmp_path, "huggingface", {"path": str(tmp_path / "all.parquet"), "test_fraction": 0.4})
    assert stores["train"].class_names == ("a", "b")
    assert stores["test"].manifest["counts"] == [2, 2]
    assert all(
        (value % 2 == 0) == (label == 1)
        for value, label in zip(levels(stores["train"]), stores["train"].labels, strict=True)
    )


def test_huggingface_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "nctransfer[huggingface]" in fails(tmp_path, "huggingface", {"name": "user/set"})


# --- data sets as the configuration tells of them ---------------------------------------


def test_every_source_can_be_told_and_read() -> None:
    for source in variants.names(sources):
        assert variants.settings_class(sources, source, DataSetSettings) is not DataSetSettings
        assert callable(variants.load(sources, source, "read").open_split)
    assert set(SETS) == {*variants.load(sources, "torchvision", "read").SETS, "ImageNet"}


def read(entry: dict[str, Any]) -> DataSet[Any]:
    return data_set(variants.settings_class(sources, entry["source"], DataSetSettings).read(entry))


def mistakes(entry: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """Place and message of what is wrong with an entry, by its types or else beyond them."""
    try:
        known = read(entry)
    except ConfigError as unknown:
        return [(("source",), str(unknown))]
    except ValidationError as refused:
        return [(tuple(map(str, error["loc"])), error["msg"]) for error in refused.errors()]
    return list(known.problems())


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({"source": "torchvison"}, ("source",), "did you mean 'torchvision'"),
        ({"source": "torchvision", "name": "CIFAR-10"}, ("name",), "did you mean 'CIFAR10'"),
        (
            {"source": "torchvision", "name": "ImageNet", "path": "/", "test_fraction": 0.1},
            ("test_fraction",),
            "they are not joined",
        ),
        ({"source": "torchvision"}, (), "needs 'name'"),
        ({"source": "torchvision", "name": "ImageNet"}, (), "cannot be downloaded"),
        ({"source": "torchvision", "name": "DTD", "classes": [1, 47]}, ("classes", "1"), "there are 47"),
        ({"source": "imagefolder"}, (), "needs 'path'"),
        ({"source": "imagefolder", "path": "/no/such"}, ("path",), "'/no/such' is not a folder"),
        ({"source": "arrays", "train": "/no.npz", "test": __file__}, ("train",), "is not a file"),
        ({"source": "arrays", "path": "/no.npz"}, (), "needs a 'test_fraction'"),
        ({"source": "digits", "class": ["1"]}, ("class",), "not permitted"),
        ({"source": "digits", "classes": ["1", "11"]}, ("classes", "1"), "no class '11'"),
        ({"source": "digits", "classes": ["1", "1"]}, ("classes",), "more than once"),
        ({"source": "digits", "classes": []}, ("classes",), "at least 1 item"),
        ({"source": "digits", "per_class": 0}, ("per_class",), "greater than or equal to 1"),
        ({"source": "digits", "test_fraction": 1.5}, ("test_fraction",), "less than 1"),
        ({"source": "huggingface", "name": "a/b", "path": "/no/such"}, ("path",), "not both"),
        (
            {"source": "huggingface", "name": "a/b", "label_bins": 1},
            ("label_bins",),
            "greater than or equal to 2",
        ),
        ({"source": "digits", "label_bins": 3}, ("label_bins",), "not permitted"),
        ({"source": "digits", "count": 0}, ("count",), "greater than or equal to 1"),
        ({"source": "digits", "validation": 0}, ("validation",), "greater than or equal to 1"),
        ({"source": "digits", "count": 10, "per_class": 2}, ("count",), "excludes per_class"),
        ({"source": "digits", "count": 10, "validation": 10}, ("validation",), "fewer than 10"),
        (
            {"source": "digits", "validation": 2, "test_per_class": 1},
            ("test_per_class",),
            "beside validation",
        ),
    ],
)
def test_mistakes_found_before_any_job(entry: dict[str, Any], key: tuple[str, ...], words: str) -> None:
    problems = mistakes(entry)
    assert [where for where, message in problems if words in message] == [key], problems


def test_mistakes_in_folders_are_found_before_any_job(folder: Path) -> None:
    entry = {"source": "imagefolder", "path": str(folder)}
    assert mistakes(entry) == []
    assert "test_fraction" in mistakes(entry | {"path": str(folder / "train")})[0][1]
    wrong = mistakes(entry | {"classes": ["cat", "dgo"]})
    assert wrong[0][0] == ("classes", "1")
    assert "did you mean 'dog'" in wrong[0][1]
    (folder / "train" / "bird").mkdir()
    assert "has the classes bird" in mistakes(entry)[0][1]


def test_settings_of_an_entry_make_its_stores(tmp_path: Path) -> None:
    entry = {"source": "digits", "classes": ["1", "2"], "per_class": 5, "test_fraction": 0.5}
    known = read(entry)
    settings = known.job_settings(None, 0)
    assert settings.options == {"test_fraction": 0.5}
    assert known.has_fixed_size
    manifest = tmp_path / "train" / "manifest.json"
    prepare_images({"train": manifest}, ImagesJobSettings.read(settings.told()), UNSTAMPED, tmp_path)
    assert ImageStore(manifest).manifest["counts"] == [5, 5]
