"""How each stage of the pipeline is trained: one run for one stage."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from groundglass.data.case import Case
from groundglass.data.slices import EpochSampler
from groundglass.labels import Lesion
from groundglass.metrics.classification import Answers, best_threshold
from groundglass.metrics.segmentation import Overlap
from groundglass.networks.encoder import start_encoder
from groundglass.systems.card import Card
from groundglass.systems.specialized_streams.config import Config, names_kinds
from groundglass.systems.specialized_streams.features import FixedViews
from groundglass.systems.specialized_streams.losses import (
    any_opacity_loss,
    kinds_known,
    manifestation_loss,
    presence,
    stream_loss,
)
from groundglass.systems.specialized_streams.network import (
    SpecializedStreams,
    Stage,
    build_stages,
    labels_of,
)
from groundglass.systems.specialized_streams.pictures import (
    UNKNOWN_CLASS,
    EnhancedPictures,
    EqualSampler,
)
from groundglass.training.config import RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters

STRUCTURES = {
    Lesion.GROUND_GLASS: "ground_glass",
    Lesion.CONSOLIDATION: "consolidation",
    Lesion.UNSPECIFIED: "lesion",
    Lesion.PLEURAL_EFFUSION: "pleural_effusion",
}
"""Name of each manifestation in metrics."""


def build_network(config: Config) -> SpecializedStreams:
    """The network of a config's stage, with random weights."""
    return build_stages(config.network_settings())


