"""Stateless random numbers: splitmix64 bit for bit, uniform, independent, whatever the batch."""

import numpy as np
import pytest
import torch
from scipy import stats

from nctransfer.data.keyed_random import (
    Stream,
    default_generator,
    generator,
    sample_keys,
    stream_seed,
    uniform,
)


def splitmix64(state: int, count: int) -> list[int]:
    """The published generator, with Python's own integers."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        numbers.append(z ^ (z >> 31))
    return numbers


def at(state: int, number: int) -> int:
    return splitmix64(state, number + 1)[number]


def unsigned(keys: torch.Tensor) -> list[int]:
    return [key % 2**64 for key in keys.tolist()]


def test_the_reference_gives_the_published_numbers():
    assert splitmix64(1234567, 5) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize(("seed", "epoch", "view"), [(0, 0, 0), (42, 199, 1), (7, 3, 0)])
def test_keys_are_splitmix64_of_seed_epoch_view_and_sample(seed, epoch, view):
    samples = torch.tensor([0, 5, 2, 300])
    state = at(at(at(0, seed), epoch), view)
    assert unsigned(sample_keys(seed, epoch, samples, view)) == [at(state, i) for i in samples.tolist()]


def test_a_seed_of_64_bits_is_accepted_and_uses_them_all():
    samples = torch.arange(3)
    keys = [sample_keys(seed, 0, samples) for seed in (2**63 + 1, 1, 2**64 - 1)]
    assert not torch.equal(keys[0], keys[1])
    assert not torch.equal(keys[0], keys[2])


def test_numbers_are_the_top_24_bits_of_splitmix64_of_key_and_stream():
    keys = sample_keys(1, 2, torch.arange(3))
    drawn = uniform(keys, 4, 2, 3)
    expected = [[at_place >> 40 for at_place in splitmix64(at(key, 4), 6)] for key in unsigned(keys)]
    assert drawn.shape == (3, 2, 3)
    assert drawn.dtype == torch.float32
    assert (drawn.double() * 2**24).view(3, 6).tolist() == expected
    assert torch.equal(uniform(keys, 4), drawn[:, 0, 0])  # one for each key


def test_numbers_are_uniform_on_the_half_open_unit_interval():
    drawn = uniform(sample_keys(3, 0, torch.arange(2000)), Stream.ATTACK, 100).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    cells = np.histogram2d(drawn[:, 0], drawn[:, 1], bins=8, range=[(0, 1), (0, 1)])[0]
    assert stats.chisquare(cells.ravel()).pvalue > 1e-3


def test_streams_samples_epochs_views_and_seeds_are_independent():
    samples = torch.arange(20000)
    base = uniform(sample_keys(0, 0, samples), 0)
    others = {
        "stream": uniform(sample_keys(0, 0, samples), 1),
        "sample": uniform(sample_keys(0, 0, samples + 1), 0),
        "epoch": uniform(sample_keys(0, 1, samples), 0),
        "view": uniform(sample_keys(0, 0, samples, 1), 0),
        "seed": uniform(sample_keys(1, 0, samples), 0),
    }
    for name, other in others.items():
        cells = np.histogram2d(base.numpy(), other.numpy(), bins=10, range=[(0, 1), (0, 1)])[0]
        assert stats.chi2_contingency(cells).pvalue > 1e-3, name
        # shifted by one sample, and only there, the numbers are the same ones
        assert (base == other).float().mean() < 1e-3, name
    assert torch.equal(others["sample"][:-1], base[1:])


def test_no_two_keys_of_a_run_are_alike():
    keys = [sample_keys(0, epoch, torch.arange(5000), view) for epoch in range(10) for view in range(2)]
    assert len(torch.cat(keys).unique()) == 100_000


def test_generators_of_all_purposes_seeds_and_places_differ():
    assert len(Stream) == len(Stream.__members__)  # no two purposes have one number
    seeds = [
        stream_seed(seed, stream, *places)
        for seed in (0, 1, 2, 2**31 - 1)
        for stream in Stream
        for places in ((), (0,), (1,), (2,), ("layer1",), ("layer2",), (0, 1), (1, 0))
    ]
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)  # torch reads 32 bits of a seed
    assert all(0 <= seed < 2**63 for seed in seeds)
    states = {at(at(at(0, seed), epoch), view) for seed in (0, 1) for epoch in range(50) for view in (0, 1)}
    assert states.isdisjoint(seeds)  # nor is one the origin of the keys of samples


def test_a_generator_of_a_purpose_is_always_the_same_and_leaves_no_trace():
    first, again = (torch.rand(5, generator=generator(4, Stream.ORDER, 2)) for _ in range(2))
    assert torch.equal(first, again)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with default_generator(4, Stream.CLASSIFIER):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with default_generator(4, Stream.CLASSIFIER):
        assert torch.equal(torch.rand(3), inside)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_numbers():
    samples = torch.arange(1000)
    ours = uniform(sample_keys(9, 4, samples), 3, 17)
    assert torch.equal(ours, uniform(sample_keys(9, 4, samples.cuda()), 3, 17).cpu())
