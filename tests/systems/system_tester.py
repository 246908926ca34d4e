"""What every system must pass: subclass ``SystemTester`` and name the system."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.data.phantom import Phantom, make_phantom
from groundglass.intensity import window_hu
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTSlices, Source
from groundglass.systems import load_card, load_system
from groundglass.systems.card import home
from groundglass.training.module import SystemModule
from groundglass.training.train import train
from groundglass.weights import sha256_of


class PulledPlugError(Exception):
    """Stops a training in a test."""


def networks_of(system: object) -> list[nn.Module]:
    """The networks that a system holds."""
    found = [part for part in vars(system).values() if isinstance(part, nn.Module)]
    assert found
    return found


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return make_phantom(3, shape=(24, 96, 128))


@pytest.fixture(scope="session")
def pictures(phantom: Phantom) -> CTSlices:
    """Four slices of the phantom as pictures of two sizes."""
    shown = [(window_hu(phantom.scan.slices[k]) * 255).astype(np.uint8) for k in (8, 11, 14)]
    shown.append(np.ascontiguousarray(shown[1][4:-6, 8:-8]))
    return CTSlices(("a", "b", "c", "d"), tuple(shown), Source("pictures", "pictures"))


@pytest.fixture(scope="session")
def cohort_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of phantom slices, three patients, one in each split."""
    folder = tmp_path_factory.mktemp("cohort")
    cases = []
    for seed, split in enumerate(("train", "val", "test")):
        made = make_phantom(seed, shape=(24, 96, 128))
        for k in (8, 11, 14):
            gray = (window_hu(made.scan.slices[k]) * 255).astype(np.uint8)
            files = {
                "image": gray,
                "lungs": (made.lungs.array[k] > 0).astype(np.uint8) * 255,
                "lesions": made.lesions.array[k] % 4,  # an effusion lies outside the lungs
            }
            for kind, pixels in files.items():
                cv2.imwrite(str(folder / f"{seed}-{k}-{kind}.png"), pixels)
            cases.append(
                Case.model_validate(
                    {
                        "case": f"{seed}-{k}",
                        "patient": f"phantom {seed}",
                        "split": split,
                        **{kind: folder / f"{seed}-{k}-{kind}.png" for kind in files},
                        "lungs_values": "255:both",
                        "lesions_values": "1:1 2:2 3:3",
                    }
                )
            )
    write_cohort(cases, folder / "cohort.csv")
    return folder / "cohort.csv"


