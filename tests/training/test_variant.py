from pathlib import Path
from shutil import copytree

import pytest

from groundglass.errors import ConfigError, WeightsError
from groundglass.systems import load_system
from groundglass.systems.baseline_unet.training import Config
from groundglass.systems.card import read_card, write_card
from groundglass.training.run import Run
from groundglass.training.variant import make_variant
from groundglass.weights import sha256_of


def test_a_variant_has_the_weights_of_its_run_and_other_settings(
    undisturbed: Run, tmp_path: Path
) -> None:
    made = make_variant(undisturbed, tmp_path / "variant", ["threads=1", "seed=7"])
    assert sha256_of(made.weights) == sha256_of(undisturbed.weights)
    assert made.cohort.read_bytes() == undisturbed.cohort.read_bytes()
    assert made.checksums.read_bytes() == undisturbed.checksums.read_bytes()
    config = Config.load(made.config, [])
    assert (config.threads, config.seed) == (1, 7)
    assert read_card(made.card).weights.config == config.digest()
    assert load_system(str(made.folder)).card.weights.config == config.digest()


def test_what_was_found_after_training_stays_known(undisturbed: Run, tmp_path: Path) -> None:
    run = Run(copytree(undisturbed.folder, tmp_path / "run"))
    card = read_card(run.card)
    settled = next(iter(card.network))
    network = {**card.network, "temperature": 1.5, settled: 7}
    write_card(card.model_copy(update={"network": network}), run.card)
    made = make_variant(run, tmp_path / "variant", ["seed=7"])
    assert read_card(made.card).network == network


def test_a_variant_can_have_another_threshold_of_lesion(undisturbed: Run, tmp_path: Path) -> None:
    assert read_card(undisturbed.card).lesion_threshold == 0.5
    made = make_variant(undisturbed, tmp_path / "variant", ["lesion_threshold=0.7"])
    assert load_system(str(made.folder)).card.lesion_threshold == 0.7
    assert read_card(made.card).weights.config != read_card(undisturbed.card).weights.config


def test_settings_that_need_other_weights_are_refused(undisturbed: Run, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="another network"):
        make_variant(undisturbed, tmp_path / "a", ["decoder_channels=[8, 8, 8, 8, 8]"])
    with pytest.raises(ConfigError, match="no_such"):
        make_variant(undisturbed, tmp_path / "b", ["no_such=1"])
    assert not list(tmp_path.iterdir()), "nothing is left behind"
