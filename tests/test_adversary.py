"""The adversary: projected gradient ascent as written in the paper, and a network left as it was found."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from nctransfer.data.keyed_random import Stream, sample_keys, uniform
from nctransfer.training.pgd_attack import Adversary
from nctransfer.training.settings import AttackSettings

SETTINGS = {"radius": 0.03, "steps": 7, "step_size": 0.01, "batch_norm": "eval", "evaluate_every": 1}


def network() -> nn.Module:
    """With batch normalisation in different states, dropout, and a layer in a mode of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.Tanh(),  # no kinks, so that rounding changes no sign of a gradient by much
        nn.Conv2d(6, 6, 3),
        nn.BatchNorm2d(6, momentum=None),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.num_batches_tracked.fill_(11)
    model.train()
    model[4].eval()
    model[3].weight.requires_grad_(False)
    return model


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Images with black and white pixels among them, labels, keys."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(9, 3, 10, 10, generator=generator)
    images[images < 0.1] = 0
    images[images > 0.9] = 1
    return images, torch.arange(9) % 4, sample_keys(3, 5, torch.arange(9))


def adversary(**changed) -> Adversary:
    return Adversary.from_settings(AttackSettings.read(SETTINGS | changed))


def textbook(model: nn.Module, images: Tensor, labels: Tensor, keys: Tensor, attacker: Adversary) -> Tensor:
    """The attack of one image at a time, in the plainest words; the model is in the mode wanted."""
    results = []
    for image, label, key in zip(images, labels, keys, strict=True):
        noise = uniform(key.view(1), Stream.ATTACK, *image.shape)[0]
        delta = (noise * 2 - 1) * attacker.radius
        delta = (image + delta).clamp(0, 1) - image
        for _ in range(attacker.steps):
            delta = delta.detach().requires_grad_()
            functional.cross_entropy(model((image + delta)[None]), label[None]).backward()
            delta = delta.detach() + attacker.step_size * delta.grad.sign()
            delta = delta.clamp(-attacker.radius, attacker.radius)
            delta = (image + delta).clamp(0, 1) - image
        results.append((image + delta).detach())
    return torch.stack(results)


def test_the_attack_is_the_textbooks(batch):
    images, labels, keys = batch
    before = images.clone()
    found = adversary().attack(network(), functional.cross_entropy, images, labels, keys)
    with torch.no_grad():  # works without gradients around it
        assert torch.equal(found, adversary().attack(network(), functional.cross_entropy, *batch))
    assert torch.equal(images, before)
    expected = textbook(network().eval(), images, labels, keys, adversary())
    # where a gradient all but vanishes its sign is a matter of rounding
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.999
    assert not torch.equal(found, images)


def test_batch_statistics_are_those_of_a_network_in_training_mode(batch):
    images, labels, keys = batch
    model = network()
    model[6].p = 0.0
    found = adversary(batch_norm="train").attack(model, functional.cross_entropy, images, labels, keys)
    reference = network().train()
    reference[6].p = 0.0
    noise = uniform(keys, Stream.ATTACK, 3, 10, 10) * 2 - 1
    expected = (images + 0.03 * noise).clamp(0, 1)
    for _ in range(7):
        expected = expected.detach().requires_grad_()
        functional.cross_entropy(reference(expected), labels).backward()
        step = expected.detach() + 0.01 * expected.grad.sign()
        expected = torch.clamp(images + torch.clamp(step - images, -0.03, 0.03), 0, 1)
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.999
    assert (
        found - adversary().attack(model, functional.cross_entropy, images, labels, keys)
    ).abs().max() > 0.01


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize(("radius", "step_size"), [(1 / 255, 0.25), (8 / 255, 0.01)])
def test_the_result_stays_in_the_ball_and_among_pixels_and_raises_the_loss(batch, mode, radius, step_size):
    images, labels, keys = batch
    model = network()
    model[6].p = 0.0
    attacker = adversary(radius=radius, step_size=step_size, batch_norm=mode)
    found = attacker.attack(model, functional.cross_entropy, images, labels, keys)
    assert (found - images).abs().max() <= radius + 1e-7
    assert found.min() >= 0
    assert found.max() <= 1
    assert not found.requires_grad
    assert found.dtype == torch.float32
    model.train(mode == "train")
    with torch.no_grad():
        before, after = (functional.cross_entropy(model(shown), labels) for shown in (images, found))
    assert after > before


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
def test_the_network_is_left_as_it_was_found(batch, mode, fails):
    model = network()
    functional.cross_entropy(model(batch[0]), batch[1]).backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    flags = [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()]
    calls = []

    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        calls.append(model[1].training)
        assert not any(p.requires_grad for p in model.parameters())
        if fails and len(calls) == 3:
            raise FloatingPointError
        return functional.cross_entropy(outputs, labels)

    try:
        adversary(batch_norm=mode).attack(model, loss, *batch)
    except FloatingPointError:
        assert fails
    assert calls == [mode == "train"] * (3 if fails else 7)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert flags == ([p.requires_grad for p in model.parameters()], [m.training for m in model.modules()])
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)
    assert [module.track_running_stats for module in (model[1], model[4])] == [True, True]


