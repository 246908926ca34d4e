"""Both views of the lung network."""

from typing import Literal

from torch import Tensor, nn

from groundglass.networks.residual_unet import STEPS, ResidualUnet

Views = Literal["axial", "both"]
View = Literal["axial", "sagittal"]


class LungUnet(nn.Module):
    """One network for slices, and one of the same kind for views from the side.

    Args:
        views: ``axial`` for the first alone.
        width: Channels at full size.
    """

    side_step_px = 2**STEPS
    """Sides of an input are multiples of this."""

    def __init__(self, views: Views, width: int) -> None:
        super().__init__()
        self.axial = ResidualUnet(width)
        self.sagittal = ResidualUnet(width) if views == "both" else None

    def of(self, view: View) -> ResidualUnet:
        """The network of one view."""
        network = self.axial if view == "axial" else self.sagittal
        assert network is not None  # the config has seen to it
        return network

    def forward(self, gray: Tensor, view: View = "axial") -> Tensor:
        """Logit of lung, (batch, 1, row, column)."""
        logits: Tensor = self.of(view)(gray)
        return logits
