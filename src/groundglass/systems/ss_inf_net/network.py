"""Inf-Net: one map of the lesion, refined thrice, with its edge.

Fan et al. 2020, doi:10.1109/TMI.2020.2996645; as Fung et al. 2021,
doi:10.1186/s12967-021-02992-2, use it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from groundglass.errors import ConfigError
from groundglass.networks.encoder import as_color, build_encoder, channels_of
from groundglass.systems.ss_inf_net.blocks import (
    EdgeBranch,
    PartialDecoder,
    ReceptiveField,
    ReverseAttention,
    resize,
    size_of,
)
from groundglass.systems.ss_inf_net.kinds import KindsNetwork

EDGE_WIDTH = 64


class Maps(NamedTuple):
    """The five outputs, each (batch, 1, row, column) of the input's size, before the sigmoid.

    Attributes:
        edge: Edge of the lesion.
        coarse: Global map, S_g.
        s5: Refined at stride 32.
        s4: Refined at stride 16.
        s3: Refined at stride 8: the answer.
    """

    edge: Tensor
    coarse: Tensor
    s5: Tensor
    s4: Tensor
    s3: Tensor

    @property
    def segmentations(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four maps of the lesion, coarse to fine."""
        return self.coarse, self.s5, self.s4, self.s3


class InfNet(nn.Module):
    """Lung gray to the five maps of Inf-Net.

    Args:
        encoder: Encoder's name, see :func:`groundglass.networks.encoder.build_encoder`.
        width: Channels that the receptive-field blocks bring f3, f4 and f5 to.
        coarse_width: Channels of the reverse attention at stride 32; 256 in the publication.
    """

    def __init__(self, encoder: str, width: int = 32, coarse_width: int = 256) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder)
        f2, f3, f4, f5 = channels_of(self.encoder)[2:6]
        self.edge = EdgeBranch((f2, EDGE_WIDTH))
        self.fields = nn.ModuleList(ReceptiveField((f, width)) for f in (f3, f4, f5))
        self.decoder = PartialDecoder(width)
        self.attention_5 = ReverseAttention(f5, EDGE_WIDTH, coarse_width, kernel=5, depth=3)
        self.attention_4 = ReverseAttention(f4, EDGE_WIDTH, 64)
        self.attention_3 = ReverseAttention(f3, EDGE_WIDTH, 64)

    def forward(self, gray: Tensor) -> Maps:
        """The five maps.

        Args:
            gray: (batch, 1, row, column) from 0 to 1, sides multiples of 32.
        """
        f2, f3, f4, f5 = self.encoder(as_color(gray))[2:6]
        edges, edge = self.edge(f2)
        coarse = self.decoder(
            *(field(f) for field, f in zip(self.fields, (f3, f4, f5), strict=True))
        )
        s5 = self.attention_5(f5, edges, coarse)
        s4 = self.attention_4(f4, edges, s5)
        s3 = self.attention_3(f3, edges, s4)
        size = size_of(gray)
        return Maps(*(resize(maps, size) for maps in (edge, coarse, s5, s4, s3)))

    def outputs(self) -> tuple[nn.Conv2d, ...]:
        """The last layers of the five maps: all that self-supervision does not hand on."""
        parts = (self.edge, self.decoder, self.attention_5, self.attention_4, self.attention_3)
        return tuple(part.output for part in parts)

    def reset_outputs(self) -> None:
        """Give the last layers random weights."""
        for layer in self.outputs():
            layer.reset_parameters()


class SsInfNet(nn.Module):
    """Both networks: the first finds lesion, the second, where there is one, tells its kind.

    Args:
        lesion: The first network.
        kinds: The second; ``None`` where lesion alone is asked for.
    """

    def __init__(self, lesion: InfNet, kinds: KindsNetwork | None = None) -> None:
        super().__init__()
        self.lesion = lesion
        self.kinds = kinds

    @property
    def second(self) -> KindsNetwork:
        """The second network.

        Raises:
            ConfigError: If there is none.
        """
        if self.kinds is None:
            raise ConfigError(
                "found stage 'kinds' with kinds 'none', expected unet or fcn8s; set kinds"
            )
        return self.kinds

    def forward(self, gray: Tensor) -> Tensor:
        """Chances by channel: lesion and, with a second network, ground-glass and consolidation.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.

        Returns:
            (batch, 1 or 3, row, column), 0 to 1; those of the kinds add up to at most 1.
        """
        prior: Tensor = self.lesion(gray).s3.sigmoid()
        if self.kinds is None:
            return prior
        return torch.cat([prior, kind_chances(self.kinds(gray, prior))], 1)


def kind_chances(logits: Tensor) -> Tensor:
    """Chances of ground-glass opacity and of consolidation, adding up to at most 1.

    The second network learns sigmoids that know nothing of each other. Where both together are more
    than certain, they are divided by their sum; elsewhere they stay as they are.

    Args:
        logits: Of background, ground-glass opacity and consolidation, (batch, 3, row, column).

    Returns:
        (batch, 2, row, column).
    """
    chances = logits[:, 1:].sigmoid()
    return chances / chances.sum(1, keepdim=True).clamp_min(1)
