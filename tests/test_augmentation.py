"""Augmentation levels: torchvision's arithmetic sample by sample, and torchvision's distributions."""

from collections.abc import Callable
from functools import partial
from itertools import permutations

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as torchvision

from nctransfer.data.keyed_random import sample_keys
from nctransfer.training.augmentation import JitterDraws, augment, draw_jitter, jitter_colours
from nctransfer.training.settings import AugmentationSettings, JitterSettings

STRENGTHS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8}
SETTINGS = {"crop_padding": 2, "jitter": STRENGTHS, "grayscale": 0.2}
ADJUST = (
    torchvision.adjust_brightness,
    torchvision.adjust_contrast,
    torchvision.adjust_saturation,
    torchvision.adjust_hue,
)


Augmentation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def augmentation(level: int, **changed) -> Augmentation:
    return partial(augment, settings=AugmentationSettings.read({"level": level} | SETTINGS | changed))


def keys(count: int, epoch: int = 0) -> torch.Tensor:
    return sample_keys(1, epoch, torch.arange(count))


def images(count: int, height: int = 8, width: int = 8) -> torch.Tensor:
    """Noise, with flat, grey, black, white and primary images among it: where the hue is a matter of cases."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8)
    for row, colour in enumerate(
        [(0, 0, 0), (255, 255, 255), (9, 9, 9), (255, 0, 0), (0, 255, 255), (7, 7, 200)]
    ):
        if row < count:
            drawn[row] = torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1)
    return drawn


def one_by_one(pixels: torch.Tensor, draws: JitterDraws) -> torch.Tensor:
    """The jitter with torchvision's own functions, an image at a time."""
    results = []
    for image, applied, order, factors in zip(pixels, draws.applied, draws.order, draws.factors, strict=True):
        for operation in order.tolist() if applied else []:
            image = ADJUST[operation](image, factors[operation].item())
        results.append(image)
    return torch.stack(results)


def test_the_jitter_is_torchvisions_in_every_order():
    orders = torch.tensor([list(order) for order in permutations(range(4))])
    pixels = images(24 * 8, 6, 7).float() / 255
    generator = torch.Generator().manual_seed(1)
    factors = torch.rand(len(pixels), 4, generator=generator) * 2
    factors[:, 3] = factors[:, 3] / 2 - 0.5
    # each special image meets every order
    draws = JitterDraws(torch.ones(len(pixels), dtype=torch.bool), orders.repeat(8, 1), factors)
    for _ in range(24):
        draws = JitterDraws(draws.applied, draws.order.roll(1, 0), draws.factors.roll(5, 0))
        torch.testing.assert_close(
            jitter_colours(pixels, draws), one_by_one(pixels, draws), atol=1e-5, rtol=0
        )


def test_a_drawn_jitter_is_torchvisions_and_leaves_some_images_as_they_are():
    pixels = images(200).float() / 255
    draws = draw_jitter(JitterSettings(**STRENGTHS), keys(200))
    result = jitter_colours(pixels, draws)
    torch.testing.assert_close(result, one_by_one(pixels, draws), atol=1e-5, rtol=0)
    assert 0 < (~draws.applied).sum() < 200
    assert torch.equal(result[~draws.applied], pixels[~draws.applied])


def test_level_1_only_scales_the_pixels():
    shown = images(10)
    torch.testing.assert_close(
        augmentation(1)(shown, keys(10)), torchvision.to_dtype(shown, torch.float32, scale=True)
    )


def located(count: int, size: int) -> torch.Tensor:
    """Images that tell where each pixel came from: row + 1, column + 1, and a mark that is never black."""
    place = torch.arange(1, size + 1, dtype=torch.uint8)
    rows, columns = place.view(-1, 1).expand(size, size), place.view(1, -1).expand(size, size)
    return (
        torch.stack([rows, columns, torch.full((size, size), 255)])
        .to(torch.uint8)
        .expand(count, 3, size, size)
    )