@pytest.mark.usefixtures("one_thread")
class SystemTester:
    """Checks that hold for every system.

    Attributes:
        name: Name of the system.
        parameters_m: Parameters at its shipped size, in millions.
        recipe: Recipe of the network that its card describes.
        published_settings: Settings that make the network of the publication from the recipe.
        published_parameters_m: Parameters that the publication states, in millions, if it does.

    A system that does not segment overrides ``answer``; one that does not learn from slices
    overrides ``two_cases``, and the fixture ``cohort_table`` beside its tests.
    """

    name: str
    parameters_m: float
    recipe: str = "recipe.yaml"
    published_settings: tuple[str, ...] = ()
    published_parameters_m: float | None = None

    def answer(self, system: object, phantom: Phantom) -> np.ndarray:
        """What a system says of the phantom, as numbers; its lesions, unless overridden."""
        lesions = system.segment(phantom.scan, phantom.lungs)  # type: ignore[attr-defined]
        return np.asarray(lesions.array)

    def two_cases(self, config: object, table: Path) -> dict[str, torch.Tensor]:
        """A batch of two training cases; slices, unless overridden."""
        return {key: value[:2] for key, value in self._batch(config, table).items()}

    def needs_lesions(self) -> None:
        """Skip what holds for systems that segment alone."""
        if "segment" not in load_card(self.name).answers:
            pytest.skip("the system does not segment")

    @pytest.fixture
    def one_thread(self) -> None:
        torch.set_num_threads(1)

    @pytest.fixture
    def parts(self) -> ModuleType:
        return import_module(f"groundglass.systems.{self.name}.training")

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, cohort_table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A run of the smoke recipe."""
        folder = tmp_path_factory.mktemp("runs") / "smoke"
        train(cls.name, [cohort_table], folder, recipe=home(cls.name) / "smoke.yaml")
        return folder

    def test_the_card_names_the_system(self) -> None:
        assert load_card(self.name).name == self.name

    def test_the_recipe_builds_the_network_of_the_card(self, parts: ModuleType) -> None:
        config = parts.Config.load(home(self.name) / self.recipe, ["encoder_weights=none"])
        network = parts.build_network(config)
        parameters_m = sum(p.numel() for p in network.parameters()) / 1e6
        assert parameters_m == pytest.approx(self.parameters_m, abs=0.01)
        assert load_card(self.name).size_px == config.size_px

    def test_the_network_of_the_publication_has_its_size(self, parts: ModuleType) -> None:
        if self.published_parameters_m is None:
            pytest.skip("the publication states no number of parameters")
        settings = ["encoder_weights=none", *self.published_settings]
        config = parts.Config.load(home(self.name) / "recipe.yaml", settings)
        with torch.device("meta"):  # counted without room for the weights
            network = parts.build_network(config)
        parameters_m = sum(p.numel() for p in network.parameters()) / 1e6
        assert parameters_m == pytest.approx(self.published_parameters_m, rel=0.01)

    def test_shipped_weights_are_those_of_the_card(self) -> None:
        card = load_card(self.name)
        if card.weights is None:
            pytest.skip("the system ships no weights")
        file = home(self.name) / card.weights.file
        assert sha256_of(file) == card.weights.sha256
        assert card.weights.parameters_m == pytest.approx(self.parameters_m, abs=0.01)
        assert card.weights.license
        assert load_system(self.name).card == card

    def test_every_parameter_gets_a_finite_gradient(
        self, parts: ModuleType, cohort_table: Path
    ) -> None:
        config = parts.Config.load(home(self.name) / "smoke.yaml", [])
        module = parts.Module.start(config, [])
        module.losses(self.two_cases(config, cohort_table))["loss"].backward()
        for name, parameter in module.network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name

    def test_a_loss_is_told_no_case_of_which_nothing_is_known(
        self, parts: ModuleType, cohort_table: Path
    ) -> None:
        config = parts.Config.load(home(self.name) / "smoke.yaml", [])
        nothing = {"lungs": None, "lesions": None, "lungs_values": "", "lesions_values": ""}
        nothing |= {"label": ""}
        cases = [c.model_copy(update=nothing) for c in Cohort.read([cohort_table]).cases]
        assert list(parts.Module.with_truth(config, cases)) == []

    def test_it_learns_two_slices_by_heart(self, parts: ModuleType, cohort_table: Path) -> None:
        config = parts.Config.load(home(self.name) / "smoke.yaml", [])
        torch.manual_seed(0)
        module = parts.Module.start(config, [])
        batch = self.two_cases(config, cohort_table)
        optimizer = torch.optim.Adam(module.network.parameters(), 1e-2)
        losses = []
        for _ in range(30):
            loss = module.losses(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]

    def test_a_run_is_a_system(self, run: Path, phantom: Phantom, pictures: CTSlices) -> None:
        self.needs_lesions()
        system = load_system(str(run))
        lesions = system.segment(phantom.scan, phantom.lungs)
        assert lesions.labels is Lesion
        assert lesions.same_grid(phantom.lungs)
        lungs = self._lungs_of(pictures)
        assert system.segment(pictures, lungs).same_grid(lungs)

    def test_the_same_scan_gives_the_same_answer(self, run: Path, phantom: Phantom) -> None:
        first = self.answer(load_system(str(run)), phantom)
        second = self.answer(load_system(str(run)), phantom)
        np.testing.assert_array_equal(first, second)

    def test_weights_are_kept_in_half_precision_and_used_in_full(self, run: Path) -> None:
        stored = load_file(run / "weights.safetensors")
        kinds = {value.dtype for value in stored.values() if value.is_floating_point()}
        assert kinds == {torch.float16}
        for network in networks_of(load_system(str(run))):
            assert all(p.dtype == torch.float32 for p in network.parameters())

    def test_use_runs_on_the_cpu_and_keeps_no_gradients(self, run: Path, phantom: Phantom) -> None:
        system = load_system(str(run), "cpu")
        networks = networks_of(system)
        learning = []
        for network in networks:
            for part in network.modules():
                part.register_forward_hook(lambda *_: learning.append(torch.is_grad_enabled()))
            assert not network.training
            assert {p.device.type for p in network.parameters()} == {"cpu"}
        self.answer(system, phantom)
        assert learning
        assert not any(learning)

    def test_no_lesion_lies_outside_the_lungs(self, run: Path, phantom: Phantom) -> None:
        self.needs_lesions()
        lesions = load_system(str(run)).segment(phantom.scan, phantom.lungs)
        assert not lesions.array[phantom.lungs.array == 0].any()

    def test_an_interrupted_run_has_the_weights_of_another_with_its_seed(
        self,
        parts: ModuleType,
        run: Path,
        cohort_table: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        begin_epoch = parts.Module.on_train_epoch_start

        def stop_in_second_epoch(module: SystemModule) -> None:
            if module.current_epoch == 1:
                raise PulledPlugError
            begin_epoch(module)

        again = tmp_path / "again"
        with monkeypatch.context() as patch:
            patch.setattr(parts.Module, "on_train_epoch_start", stop_in_second_epoch)
            with pytest.raises(PulledPlugError):
                train(self.name, [cohort_table], again, recipe=home(self.name) / "smoke.yaml")
        train(self.name, [], again, resume=True)
        weights = [(folder / "weights.safetensors").read_bytes() for folder in (run, again)]
        assert weights[0] == weights[1]

    def _batch(self, config: object, table: Path) -> dict[str, torch.Tensor]:
        from groundglass.data.slices import SliceDataset

        cases = Cohort.read([table]).split("train")
        dataset = SliceDataset(cases, config.size_px)  # type: ignore[attr-defined]
        return torch.utils.data.default_collate([dataset[k] for k in range(len(cases))])

    def _lungs_of(self, pictures: CTSlices) -> Mask:
        """Crude lungs: all that is dark, right of the picture's middle the left one."""
        masks = []
        for pixels in pictures.slices:
            sides = np.where(np.arange(pixels.shape[1]) < pixels.shape[1] // 2, 1, 2)
            masks.append(((pixels < 130) * sides).astype(np.uint8))
        return Mask.on(pictures, masks, Lung)
