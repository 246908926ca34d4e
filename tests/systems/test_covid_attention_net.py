"""COVID-Attention-Net: the checks of every system, and its own laws."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from groundglass.data.augment import AugmentConfig
from groundglass.data.cohort import Cohort
from groundglass.data.phantom import Phantom
from groundglass.data.phantom_cohort import PhantomCohort, write_phantom_cohort
from groundglass.errors import CohortError, EmptyMaskError
from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import CTSlices, Note
from groundglass.systems import load_system
from groundglass.systems.card import home, read_card
from groundglass.systems.covid_attention_net.attention import (
    ChannelAttention,
    SliceAttention,
    SpatialAttention,
)
from groundglass.systems.covid_attention_net.calibration import cross_entropy, fit_temperature
from groundglass.systems.covid_attention_net.network import CovidAttentionNet, FusedStem, Shape
from groundglass.systems.covid_attention_net.training import Config, Module, settle
from groundglass.systems.covid_attention_net.volume import (
    HULL_FAILED,
    Preparation,
    PreparedVolume,
    prepare,
)
from groundglass.systems.covid_attention_net.volume_augment import VolumeAugment
from groundglass.systems.covid_attention_net.volume_dataset import VolumeDataset, VolumeSampler
from groundglass.training.optimizer import make_optimizer
from tests.systems.system_tester import SystemTester, phantom, pictures

__all__ = ["phantom", "pictures"]

SMOKE = home("covid_attention_net") / "smoke.yaml"
SMALL = Shape("tu-resnet10t", lstm_width=4, attention_width=4, batch_norm="frozen")
CLASSES = ("healthy", "pneumonia")


@pytest.fixture(scope="session")
def cohort_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small phantoms, both classes in every split."""
    made_of = PhantomCohort(volumes=8, shape=(36, 90, 90), seed=1)
    return write_phantom_cohort(made_of, tmp_path_factory.mktemp("volumes") / "cohort")


class TestCovidAttentionNet(SystemTester):
    name = "covid_attention_net"
    parameters_m = 3.70

    def answer(self, system: object, phantom: Phantom) -> np.ndarray:
        found = system.classify(phantom.scan, phantom.lungs)  # type: ignore[attr-defined]
        return np.array([*found.probabilities.values(), *found.relevance])

    def two_cases(self, config: object, table: Path) -> dict[str, torch.Tensor]:
        """Two volumes, one of each class, some slices of both."""
        assert isinstance(config, Config)
        cases = Cohort.read([table]).split("train")
        chosen = [next(c for c in cases if c.label == label) for label in CLASSES]
        volumes = VolumeDataset(chosen, CLASSES, config.preparation)
        still = AugmentConfig(rotation_deg=0.0, scale=(1.0, 1.0), flip=0.0, noise=0.0, blur_px=0.0)
        drawn = volumes.drawing(config.slices, still, 0.0, 0)
        return torch.utils.data.default_collate([drawn[k] for k in range(2)])

    def test_a_run_classifies_volumes_and_pictures(
        self, run: Path, phantom: Phantom, pictures: CTSlices
    ) -> None:
        system = load_system(str(run))
        for scan, lungs in ((phantom.scan, phantom.lungs), (pictures, self._lungs_of(pictures))):
            found = system.classify(scan, lungs)  # type: ignore[attr-defined]
            assert tuple(found.probabilities) == CLASSES
            assert sum(found.probabilities.values()) == pytest.approx(1)
            assert found.relevance.sum() == pytest.approx(1, abs=1e-5)
            empty = [not lung.any() for lung in lungs.slices]
            assert not found.relevance[empty].any()

    def test_a_scan_without_lungs_is_refused(self, run: Path, phantom: Phantom) -> None:
        none = Mask.on(phantom.scan, np.zeros_like(phantom.lungs.array), Lung)
        with pytest.raises(EmptyMaskError, match="no lung"):
            load_system(str(run)).classify(phantom.scan, none)  # type: ignore[attr-defined]


def test_channel_attention_is_as_worked_out_by_hand() -> None:
    """Channel means 1 and 0, maxima 3 and 0; the hidden unit adds, the output gives 1 and -1."""
    attention = ChannelAttention(2)
    attention.inner.weight.data = torch.ones(1, 2)
    attention.outer.weight.data = torch.tensor([[1.0], [-1.0]])
    maps = torch.zeros(1, 2, 1, 3)
    maps[0, 0, 0, 2] = 3.0
    share = torch.sigmoid(torch.tensor(1.0 + 3.0)).item()
    assert attention(maps)[0, 0, 0, 2].item() == pytest.approx(3 * share)
    ones = attention(torch.ones_like(maps))
    assert ones[0, 1, 0, 0].item() == pytest.approx(torch.sigmoid(torch.tensor(-4.0)).item())


