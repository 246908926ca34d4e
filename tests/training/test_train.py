import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from safetensors.torch import save_file

from groundglass.data.cohort import Case, Cohort
from groundglass.errors import CohortError, ConfigError, UnknownNameError, WeightsError
from groundglass.systems import SYSTEMS
from groundglass.systems.baseline_unet.training import Config, Module
from groundglass.systems.card import find_recipe, home
from groundglass.training.start_weights import take_start_weights
from groundglass.training.train import train
from tests.training.tiny import QUICK, write_tiny_cohort

SMOKE = home("baseline_unet") / "smoke.yaml"


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"augment\.noize"):
        Config.load(SMOKE, ["augment.noize=0.1"])


def test_a_setting_reaches_its_place() -> None:
    config = Config.load(SMOKE, ["augment.noise=0.125", "seed=7"])
    assert config.augment.noise == 0.125
    assert config.seed == 7


def test_a_setting_without_equals_is_refused() -> None:
    with pytest.raises(ConfigError, match="key=value"):
        Config.load(SMOKE, ["seed"])


def test_other_settings_have_another_digest() -> None:
    assert Config.load(SMOKE, []).digest() != Config.load(SMOKE, ["seed=1"]).digest()


def test_a_digest_stays_when_settings_come_that_a_run_does_not_use() -> None:
    assert Config.load(SMOKE, []).digest() == "04acfc1e9ce2", "as before there were later settings"
    assert Config.load(SMOKE, ["schedule=constant"]).digest() != "04acfc1e9ce2"


def test_an_unknown_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="baseline_unet"):
        train("unet", [], tmp_path)


def test_a_recipe_beside_the_card_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("baseline_unet", Path("smoke.yaml")) == SMOKE
    Path("smoke.yaml").write_text("epochs: 3")
    assert find_recipe("baseline_unet", Path("smoke.yaml")) == Path("smoke.yaml")
    for name in ("classes.yaml", "card.yaml", "folder/recipe.yaml"):
        with pytest.raises(ConfigError, match=rf"found no '{Path(name).name}'.*recipe\.yaml"):
            find_recipe("baseline_unet", Path(name))
    with pytest.raises(ConfigError, match=r"recipe_classes\.yaml, recipe_paper"):
        train("covid_ct_mask_net", [], tmp_path / "run", recipe=Path("recipe_classe.yaml"))


def test_a_finished_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("system: baseline_unet\n")
    with pytest.raises(ConfigError, match="resume it or name another"):
        train("baseline_unet", [], tmp_path, recipe=SMOKE)
    assert (tmp_path / "config.yaml").read_text() == "system: baseline_unet\n"


STAGES = [
    ("ss_inf_net", ["stage=kinds", "kinds=unet"], "the first network"),
    (
        "covid_ct_mask_net",
        ["stage=classes", "trained=S", "network.ranked=8", "monitor=val/accuracy"],
        "Mask R-CNN",
    ),
    (
        "covid_ct_mask_net",
        ["stage=classes", "trained=all", "network.ranked=8", "monitor=val/accuracy"],
        "Mask R-CNN",
    ),
    ("lung_unet", ["views=both", "trains=sagittal"], "the network of the axial view"),
    ("lung_unet", ["views=both", "trains=axial"], "the network of the sagittal view"),
    ("spatio_temporal_rcnn", ["stage=temporal"], "the spatial resolver"),
]
"""Systems in a stage that leaves a part of the network as ``start_weights`` give it."""


