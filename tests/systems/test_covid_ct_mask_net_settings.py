"""COVID-CT-Mask-Net refuses settings, start weights and cases that it cannot learn from."""

from pathlib import Path

import pytest
import torch

from groundglass.data.cohort import Cohort
from groundglass.errors import CohortError, ConfigError, WeightsError
from groundglass.systems.card import home
from groundglass.systems.covid_ct_mask_net.backbone import Backbone
from groundglass.systems.covid_ct_mask_net.network import build_network
from groundglass.systems.covid_ct_mask_net.training import Config, Module
from groundglass.training.run import save_weights
from groundglass.training.start_weights import take_start_weights
from tests.systems.system_tester import cohort_table

__all__ = ["cohort_table"]

CLASSES = (
    *("stage=classes", "network.ranked=24", "network.class_units=16", "trained=S"),
    "monitor=val/accuracy",
)


def config(*overrides: str) -> Config:
    return Config.load(home("covid_ct_mask_net") / "smoke.yaml", list(overrides))


def test_strides_that_no_encoder_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="strides"):
        Backbone("resnet18", (16, 8), 0, 8)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trained=S",), "found trained 'S'"),
        (("stage=classes", "trained=S"), "network.ranked"),
        ((*CLASSES, "trained=heads"), "found trained 'heads'"),
        (("trained=heads", "statistics=trained"), "statistics=frozen, or trained=all"),
        ((*CLASSES, "monitor=val/mask_ap50"), "expected one of val/accuracy"),
        (("monitor=val/lesion_dice",), "expected one of val/mask_ap, "),
        ((*CLASSES, "monitor=val/sensitivity_COVID"), "val/sensitivity_COVID-19"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        config(*overrides)


def test_what_is_logged_in_validation_can_be_monitored() -> None:
    assert config("monitor=val/box_ap75").monitor == "val/box_ap75"
    assert config(*CLASSES, "monitor=val/sensitivity_COVID-19").stage == "classes"
    assert config("monitor=train/loss", "monitor_mode=min").monitor == "train/loss"
    assert config("monitor=val/anything", "keep=last").keep == "last"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("classes=[]", "expected two or more that differ"),
        ("classes=[a]", "expected two or more that differ"),
        ("classes=[a, a]", "expected two or more that differ"),
        ("anchor_sizes_px=[]", "at least 1 item"),
        ("anchor_ratios=[0.0]", "greater than 0"),
        ("mask_channels=[]", "at least 1 item"),
        ("roi_nms=7", "less than or equal to 1"),
        ("coarser_levels=-2", "greater than or equal to 0"),
        ("proposals=0", "greater than or equal to 1"),
    ],
)
def test_networks_that_cannot_work_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"network.{setting.partition('=')[0]}.*{message}"):
        config(f"network.{setting}")


@pytest.mark.parametrize(
    ("encoder", "strides", "message"),
    [
        ("tu-swin_tiny_patch4_window7_224", (8, 16), "expected one for inputs of any size"),
        ("tu-convnext_atto", (2, 4), "without features at stride 2"),
    ],
)
def test_encoders_that_cannot_stand_below_a_pyramid_are_refused(encoder, strides, message) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        Backbone(encoder, strides, 0, 8)


def test_batch_normalization_is_not_trained_where_there_is_none() -> None:
    overrides = (*CLASSES, "trained=S+BN", "network.encoder=tu-convnext_atto")
    with pytest.raises(ConfigError, match=r"'S\+BN' with encoder 'tu-convnext_atto'"):
        Module.start(config(*overrides), [])


def test_module_s_does_not_learn_behind_a_mask_rcnn_that_is_partly_random(tmp_path: Path) -> None:
    """Of a run that tells kinds, a network of merged kinds takes neither scores nor masks."""
    weights = tmp_path / "weights.safetensors"
    save_weights(build_network(config("network.kinds=both").network), weights)
    for trained in ("S", "S+BN", "all"):
        settings = config(*CLASSES, f"trained={trained}", "network.kinds=merged")
        network = build_network(settings.network)
        with pytest.raises(
            WeightsError, match=r"weights of Mask R-CNN, such as 'lesions\.roi_head"
        ):
            take_start_weights(network, weights, whole=settings.stands_on())
    same = config(*CLASSES, "network.kinds=both")
    taken = take_start_weights(build_network(same.network), weights, whole=same.stands_on())
    assert all(name.startswith("classes.") for name in taken.only_in_network)
    lesions = config("network.kinds=merged")
    network = build_network(lesions.network)
    assert take_start_weights(network, weights, whole=lesions.stands_on()).other_shape


def test_radiographs_are_not_learned_as_slices(cohort_table: Path) -> None:
    cases = [
        case.model_copy(update={"label": "control"})
        for case in Cohort.read([cohort_table]).split("train")
    ]
    cases[0] = cases[0].model_copy(update={"modality": "radiograph", "label": "normal"})
    for chosen in (config(), config(*CLASSES)):
        for data in (Module.train_data, Module.val_data):
            assert data(chosen, cases).dataset.cases == tuple(cases[1:])
            with pytest.raises(CohortError, match="no CT slice among 1"):
                data(chosen, cases[:1])
        assert Module.with_truth(chosen, cases) == cases[1:]
