"""Both views of the lung network."""

from typing import Literal

from torch import Tensor, nn

from groundglass.networks.residual_unet import ResidualUnet

Views = Literal["axial", "both"]


class LungUnet(nn.Module):
    """One network for slices, and one of the same kind for views from the side.

    Args:
        views: ``axial`` for the first alone.
        width: Channels at full size.
    """

    def __init__(self, views: Views, width: int) -> None:
        super().__init__()
        self.axial = ResidualUnet(width)
        self.sagittal = ResidualUnet(width) if views == "both" else None

    @property
    def last(self) -> ResidualUnet:
        """The network that is trained: the sagittal one where there is one."""
        return self.axial if self.sagittal is None else self.sagittal

    def forward(self, gray: Tensor) -> Tensor:
        """Logit of lung by the network that is trained, (batch, 1, row, column)."""
        logits: Tensor = self.last(gray)
        return logits