def test_spatial_attention_is_as_worked_out_by_hand() -> None:
    """Only the middle of the kernel counts: mean 2 and maximum 3 weigh 1 and -1 there."""
    attention = SpatialAttention()
    attention.convolution.weight.data.zero_()
    attention.convolution.weight.data[0, :, 4, 4] = torch.tensor([1.0, -1.0])
    maps = torch.tensor([1.0, 3.0])[None, :, None, None]
    expected = maps * torch.sigmoid(torch.tensor(2.0 - 3.0))
    torch.testing.assert_close(attention(maps), expected)
    assert attention.convolution.weight.shape[-2:] == (9, 9)


def test_slice_attention_is_as_worked_out_by_hand() -> None:
    """Scores 2 tanh(0) and 2 tanh(1): weights 1 to e^(2 tanh 1), features weighed alike."""
    attention = SliceAttention(1, 1)
    attention.inner.weight.data = torch.ones(1, 1)
    attention.outer.weight.data = torch.full((1, 1), 2.0)
    volume, weights = attention(torch.tensor([[[0.0], [1.0]]]))
    second = np.exp(2 * np.tanh(1))
    assert weights[0].tolist() == pytest.approx([1 / (1 + second), second / (1 + second)])
    assert volume.item() == pytest.approx(second / (1 + second))


@given(seed=st.integers(0, 2**16), slices=st.integers(1, 12))
def test_slice_attention_does_not_care_for_order(seed: int, slices: int) -> None:
    torch.manual_seed(seed)
    attention, features = SliceAttention(3, 5), torch.randn(1, slices, 3)
    order = torch.randperm(slices)
    volume, weights = attention(features)
    again, shuffled = attention(features[:, order])
    torch.testing.assert_close(again, volume)
    torch.testing.assert_close(shuffled, weights[:, order])
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)


def test_slices_that_are_all_alike_weigh_alike() -> None:
    features = torch.randn(1, 1, 3).expand(1, 7, 3)
    volume, weights = SliceAttention(3, 5)(features)
    torch.testing.assert_close(weights, torch.full((1, 7), 1 / 7))
    torch.testing.assert_close(volume, features[:, 0])


def test_slice_and_mask_are_convolved_apart_and_summed() -> None:
    own = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    stem = FusedStem(own, mask=True, attention=False)
    assert stem.mask is not None
    assert stem.mask.weight.shape == (64, 1, 7, 7)
    seen = torch.rand(2, 4, 16, 16)
    torch.testing.assert_close(stem(seen), own(seen[:, :3]) + stem.mask(seen[:, 3:]))


@pytest.mark.parametrize(
    ("ablation", "mask", "places", "slices"),
    [
        ("none", True, True, True),
        ("N-SCA", True, False, True),
        ("N-SLA", True, True, False),
        ("N-MSCA", False, False, True),
    ],
)
def test_an_ablation_leaves_out_what_its_name_says(
    ablation: str, mask: bool, places: bool, slices: bool
) -> None:
    network = CovidAttentionNet(
        Shape("tu-resnet10t", lstm_width=4, attention_width=4, ablation=ablation)  # type: ignore[arg-type]
    )
    names = {name for name, _ in network.named_parameters()}
    assert any(".mask." in name for name in names) == mask
    assert any("attention.0.inner" in name for name in names) == places
    assert ("attention.inner.weight" in names) == slices
    answer = network(torch.rand(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    assert answer.logits.shape == (1, 2)
    assert answer.relevance.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "resnet18"])
def test_any_encoder_takes_the_mask_in_its_first_convolution(encoder: str) -> None:
    network = CovidAttentionNet(Shape(encoder, lstm_width=4, attention_width=4))
    gray = torch.rand(1, 2, 64, 64)
    mask = torch.zeros_like(gray)
    mask[..., 10:40, 20:50] = 1
    with torch.inference_mode():
        without = network(gray, torch.zeros_like(gray)).logits
        assert not torch.equal(without, network(gray, mask).logits)


@pytest.mark.parametrize("at_once", [1, 3, 5, 50])
def test_however_many_slices_at_once_the_answer_is_the_same(at_once: int) -> None:
    torch.manual_seed(0)
    network = CovidAttentionNet(SMALL).eval()
    gray, mask = torch.rand(5, 32, 32), torch.ones(5, 32, 32)
    with torch.inference_mode():
        whole = network(gray[None], mask[None])
        parts = network.judge_in_parts(gray, mask, at_once)
    torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(parts.relevance, whole.relevance, rtol=1e-4, atol=1e-5)