@pytest.mark.parametrize(("system", "settings", "part"), STAGES)
def test_a_stage_does_not_stand_on_a_random_network(
    system: str, settings: list[str], part: str, tmp_path: Path
) -> None:
    recipe = home(system) / "smoke.yaml"
    table = write_tiny_cohort(tmp_path)
    with pytest.raises(ConfigError, match=f"stands on {part}, .* set start_weights="):
        train(system, [table], tmp_path / "run", recipe=recipe, overrides=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spoiled", ["missing", "of another shape"])
@pytest.mark.parametrize(("system", "settings", "part"), STAGES)
def test_a_stage_does_not_stand_on_a_network_that_is_random_in_part(
    system: str, settings: list[str], part: str, spoiled: str, tmp_path: Path
) -> None:
    parts = import_module(f"groundglass.systems.{system}.training")
    config = parts.Config.load(home(system) / "smoke.yaml", settings)
    module, file = parts.Module.start(config, []), tmp_path / "weights.safetensors"
    stored = {name: value.clone() for name, value in module.network.state_dict().items()}
    whole = config.stands_on()
    inside = [name for name in stored if name.startswith(whole.prefix)]
    assert 0 < len(inside) < len(stored)
    save_file({name: stored[name] for name in inside}, file)
    take_start_weights(module.network, file, module.fit_start_weights, whole)
    value = stored.pop(inside[-1])
    if spoiled == "of another shape":
        stored[inside[-1]] = value.new_zeros((*value.shape, 2))
    save_file(stored, file)
    with pytest.raises(WeightsError, match=f"without 1 weights of {part}, such as '{inside[-1]}'"):
        take_start_weights(module.network, file, module.fit_start_weights, whole)


def test_a_training_behind_a_network_that_is_random_in_part_does_not_begin(tmp_path: Path) -> None:
    parts = import_module("groundglass.systems.ss_inf_net.training")
    smoke, settings = home("ss_inf_net") / "smoke.yaml", ["stage=kinds", "kinds=unet"]
    stored = parts.build_network(parts.Config.load(smoke, settings)).state_dict()
    stored.pop(next(name for name in stored if name.startswith("lesion.")))
    file = tmp_path / "weights.safetensors"
    save_file(stored, file)
    settings += [f"start_weights={file}", "devices=cpu"]
    with pytest.raises(WeightsError, match="weights of the first network"):
        train(
            "ss_inf_net",
            [write_tiny_cohort(tmp_path)],
            tmp_path / "run",
            recipe=smoke,
            overrides=settings,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_system_shows_first_needs_no_start_weights(system: str) -> None:
    parts = import_module(f"groundglass.systems.{system}.training")
    assert not parts.Config.load(home(system) / "smoke.yaml", []).stands_on()


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (["draws_per_epoch=4", "batch_size=5", "devices=cpu"], "5 x 1"),
        (["draws_per_epoch=7", "batch_size=4", "devices=cpu:2"], "4 x 2"),
    ],
)
def test_an_epoch_without_a_step_is_refused(
    settings: list[str], found: str, tmp_path: Path
) -> None:
    table = write_tiny_cohort(tmp_path)
    with pytest.raises(ConfigError, match=rf"found draws_per_epoch=\d, .*{found}"):
        train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("system", "kind"), [("lung_unet", "lungs"), ("spatio_temporal_rcnn", "lesions")]
)
def test_cases_of_which_nothing_is_known_teach_nothing(
    system: str, kind: str, tmp_path: Path
) -> None:
    unknown = {kind: None, f"{kind}_values": ""}
    made = Cohort.read([write_tiny_cohort(tmp_path)]).split("train")
    cases = [case.model_copy(update=unknown) for case in made]
    parts = import_module(f"groundglass.systems.{system}.training")
    config = parts.Config.load(home(system) / "smoke.yaml", [])
    with pytest.raises(CohortError, match=f"whose {kind} are known, .* column {kind}"):
        parts.Module.train_data(config, cases)
    assert len(parts.Module.train_data(config, [*cases, *made]).dataset) == len(made)