def offsets(crops: torch.Tensor, padding: int) -> torch.Tensor:
    """Row and column, in the padded image, of each crop (N, 3, S, S) of a located image."""
    centre = crops.shape[-1] // 2
    return (crops[:, :2, centre, centre].long() - 1 - centre) + padding


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 9)])
def test_a_crop_is_a_window_of_the_padded_image(height, width):
    shown = images(300, height, width)
    cropped = (augmentation(2)(shown, keys(300)) * 255).round().to(torch.uint8)
    padded = torchvision.pad(shown, [2])
    windows = torch.stack([padded[:, :, y : y + height, x : x + width] for y in range(5) for x in range(5)])
    fits = (windows == cropped).flatten(2).all(2)
    assert fits.any(0).all()
    # every window occurs among the images that are not flat
    assert fits[:, 6:].any(1).all()


def test_crop_offsets_are_distributed_as_torchvisions():
    size, padding, count = 8, 2, 5000
    shown = located(count, size)
    ours = offsets((augmentation(2)(shown, keys(count)) * 255).round(), padding)
    crop = v2.RandomCrop(size, padding=padding)
    torch.manual_seed(0)
    theirs = offsets(torch.stack([crop(image) for image in shown]), padding)

    def cells(values: torch.Tensor) -> torch.Tensor:
        return torch.bincount(values[:, 0] * 5 + values[:, 1], minlength=25)

    assert ours.min() == theirs.min() == 0
    assert ours.max() == theirs.max() == 4
    assert stats.chi2_contingency(torch.stack([cells(ours), cells(theirs)])).pvalue > 1e-3


def resized(count, scale=(0.2, 1.0), level=2, height=32, width=32):
    """Horizontal and vertical ramps (0 to 1 between the outer pixels' centres) after resized crops."""
    ramps = torch.stack(
        torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")[::-1]
    ).repeat(count, 1, 1, 1)
    shown = torch.cat([ramps, ramps[:, :1]], 1).to(torch.uint8)
    return 255 * augmentation(level, crop_scale=scale)(shown, keys(count))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 32)])
