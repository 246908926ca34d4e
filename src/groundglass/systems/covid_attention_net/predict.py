"""COVID-Attention-Net at work: what a scan shows, and which slices say so."""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.classification import Classification
from groundglass.enhancement import Enhancement
from groundglass.mask import Mask
from groundglass.scan import Scan
from groundglass.systems.card import Card
from groundglass.systems.covid_attention_net.network import (
    Ablation,
    Answer,
    BatchNorm,
    CovidAttentionNet,
    Shape,
)
from groundglass.systems.covid_attention_net.volume import (
    LungMask,
    Preparation,
    PreparedVolume,
    Region,
    prepare,
)
from groundglass.systems.system import Progress
from groundglass.weights import load_weights

SLICES_AT_ONCE = 16
"""Slices in the body at once where that changes nothing."""


class Predictor:
    """COVID-Attention-Net with its weights.

    Args:
        card: Facts of the system; ``card.network`` rebuilds the network and its input.
        weights: Safetensors file that the card describes.
        device: ``cpu``, ``cuda`` or ``cuda:0``.

    Attributes:
        classes: Labels in the order of the network's output.
        temperature: What logits are divided by, so that probabilities mean what they say; 1 where
            they were not calibrated.

    Raises:
        WeightsError: If the file is missing or is not what the card says.
    """

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        assert card.weights is not None
        self.card = card
        self.device = device
        settings = card.network
        self.classes = tuple(cast("list[str]", settings["classes"]))
        self.preparation = Preparation(
            card.size_px,
            cast("LungMask", settings["lung_mask"]),
            cast("Region", settings["region"]),
            cast("Enhancement", settings["enhancement"]),
        )
        self.temperature = float(cast("float", settings.get("temperature", 1.0)))
        self.network = CovidAttentionNet(
            Shape(
                str(settings["encoder"]),
                len(self.classes),
                int(cast("int", settings["lstm_width"])),
                int(cast("int", settings["attention_width"])),
                cast("Ablation", settings["ablation"]),
                cast("BatchNorm", settings["batch_norm"]),
            )
        )
        load_weights(self.network, weights, card.weights.sha256)
        self.network.to(device).to(memory_format=torch.channels_last).eval()

    def classify(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Classification:
        """Class probabilities of a whole scan, and how much each slice weighed.

        Args:
            scan: CT volume or pictures, from head to feet.
            lungs: Its lungs; a slice without any has relevance 0.
            progress: Told how far it is.

        Raises:
            EmptyMaskError: If no slice shows lung.
        """
        volume = prepare(scan, lungs, self.preparation)
        if progress is not None:
            progress(0.5)
        answer = self.judge(volume)
        if progress is not None:
            progress(1.0)
        values = (answer.logits[0].cpu().double() / self.temperature).softmax(-1).numpy()
        assert self.card.weights is not None
        return Classification(
            system=self.card.name,
            weights_sha256=self.card.weights.sha256,
            probabilities=dict(zip(self.classes, values.tolist(), strict=True)),
            exclusive=True,
            relevance=self._relevance(answer, volume),
            notes=volume.notes,
            calibrated=self.temperature != 1.0,
            trained_on=self.card.weights.trained_on,
            healthy_class=self.classes[0],
        )

    def judge(self, volume: PreparedVolume) -> Answer:
        """What the network says of a prepared volume, in bounded memory."""
        at_once = (
            int(cast("int", self.card.network["slices"]))
            if self.network.shape.batch_norm == "volume"
            else SLICES_AT_ONCE
        )
        with torch.inference_mode():
            return self.network.judge_in_parts(
                torch.from_numpy(volume.gray).to(self.device),
                torch.from_numpy(volume.mask).to(self.device),
                at_once,
            )

    def _relevance(self, answer: Answer, volume: PreparedVolume) -> NDArray[np.float32] | None:
        if self.network.attention is None:
            return None
        relevance = np.zeros(volume.slices, np.float32)
        relevance[volume.indices] = answer.relevance[0].float().cpu().numpy()
        return relevance
