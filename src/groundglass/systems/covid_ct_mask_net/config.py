"""What a training of COVID-CT-Mask-Net is made of, and which settings go together."""

from typing import Literal, Self

from pydantic import model_validator

from groundglass.errors import ConfigError
from groundglass.metrics.classes import ClassCounts
from groundglass.systems.covid_ct_mask_net.settings import NetworkConfig
from groundglass.training.config import NetworkPart, NetworkSetting, RunConfig

Stage = Literal["lesions", "classes"]
Trained = Literal["all", "heads", "S", "S+BN"]

PRECISIONS = {
    f"{kind}_{name}": f"{prefix}_{key}"
    for kind, prefix in (("mask", "segm"), ("box", "bbox"))
    for name, key in (("ap", "map"), ("ap50", "map_50"), ("ap75", "map_75"))
}
"""What the stage ``lesions`` is judged by, with the names that torchmetrics has for it."""

_TRAINED: dict[Stage, tuple[Trained, ...]] = {
    "lesions": ("all", "heads"),
    "classes": ("S", "S+BN", "all"),
}


class Config(RunConfig):
    """Settings of COVID-CT-Mask-Net.

    Attributes:
        stage: ``lesions`` trains Mask R-CNN, ``classes`` module S behind a Mask R-CNN that is given
            by ``start_weights``.
        network: Shape of both.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        trained: What learns. In the stage ``lesions``: ``all``, or the ``heads``, all but the
            encoder. In the stage ``classes``: module ``S``; ``S+BN``, with scale and offset of the
            encoder's batch normalization; or ``all``.
        statistics: Whether the encoder's batch statistics are ``frozen`` as they come from its
            start weights, or ``trained``. In the stage ``classes`` they are frozen.
        least_lesion_px: Pixels of the input below which a part of a mask is no instance.

    Raises:
        ConfigError: If settings contradict each other, or there is no metric of that name.
    """

    stage: Stage = "lesions"
    network: NetworkConfig
    encoder_weights: str
    trained: Trained = "all"
    statistics: Literal["frozen", "trained"] = "frozen"
    least_lesion_px: int = 16

    @model_validator(mode="after")
    def _settings_go_together(self) -> Self:
        known = _TRAINED[self.stage]
        if self.trained not in known:
            raise ConfigError(
                f"found trained '{self.trained}' in stage {self.stage}, expected one of "
                f"{', '.join(known)}; set trained"
            )
        if self.trained == "heads" and self.statistics == "trained":
            raise ConfigError(
                "found trained 'heads' with statistics 'trained', expected an encoder that stays "
                "as it is; set statistics=frozen, or trained=all"
            )
        if self.stage == "classes" and not self.network.ranked:
            raise ConfigError(
                "found stage classes with network.ranked 0, expected the number of boxes that "
                "module S looks at; set network.ranked, such as 256"
            )
        measured = self._measured()
        watched = self.keep == "best" or self.patience is not None
        if watched and self.monitor.startswith("val/") and self.monitor not in measured:
            raise ConfigError(
                f"found monitor '{self.monitor}' in stage {self.stage}, expected one of "
                f"{', '.join(measured)}; set monitor"
            )
        return self

    def network_settings(self) -> dict[str, NetworkSetting]:
        """The shape of both networks."""
        settings: dict[str, NetworkSetting] = self.network.model_dump(mode="json")
        return settings

    def stands_on(self) -> NetworkPart | None:
        """Mask R-CNN, where module S learns behind it, alone or with more."""
        return NetworkPart("Mask R-CNN", "lesions.") if self.stage == "classes" else None

    def answers(self) -> tuple[str, ...]:
        """Boxes and masks as long as Mask R-CNN is what it was trained to be, and classes."""
        if self.stage == "lesions":
            return "segment", "detect"
        return ("segment", "detect", "classify") if self.trained == "S" else ("classify",)

    def _measured(self) -> list[str]:
        """Metrics of the validation split, as they are logged."""
        names, classes = list(PRECISIONS), self.network.classes
        if self.stage == "classes":
            names = list(ClassCounts(len(classes)).summary(classes))
        return [f"val/{name}" for name in names]