def test_the_order_of_slices_counts_for_the_network() -> None:
    torch.manual_seed(0)
    network = CovidAttentionNet(SMALL).eval()
    features = torch.randn(1, 6, network.lstm.input_size)
    with torch.inference_mode():
        assert not torch.allclose(
            network.judge(features).logits, network.judge(features.flip(1)).logits
        )


def test_recurrent_weights_start_with_a_variance_of_a_hundredth() -> None:
    network = CovidAttentionNet(Shape("tu-resnet10t", lstm_width=64))
    assert network.lstm.weight_hh_l0.var().item() == pytest.approx(0.01, rel=0.1)
    assert not network.lstm.bias_hh_l0.any()


def test_by_volume_no_running_statistics_are_kept() -> None:
    network = CovidAttentionNet(Shape("tu-resnet10t", lstm_width=4, attention_width=4))
    assert not [name for name, _ in network.encoder.named_buffers()]
    network.start_recurrence(0.01)
    assert network.lstm.weight_ih_l0.std().item() == pytest.approx(0.01, rel=0.1)
    frozen = CovidAttentionNet(SMALL).train()
    assert frozen.training
    assert not any(m.training for m in frozen.modules() if isinstance(m, nn.BatchNorm2d))


def test_the_temperature_makes_probabilities_as_sure_as_they_are_right() -> None:
    """Three of four right count 4 / 5, the fourth 2 / 3: the probability is 41 / 60 on the mean."""
    logits = np.array([[5.0, 0.0]] * 4)
    temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))
    assert 5 / temperature == pytest.approx(np.log(41 / 19), rel=1e-2)