def test_a_resized_crop_is_a_part_of_the_image_in_torchvisions_range(height, width):
    found = resized(4000, height=height, width=width)
    columns, rows = found[:, 0, height // 2], found[:, 1, :, width // 2]
    wide, tall = ((axis[:, 17] - axis[:, 7]) / 10 for axis in (columns, rows))  # away from repeated borders
    assert max(wide.max(), tall.max()) <= 1 + 1e-4
    shares = wide * tall
    assert shares.max() <= 1 + 1e-4
    whole = (wide > 1 - 1e-3) | (tall > 1 - 1e-3)  # sides that would exceed the image are cut
    assert shares[~whole].min() == pytest.approx(0.2, abs=0.01)
    ratios = (wide * width / (tall * height))[~whole]
    assert ratios.min() == pytest.approx(3 / 4, abs=0.02)
    assert ratios.max() == pytest.approx(4 / 3, abs=0.02)
    # the part lies within the image, and reaches both ends in some draws
    for axis, part, size in ((columns, wide, width), (rows, tall, height)):
        left = axis[:, 7] + 0.5 - 7.5 * part  # of the part, in pixels of the image
        assert left.min() == pytest.approx(0, abs=0.3)
        assert (left + part * size).max() == pytest.approx(size, abs=0.3)


def test_a_resized_crop_of_the_whole_image_enlarges_nothing_and_level_3_flips_half():
    found = resized(400, scale=(1.0, 1.0), level=3)
    slopes = found[:, 0, 16, 17] - found[:, 0, 16, 7]
    assert slopes.abs().max() <= 10.001
    assert 150 < (slopes < 0).sum() < 250
    assert torch.equal(resized(7, level=3)[:3], resized(3, level=3))  # whatever the batch


def test_level_3_flips_half_of_level_2s_crops():
    shown = images(2000)
    cropped, flipped = augmentation(2)(shown, keys(2000)), augmentation(3)(shown, keys(2000))
    kept = (flipped == cropped).flatten(1).all(1)
    turned = (flipped == cropped.flip(3)).flatten(1).all(1)
    assert (kept | turned).all()
    assert stats.binomtest(int(turned[6:].sum()), 1994, 0.5).pvalue > 1e-3
    # which images are flipped does not hang on where they are cropped
    places = offsets((augmentation(2)(located(2000, 8), keys(2000)) * 255).round(), 2)
    for axis in range(2):
        table = torch.stack(
            [torch.bincount(places[6:][mask[6:], axis], minlength=5) for mask in (kept, turned)]
        )
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_each_level_keeps_the_draws_of_the_level_below():
    shown = images(100)
    still = augmentation(4, jitter=STRENGTHS | {"probability": 0})
    assert torch.equal(still(shown, keys(100)), augmentation(3)(shown, keys(100)))
    assert torch.equal(augmentation(5, grayscale=0)(shown, keys(100)), augmentation(4)(shown, keys(100)))
    half = augmentation(4, jitter=STRENGTHS | {"probability": 0.5})(shown, keys(100))
    untouched = (half == augmentation(3)(shown, keys(100))).flatten(1).all(1)
    assert 20 < untouched.sum() < 80


def test_level_5_drains_a_share_of_the_images():
    shown = images(3000, 4, 4)
    coloured, drained = augmentation(4)(shown, keys(3000)), augmentation(5)(shown, keys(3000))
    gray = torchvision.rgb_to_grayscale(coloured, num_output_channels=3)
    changed = (drained != coloured).flatten(1).any(1)
    torch.testing.assert_close(drained[changed], gray[changed], atol=1e-6, rtol=0)
    assert stats.binomtest(int(changed[6:].sum()), 2994, 0.2).pvalue > 1e-3
    assert stats.binomtest(int(changed[6:].sum()), 2994, 0.25).pvalue < 1e-3


def jittered_values(transform, count: int) -> torch.Tensor:
    """A colourful 2 x 2 image under many jitters: its 12 values, 4 saturations and mean in 1e-4, (17, count)."""
    image = torch.tensor([[[30, 200], [90, 120]], [[60, 40], [180, 130]], [[150, 90], [70, 110]]])
    pixels = transform(image.to(torch.uint8).expand(count, 3, 2, 2))
    saturation = (1 - pixels.amin(1) / pixels.amax(1)).flatten(1)  # which brightness leaves alone
    values = torch.cat([pixels.flatten(1), saturation, pixels.mean((1, 2, 3)).unsqueeze(1)], 1)
    # many images keep their colours: the last bit must not tell x / 255 from x times 1 / 255
    return values.T.mul(1e4).round()


@pytest.fixture(scope="module")
def torchvisions_jitter() -> torch.Tensor:
    transform = v2.Compose(
        [
            v2.ToDtype(torch.float32, scale=True),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(0.2),
        ]
    )
    torch.manual_seed(0)
    return jittered_values(lambda batch: torch.stack([transform(image) for image in batch]), 3000)


def smallest_pvalue(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return min(stats.ks_2samp(a, b).pvalue for a, b in zip(ours.numpy(), theirs.numpy(), strict=True))


def test_jittered_pixels_are_distributed_as_torchvisions(torchvisions_jitter):
    count = 3000
    level_5 = augmentation(5, crop_padding=0)
    ours = jittered_values(lambda batch: unflipped(level_5, batch), count)
    assert smallest_pvalue(ours, torchvisions_jitter) > 1e-3
    torch.testing.assert_close(ours.mean(1), torchvisions_jitter.mean(1), atol=120, rtol=0)
    torch.testing.assert_close(ours.std(1), torchvisions_jitter.std(1), atol=30, rtol=0.05)


@pytest.mark.parametrize(
    "change",
    [{"brightness": 0.3}, {"contrast": 0.3}, {"saturation": 0.2}, {"hue": 0.08}, {"probability": 0.7}],
    ids=lambda change: next(iter(change)),
)
def test_another_strength_would_be_noticed(torchvisions_jitter, change):
    other = augmentation(5, crop_padding=0, jitter=STRENGTHS | change)
    ours = jittered_values(lambda batch: unflipped(other, batch), 3000)
    assert smallest_pvalue(ours, torchvisions_jitter) < 1e-3


def unflipped(transform: Augmentation, batch: torch.Tensor) -> torch.Tensor:
    """The colours of a level 5, each image flipped back where it was flipped."""
    flipped = augmentation(3, crop_padding=0)(batch, keys(len(batch))) != batch / 255
    result = transform(batch, keys(len(batch)))
    return torch.where(flipped.flatten(1).any(1).view(-1, 1, 1, 1), result.flip(3), result)


def test_orders_are_permutations_all_alike_likely():
    order = draw_jitter(JitterSettings(**STRENGTHS), keys(5000)).order
    assert torch.equal(order.sort(1).values, torch.arange(4).expand(5000, 4))
    codes = (order * torch.tensor([64, 16, 4, 1])).sum(1).unique(return_counts=True)[1]
    assert len(codes) == 24
    assert stats.chisquare(codes).pvalue > 1e-3


def test_factors_fill_torchvisions_ranges_and_never_fall_below_0():
    settings = JitterSettings(brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1, probability=1)
    draws = draw_jitter(settings, keys(5000))
    for column, (low, high) in enumerate([(0.6, 1.4), (0, 2.5), (0.8, 1.2), (-0.1, 0.1)]):
        values = draws.factors[:, column].numpy()
        assert stats.kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3
    assert stats.spearmanr(draws.factors.numpy()).pvalue[0, 1:].min() > 1e-3


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_neither_the_batch_layout_nor_the_images_change_a_bit(level):
    transform = augmentation(level)
    shown = images(37)
    whole = transform(shown, keys(37))
    assert torch.equal(shown, images(37))
    parts = [transform(part, some) for part, some in zip(shown.split(10), keys(37).split(10), strict=True)]
    assert torch.equal(whole, torch.cat(parts))
    assert whole.dtype == torch.float32
    assert whole.min() >= 0
    assert whole.max() <= 1


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_another_epoch_shows_other_images(level):
    shown = images(50)
    first, second = (augmentation(level)(shown, keys(50, epoch)) for epoch in (0, 1))
    assert (first != second).flatten(1).any(1).float().mean() > 0.8


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_nothing_is_read_back_from_the_device(level):
    # tensors without contents: reading a number or a mask back raises
    shown = images(4).to("meta")
    result = augmentation(level)(shown, sample_keys(0, 0, torch.arange(4, device="meta")))
    assert result.shape == shown.shape


@pytest.mark.parametrize("level", [0, 6, 2.5])
def test_other_levels_are_refused(level):
    with pytest.raises(ValidationError, match="level"):
        AugmentationSettings(level=level)


@pytest.mark.parametrize(
    ("level", "unread"),
    [
        (1, {"crop_padding": 0, "jitter": {"hue": 0.5}, "grayscale": 1}),
        (3, {"jitter": {"hue": 0.5}, "grayscale": 1}),
        (4, {"grayscale": 1}),
    ],
)
def test_a_level_reads_no_more_settings_than_it_needs(level, unread):
    shown = images(50)
    assert torch.equal(augmentation(level, **unread)(shown, keys(50)), augmentation(level)(shown, keys(50)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same_images_without_waiting():
    shown, transform = images(64, 32, 32), augmentation(5)
    there, their_keys = shown.cuda(), keys(64).cuda()
    transform(there, their_keys)
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = transform(there, their_keys)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(result.cpu(), transform(shown, keys(64)), atol=1e-5, rtol=0)