class Module(SystemModule):
    """One stage in training."""

    config: Config
    network: SpecializedStreams

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in its encoders."""
        network = build_network(config)
        encoders: list[Any] = []
        if network.recognition is not None:
            encoders = [network.recognition.body]
        if network.streams is not None:
            encoders = [part.encoder for part in network.streams.networks]
        for encoder in encoders:
            start_encoder(encoder, config.encoder, config.encoder_weights)
        return cls(network, config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Augmented pictures with enhanced contrast; in recognition every group equally often."""
        assert isinstance(config, Config)
        kept = config.usable(cases)
        config.refuse_unlearnable(kept)
        classes = config.class_numbers()
        weights = [config.kinds_weight if names_kinds(case) else 1.0 for case in kept]
        sampler = EpochSampler(
            kept, config.draws_per_epoch, config.seed, config.healthy_weight, weights
        )
        if config.stage == "recognition":
            groups = [(case.modality, classes[case.label]) for case in kept]
            sampler = EqualSampler(kept, config.draws_per_epoch, config.seed, groups, config.views)
        pictures = EnhancedPictures(kept, config.size_px, config.augment, config.seed, classes)
        if config.views:
            pictures = FixedViews(
                kept, config.size_px, config.augment, config.views, classes, config.cache
            )
        # what a frozen body made of fixed views lies in this process
        workers = 0 if config.views else config.workers
        return DataLoader(
            pictures,
            batch_size=config.batch_size,
            sampler=sampler,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Every usable picture once, as it is but for its contrast."""
        assert isinstance(config, Config)
        kept = config.usable(cases)
        classes = config.class_numbers()
        pictures = EnhancedPictures(kept, config.size_px, classes=classes)
        if config.views:
            pictures = FixedViews(kept, config.size_px, classes=classes, cache=config.cache)
        return DataLoader(pictures, batch_size=config.batch_size)

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:
        """Those of which is known what the stage tells."""
        assert isinstance(config, Config)
        return config.known(cases)

    def fit_start_weights(self, stored: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a single stream, such as one of nodules, start every stream."""
        first = "streams.networks.0."
        if self.network.streams is None or any(n.startswith("streams.networks.1.") for n in stored):
            return stored
        one = {name.removeprefix(first): v for name, v in stored.items() if name.startswith(first)}
        copies = {
            f"streams.networks.{number}.{name}": value
            for number in range(len(self.network.streams.networks))
            for name, value in one.items()
        }
        return {**stored, **copies}

    def parameters_to_train(self) -> Parameters:
        """Those that are not frozen."""
        return [p for p in self.network.parameters() if p.requires_grad]

    def on_train_start(self) -> None:
        """Let a frozen body look at the fixed views once, before the last layer learns."""
        for loader in (self.trainer.train_dataloader, self.trainer.val_dataloaders):
            pictures = getattr(loader, "dataset", None)
            if isinstance(pictures, FixedViews) and self.network.recognition is not None:
                pictures.take_body(self.network.recognition)

    def logits(self, batch: Batch) -> Tensor:
        """What the stage says of pictures, or of what the body made of them."""
        if "features" in batch and self.network.recognition is not None:
            return cast("Tensor", self.network.recognition.output(batch["features"]))
        return cast("Tensor", self.network(batch["gray"]))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of the stage."""
        logits, labels = self.logits(batch), self.config.labels
        if self.config.stage == "recognition":
            loss = functional.cross_entropy(logits, batch["class"], ignore_index=UNKNOWN_CLASS)
        elif self.config.stage == "manifestations":
            loss = manifestation_loss(logits, batch["lesions"], labels, batch.get("told"))
        else:
            loss = stream_loss(logits, batch["lesions"], labels, batch.get("told"))
            if self.config.any_opacity:
                loss = loss + any_opacity_loss(logits, batch["lesions"], labels)
        return {"loss": loss}

    def on_validation_epoch_start(self) -> None:
        """Forget the answers of the epoch before."""
        super().on_validation_epoch_start()
        self._answers: list[tuple[Tensor, Tensor, Tensor]] = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Keep what was answered, or the overlaps of the streams."""
        if self.config.stage == "streams":
            super().validation_step(batch, batch_index)
        else:
            self._answers.append(self.answers(batch))

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Probabilities, truth, and whether it is known, each (case, class or manifestation)."""
        logits = self.logits(batch).float().cpu()
        if self.config.stage == "recognition":
            number = batch["class"].cpu()
            true = functional.one_hot(number.clamp_min(0), logits.shape[1])
            return logits.softmax(1), true, (number >= 0)[:, None].expand_as(true)
        shown, known = presence(batch["lesions"].cpu(), self.config.labels, _told(batch))
        return logits.sigmoid(), shown, known

    def on_validation_epoch_end(self) -> None:
        """Log Dice, or accuracy and F1 with every class or manifestation weighing the same."""
        if self.config.stage == "streams":
            super().on_validation_epoch_end()
            return
        probability, true, known = known_answers(self._answers)
        if self.config.stage == "recognition":
            said = functional.one_hot(
                torch.from_numpy(probability).argmax(1), probability.shape[1]
            ).numpy()
        else:
            said = probability >= 0.5
        told = [k for k in range(true.shape[1]) if known[:, k].any()]
        counts = [Answers.of(said[known[:, k], k] > 0, true[known[:, k], k]) for k in told]
        sensitivities = [c.sensitivity for c in counts if not np.isnan(c.sensitivity)]
        f1 = [0.0 if np.isnan(c.f1) else c.f1 for c in counts]
        right = float(np.mean(((said > 0) == true)[known]))
        if self.config.stage == "recognition":
            right = float(np.mean(said[true & known]))
            self.log("val/balanced_accuracy", float(np.mean(sensitivities)), sync_dist=True)
        self.log("val/accuracy", right, sync_dist=True)
        self.log("val/f1", float(np.mean(f1)), sync_dist=True)

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Overlaps of each manifestation, and of all of them together, for each case."""
        found = (self.network(batch["gray"]) > 0).cpu().numpy()
        told = _told(batch)
        kinds = kinds_known(batch["lesions"]).flatten(1).all(1).tolist()
        rows = []
        for index, true in enumerate(batch["lesions"].cpu().numpy()):
            row = {}
            if told is None or told[index, int(Lesion.UNSPECIFIED) - 1]:
                opacity = [label is not Lesion.PLEURAL_EFFUSION for label in self.config.labels]
                lesion = (true > 0) & (true <= Lesion.UNSPECIFIED)
                row["lesion"] = Overlap.of(found[index][opacity].any(0), lesion)
            for mask, label in zip(found[index], self.config.labels, strict=True):
                named = told is None or bool(told[index, int(label) - 1])
                if kinds[index] and named and label is not Lesion.UNSPECIFIED:
                    row[STRUCTURES[label]] = Overlap.of(mask, true == int(label))
            rows.append(row)
        return rows


def _told(batch: Batch) -> Tensor | None:
    """Which manifestations the masks of a batch tell of; ``None`` where they tell of all."""
    return batch["told"].cpu() if "told" in batch else None


def known_answers(
    answers: Sequence[tuple[Tensor, Tensor, Tensor]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Probabilities, truth, and where it is known, (case, class); cases of which nothing is go."""
    probability, true, known = (torch.cat(parts) for parts in zip(*answers, strict=True))
    kept = (known > 0).any(1)
    return probability[kept].numpy(), (true[kept] > 0).numpy(), (known[kept] > 0).numpy()


def settle(module: Module, card: Card, cases: Sequence[Case]) -> Card:
    """The card of a run: what its stage answers, and thresholds chosen on validation.

    Args:
        module: The trained stage.
        card: As the settings make it.
        cases: The validation split.
    """
    stage = module.config.stage
    if stage == "manifestations" and cases:
        module.eval()
        with torch.inference_mode():
            answers = [module.answers(b) for b in module.val_data(module.config, cases)]
        probability, true, known = known_answers(answers)
        percents = [
            round(100 * best_threshold(p[k], t[k]))
            for p, t, k in zip(probability.T, true.T, known.T, strict=True)
        ]
        settings = {**card.network, "manifestations_thresholds": percents}
        card = card.model_copy(update={"network": settings})
    return describe_stages(card, (stage,))


def describe_stages(card: Card, stages: Sequence[Stage]) -> Card:
    """The card with what its stages answer, name and look at."""
    segments = "streams" in stages
    answers = ("segment",) * segments + ("classify",) * (set(stages) != {"streams"})
    if segments:
        titles = [label.title for label in labels_of(card.network, "streams")]
    elif "manifestations" in stages:
        titles = [label.title for label in labels_of(card.network, "manifestations")]
    else:
        titles = str(card.network["recognition_classes"]).split(" | ")
    alone = stages == ("recognition",)
    modality = str(card.network["recognition_modalities"]) if alone else "ct"
    if "recognition" in stages and not alone and card.network["recognition_modalities"] != "ct":
        modality = "both"
    update = {"answers": answers, "labels": tuple(titles), "modality": modality}
    return card.model_copy(update=update)
