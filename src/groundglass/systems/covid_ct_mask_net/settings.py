"""Everything that shapes the two networks, by the names that recipes and cards use."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kinds = Literal["both", "ggo", "merged"]
"""Which lesions are instances: both kinds, ground-glass alone, or any lesion as one kind."""


class NetworkConfig(BaseModel):
    """Shape of Mask R-CNN and of module S, with what stands in Tables 2 and 3 of the publication.

    Attributes:
        encoder: Encoder's name, see :func:`groundglass.networks.encoder.build_encoder`.
        strides: Levels of the feature pyramid by their strides in the input. The encoder is cut off
            behind the coarsest: ``[4, 8, 16, 32]`` is the full form, ``[16]`` the lightweight one.
        coarser_levels: Further levels, each by pooling the one before.
        pyramid_channels: Channels of each level.
        anchor_sizes_px: Sides of the anchors, on every level.
        anchor_ratios: Heights over widths of the anchors.
        box_units: Units of the two layers of the box head.
        mask_channels: Channels of the convolutions of the mask head, one number for each.
        mask_units: Channels of the mask head's transposed convolution.
        kinds: Which lesions are instances.
        rpn_nms: Overlap from which the less sure of two proposals is dropped.
        rpn_overlap: Overlap with a lesion from which an anchor is one, and below which it is not.
        rpn_batch: Anchors of a slice that the loss looks at.
        rpn_positive: Largest share of lesions among them.
        proposals: Proposals of a slice that are handed on.
        roi_nms: Overlap from which the less sure of two detections is dropped.
        roi_overlap: As ``rpn_overlap``, for proposals.
        roi_batch: Proposals of a slice that the loss looks at.
        roi_positive: Largest share of lesions among them.
        least_score: Score below which nothing is a detection.
        most_detections: Largest number of detections of a slice.
        ranked: Boxes that module S looks at, N; 0 for no module S.
        ranked_nms: As ``roi_nms``, for these.
        ranked_least_score: As ``least_score``, for these: below 0 takes every box.
        class_units: Units of module S between its two layers; 1760 makes the 2.26 million
            parameters that the publication states for N = 256.
        classes: Classes of a slice, the one without pneumonia first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str
    strides: tuple[int, ...] = (4, 8, 16, 32)
    coarser_levels: int = 1
    pyramid_channels: int = 256
    anchor_sizes_px: tuple[int, ...] = (2, 4, 8, 16, 32)
    anchor_ratios: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
    box_units: int = 128
    mask_channels: tuple[int, ...] = (256, 256, 256, 256)
    mask_units: int = 256
    kinds: Kinds = "both"
    rpn_nms: float = 0.75
    rpn_overlap: tuple[float, float] = (0.7, 0.3)
    rpn_batch: int = 256
    rpn_positive: float = 0.75
    proposals: int = 1000
    roi_nms: float = 0.25
    roi_overlap: tuple[float, float] = (0.75, 0.5)
    roi_batch: int = 256
    roi_positive: float = 0.75
    least_score: float = 0.05
    most_detections: int = 100
    ranked: int = Field(default=0, ge=0)
    ranked_nms: float = 0.75
    ranked_least_score: float = -0.01
    class_units: int = 1760
    classes: tuple[str, ...] = ("control", "pneumonia", "COVID-19")
