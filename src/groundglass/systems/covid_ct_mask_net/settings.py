"""Everything that shapes the two networks, by the names that recipes and cards use."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Kinds = Literal["both", "ggo", "merged"]
"""Which lesions are instances: both kinds, ground-glass alone, or any lesion as one kind."""


Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]
Some = Field(min_length=1)
"""At least one of a list."""


def _differ(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"found {', '.join(names) or 'none'}, expected two or more that differ")
    return names


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
    coarser_levels: int = Field(default=1, ge=0)
    pyramid_channels: Count = 256
    anchor_sizes_px: Annotated[tuple[Count, ...], Some] = (2, 4, 8, 16, 32)
    anchor_ratios: Annotated[tuple[Ratio, ...], Some] = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0)
    box_units: Count = 128
    mask_channels: Annotated[tuple[Count, ...], Some] = (256, 256, 256, 256)
    mask_units: Count = 256
    kinds: Kinds = "both"
    rpn_nms: Share = 0.75
    rpn_overlap: tuple[Share, Share] = (0.7, 0.3)
    rpn_batch: Count = 256
    rpn_positive: Share = 0.75
    proposals: Count = 1000
    roi_nms: Share = 0.25
    roi_overlap: tuple[Share, Share] = (0.75, 0.5)
    roi_batch: Count = 256
    roi_positive: Share = 0.75
    least_score: float = Field(default=0.05, lt=1)
    most_detections: Count = 100
    ranked: int = Field(default=0, ge=0)
    ranked_nms: Share = 0.75
    ranked_least_score: float = Field(default=-0.01, lt=1)
    class_units: Count = 1760
    classes: Annotated[tuple[str, ...], AfterValidator(_differ)] = (
        "control",
        "pneumonia",
        "COVID-19",
    )