def test_a_layer_that_tracks_no_statistics_stays_so(batch):
    model = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(300, 4))
    adversary(batch_norm="train").attack(model, functional.cross_entropy, *batch)
    assert not model[0].track_running_stats


def test_the_batch_layout_does_not_matter_to_running_statistics(batch):
    images, labels, keys = batch
    model, loss = network(), functional.cross_entropy
    whole = adversary().attack(model, loss, images, labels, keys)
    parts = torch.cat(
        [
            adversary().attack(model, loss, *part)
            for part in zip(images.split(4), labels.split(4), keys.split(4), strict=True)
        ]
    )
    assert ((whole - parts).abs() < 1e-6).float().mean() > 0.999


def test_a_step_costs_one_pass_forward_and_one_gradient_of_the_input(batch):
    model, counts = network(), {"forward": 0, "backward": 0}
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda _: pytest.fail("a gradient of a parameter was computed"))
    model[0].register_forward_hook(lambda *_: counts.update(forward=counts["forward"] + 1))
    model[0].register_full_backward_hook(lambda *_: counts.update(backward=counts["backward"] + 1))
    adversary(steps=5).attack(model, functional.cross_entropy, *batch)
    assert counts == {"forward": 5, "backward": 5}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_steps_it_is_the_random_start_and_without_radius_nothing(batch):
    images, _, keys = batch
    assert torch.equal(adversary(radius=0).attack(network(), functional.cross_entropy, *batch), images)
    found = adversary(steps=0, radius=0.5).attack(network(), functional.cross_entropy, *batch)
    noise = uniform(keys, Stream.ATTACK, 3, 10, 10) - 0.5
    torch.testing.assert_close(found, (images + noise).clamp(0, 1))


def test_the_memory_format_is_kept_and_changes_nothing(batch):
    images, labels, keys = batch
    model = network().to(memory_format=torch.channels_last)
    shown = images.contiguous(memory_format=torch.channels_last)
    found = adversary().attack(model, functional.cross_entropy, shown, labels, keys)
    assert found.is_contiguous(memory_format=torch.channels_last)
    expected = adversary().attack(network(), functional.cross_entropy, images, labels, keys)
    assert ((found - expected).abs() < 1e-5).float().mean() > 0.999


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_training_goes_on_in_the_same_autocast_region(batch, mode):
    images, labels, keys = batch
    gradients = []
    for attacked in (True, False):
        model = network()
        model[6].p = 0.0
        with torch.autocast("cpu", torch.bfloat16):
            if attacked:
                found = adversary(batch_norm=mode).attack(
                    model, functional.cross_entropy, images, labels, keys
                )
                assert found.dtype == torch.float32
                assert (found - images).abs().max() > 0.01
            functional.cross_entropy(model(images), labels).backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    "changed", [{"batch_norm": "evla"}, {"radius": -0.1}, {"steps": -1}, {"step_size": float("nan")}]
)
def test_settings_that_make_no_sense_are_refused(changed):
    with pytest.raises(ValidationError, match=next(iter(changed))):
        adversary(**changed)