def test_a_few_volumes_told_right_do_not_make_the_answer_certain() -> None:
    """Two of each class count 3 / 4, however far apart their logits are."""
    logits = np.array([[3.0, 0.0], [3.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    temperature = fit_temperature(logits, np.array([0, 0, 1, 1]))
    assert 3 / temperature == pytest.approx(np.log(3), rel=1e-2)


def test_cross_entropy_is_as_worked_out_by_hand() -> None:
    found = cross_entropy(np.array([[np.log(3), 0.0]]), np.array([[0.5, 0.5]]))
    assert found == pytest.approx(-0.5 * np.log(0.75) - 0.5 * np.log(0.25))


def test_a_volume_is_changed_alike_on_every_slice() -> None:
    config = AugmentConfig(noise=0.0)
    changed = VolumeAugment(config, 3.0, (32, 48), (1, 2, 3))
    random = np.random.default_rng(0)
    gray = random.integers(0, 255, (32, 48), np.uint8)
    mask = (gray > 90).astype(np.uint8)
    first, second = changed.slice(gray, mask), changed.slice(gray, mask)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    other = VolumeAugment(config, 3.0, (32, 48), (1, 2, 4)).slice(gray, mask)
    assert not np.array_equal(other[0], first[0])


def test_without_strength_nothing_is_changed() -> None:
    still = AugmentConfig(
        rotation_deg=0.0, scale=(1.0, 1.0), aspect=0.0, shift=0.0, flip=0.0, contrast=(1.0, 1.0),
        brightness=0.0, gamma=(1.0, 1.0), noise=0.0, blur_px=0.0,
    )  # fmt: skip
    gray = np.arange(32 * 48, dtype=np.uint32).reshape(32, 48).astype(np.uint8)
    mask = (gray > 90).astype(np.uint8)
    seen, inside = VolumeAugment(still, 0.0, (32, 48), (0,)).slice(gray, mask)
    np.testing.assert_allclose(seen, gray / 255, atol=1e-5)
    np.testing.assert_array_equal(inside, mask)


def test_classes_are_drawn_equally_often_and_the_same_for_one_epoch(cohort_table: Path) -> None:
    cases = Cohort.read([cohort_table]).cases
    known = {label: [c for c in cases if c.label == label] for label in CLASSES}
    rare = [known["healthy"][0], *known["pneumonia"][:3]]
    volumes = VolumeDataset(rare, CLASSES, Preparation((32, 32)))
    empty = np.zeros((1, 32, 32), np.uint8)
    failed = PreparedVolume(empty, empty, np.arange(1), 1, (Note(HULL_FAILED, "No."),))
    sound = PreparedVolume(empty, empty, np.arange(1), 1)
    volumes._kept.update({0: sound, 1: sound, 2: sound, 3: failed})
    sampler = VolumeSampler(volumes, 400, 0, rebalance=True)
    drawn = [index for _, index in sampler]
    assert np.mean([volumes.labels[index] for index in drawn]) == pytest.approx(0.5, abs=0.08)
    assert set(drawn) == {0, 1, 2}
    assert list(sampler) == list(sampler)
    sampler.set_epoch(1)
    assert [index for _, index in sampler] != drawn


def test_prepared_volumes_are_kept_on_disk(cohort_table: Path, tmp_path: Path) -> None:
    case = Cohort.read([cohort_table]).cases[0]
    made = VolumeDataset([case], CLASSES, Preparation((32, 48)), tmp_path)[0]
    (file,) = tmp_path.glob("*.npz")
    written = file.stat().st_mtime_ns
    again = VolumeDataset([case], CLASSES, Preparation((32, 48)), tmp_path)[0]
    assert file.stat().st_mtime_ns == written
    torch.testing.assert_close(again["gray"], made["gray"])
    VolumeDataset([case], CLASSES, Preparation((32, 48), enhancement="tone"), tmp_path)[0]
    assert len(list(tmp_path.glob("*.npz"))) == 2


def test_a_case_of_no_known_class_is_refused(cohort_table: Path) -> None:
    case = Cohort.read([cohort_table]).cases[0].model_copy(update={"label": "else"})
    with pytest.raises(CohortError, match="else"):
        VolumeDataset([case], CLASSES, Preparation((32, 32)))


def test_of_several_volumes_a_step_each_gives_as_many_slices(cohort_table: Path) -> None:
    cases = Cohort.read([cohort_table]).split("train")[:3]
    settings = ["batch_size=3", "slices=40", "draws_per_epoch=3"]
    batch = next(iter(Module.train_data(Config.load(SMOKE, settings), cases)))
    assert batch["gray"].shape == (3, 40, 32, 32)
    one = next(iter(Module.train_data(Config.load(SMOKE, ["slices=40"]), cases)))
    assert one["gray"].shape[1] < 40


def test_devices_share_the_draws_of_an_epoch(
    cohort_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = Cohort.read([cohort_table]).split("train")
    dataset = VolumeDataset(cases, CLASSES, Preparation((32, 32)))
    sampler = VolumeSampler(dataset, 9, seed=0, rebalance=True)
    alone = list(sampler)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr("groundglass.data.slices._processes", lambda rank=rank: (rank, 2))
        shares.append(list(sampler))
        assert len(sampler) == 4
    assert shares == [alone[0:8:2], alone[1:9:2]]


def test_slices_of_a_batch_are_answered_as_one_volume() -> None:
    module = Module.start(Config.load(SMOKE, []), []).eval()
    with torch.inference_mode():
        assert module.answer(torch.rand(3, 1, 32, 32)).logits.shape == (1, len(CLASSES))


def test_the_body_learns_at_a_rate_of_its_own() -> None:
    module = Module.start(Config.load(SMOKE, ["body_rate=0.2", "learning_rate=0.01"]), [])
    body, head = make_optimizer(module.parameters_to_train(), module.config).param_groups
    assert (body["lr"], head["lr"]) == (pytest.approx(0.002), 0.01)
    assert len(body["params"]) == len(list(module.network.encoder.parameters()))
    count = len(list(module.network.parameters()))
    assert len(body["params"]) + len(head["params"]) == count


def test_a_hull_that_fails_is_said_and_the_lungs_take_its_place(phantom: Phantom) -> None:
    preparation = Preparation((32, 32))
    assert not prepare(phantom.scan, phantom.lungs, preparation).mask_failed
    everywhere = np.where(np.arange(128) < 64, 1, 2) * np.ones_like(phantom.lungs.array)
    wrong = Mask.on(phantom.scan, everywhere.astype(np.uint8), Lung)
    volume = prepare(phantom.scan, wrong, preparation)
    assert volume.mask_failed
    assert "covers" in volume.notes[0].message
    assert volume.mask.any(axis=(1, 2)).all()


def test_the_card_of_a_run_holds_its_classes_and_its_temperature(cohort_table: Path) -> None:
    config = Config.load(SMOKE, [])
    module = Module.start(config, [])
    card = read_card(home("covid_attention_net") / "card.yaml")
    cases = Cohort.read([cohort_table]).cases[:1]
    settled = settle(module, card, cases)
    assert settled.labels == config.classes
    assert 0.2 < float(settled.network["temperature"]) <= 10  # type: ignore[arg-type]
    assert settle(module, card, ()).network["temperature"] == 1.0