@pytest.mark.parametrize(
    "system", ["baseline_unet", "covid_ct_mask_net", "ss_inf_net", "spatio_temporal_rcnn"]
)
def test_radiographs_and_series_are_not_taken_for_slices(system: str, tmp_path: Path) -> None:
    made = Cohort.read([write_tiny_cohort(tmp_path)]).split("train")
    chests = [case.model_copy(update={"modality": "radiograph"}) for case in made]
    series = made[0].model_copy(update={"image": tmp_path})
    parts = import_module(f"groundglass.systems.{system}.training")
    config = parts.Config.load(home(system) / "smoke.yaml", [])
    others = [*chests, series]
    for data in (parts.Module.train_data, parts.Module.val_data):
        assert data(config, [*others, *made]).dataset.cases == tuple(made)
        with pytest.raises(CohortError, match="found no CT slice"):
            data(config, others)
    assert not parts.Module.with_truth(config, others)


def test_a_share_of_the_patients_is_all_that_a_run_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data hook of a run is given one of the patients, with the share that asks for it."""

    class SeenError(Exception):
        pass

    def see(config: object, cases: tuple[Case, ...]) -> None:
        raise SeenError(sorted({case.patient for case in cases}))

    monkeypatch.setattr(Module, "train_data", staticmethod(see))
    table = write_tiny_cohort(tmp_path)
    for share, count in (("1.0", 2), ("0.5", 1)):
        with pytest.raises(SeenError) as seen:
            train(
                "baseline_unet",
                [table],
                tmp_path / share,
                recipe=SMOKE,
                overrides=[*QUICK, f"patients_share={share}"],
            )
        assert len(seen.value.args[0]) == count


@pytest.mark.parametrize(
    ("system", "settings", "stays"),
    [
        ("ss_inf_net", ["stage=kinds", "kinds=unet"], "lesion"),
        ("lung_unet", ["views=both", "trains=sagittal"], "axial"),
        ("spatio_temporal_rcnn", ["stage=temporal"], "spatial"),
    ],
)
def test_what_a_stage_leaves_as_it_is_asks_for_no_gradient(
    system: str, settings: list[str], stays: str
) -> None:
    """Processes that train together would wait for it."""
    parts = import_module(f"groundglass.systems.{system}.training")
    module = parts.Module.start(parts.Config.load(home(system) / "smoke.yaml", settings), [])
    module.freeze_the_rest()
    learning = {id(parameter) for parameter in module.parameters_to_train()}
    assert learning
    for name, parameter in module.network.named_parameters():
        assert parameter.requires_grad == (id(parameter) in learning), name
    assert not any(p.requires_grad for p in getattr(module.network, stays).parameters())


@pytest.mark.slow
def test_processes_train_a_stage_that_leaves_parts_out(tmp_path: Path) -> None:
    """The spatial stage asks nothing of the detector, for whose gradient they would wait."""
    table = write_tiny_cohort(tmp_path)
    begin = ["--data", str(table), "--out", str(tmp_path / "run")]
    recipe = ["--recipe", str(home("spatio_temporal_rcnn") / "smoke.yaml")]
    small = ["stage=spatial", "epochs=1", "draws_per_epoch=8", "batch_size=2", "keep=last"]
    command = [sys.executable, "-m", "groundglass", "train", "spatio_temporal_rcnn", *begin]
    settings = [f"--set={setting}" for setting in small]
    done = subprocess.run(
        [*command, *recipe, *settings, "--device", "cpu:2"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        *("patience=0", "average_decay=1.5", "learning_rate=-0.001", "step_epochs=0"),
        *("momentum=-1", "augment.scale=[0, 1]", "augment.cutout=1.2", "seed=5000000000"),
    ],
)
def test_settings_beyond_their_range_are_refused_before_a_run_begins(
    tmp_path: Path, wrong: str
) -> None:
    field = wrong.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"found a wrong setting {field}"):
        train(
            "baseline_unet",
            [write_tiny_cohort(tmp_path)],
            tmp_path / "run",
            recipe=SMOKE,
            overrides=[wrong],
        )
    assert not (tmp_path / "run").exists()
