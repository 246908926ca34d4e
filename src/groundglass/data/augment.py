"""Random frames, windows and textures: how one slice becomes many."""

from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from groundglass.geometry.frame import Frame


class AugmentConfig(BaseModel):
    """How far training slices are changed.

    Attributes:
        rotation_deg: Largest turn to either side.
        scale: Smallest and largest zoom.
        aspect: Largest stretch of one side against the other, as a share.
        shift: Largest shift, as a share of the input's side.
        shear_deg: Largest angle by which columns lean to either side.
        flip: Share of slices mirrored left to right (their sides are swapped with them).
        flip_vertical: Share of slices mirrored front to back.
        contrast: Smallest and largest factor on gray values, as from a wider or narrower window.
        brightness: Largest offset of gray values.
        gamma: Smallest and largest exponent.
        noise: Largest standard deviation of gray noise.
        blur_px: Largest standard deviation of blur; half of the slices stay sharp.
        cutout: Sides of a rectangle of one random gray, up to this share of the shorter side.
        outside: Share of slices set in a body outline with dark air around it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation_deg: float = Field(12.0, ge=0)
    scale: tuple[PositiveFloat, PositiveFloat] = (0.65, 1.2)
    aspect: float = Field(0.12, ge=0, lt=1)
    shift: float = Field(0.08, ge=0)
    flip: float = Field(0.5, ge=0, le=1)
    flip_vertical: float = Field(0.0, ge=0, le=1)
    contrast: tuple[PositiveFloat, PositiveFloat] = (0.8, 1.3)
    brightness: float = Field(0.1, ge=0)
    gamma: tuple[PositiveFloat, PositiveFloat] = (0.8, 1.25)
    noise: float = Field(0.05, ge=0)
    blur_px: float = Field(1.2, ge=0)
    cutout: float = Field(0.0, ge=0, le=1)
    outside: float = Field(0.3, ge=0, le=1)
    shear_deg: float = Field(0.0, ge=0, lt=90)


@dataclass(frozen=True, slots=True)
class Augment:
    """Augmentation drawn from one random generator per slice, so that it can be repeated."""

    config: AugmentConfig
    random: np.random.Generator

    @classmethod
    def seeded(cls, config: AugmentConfig, *seed: int) -> Self:
        """Augmentation fixed by whole numbers, such as run seed, epoch and case."""
        return cls(config, np.random.default_rng(seed))

    def frame(self, frame: Frame) -> tuple[Frame, bool]:
        """The frame turned, zoomed, stretched, shifted and perhaps mirrored.

        Returns:
            The new frame, and whether it mirrors right and left.
        """
        c, uniform = self.config, self.random.uniform
        angle = np.deg2rad(uniform(-c.rotation_deg, c.rotation_deg))
        zoom = np.exp(uniform(np.log(c.scale[0]), np.log(c.scale[1])))
        stretch = np.exp(uniform(-c.aspect, c.aspect) / 2)
        mirrored = bool(self.random.random() < c.flip)
        # Asked only where wanted, so that other runs draw the numbers that they always drew.
        upturned = c.flip_vertical > 0 and self.random.random() < c.flip_vertical
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        across = zoom * stretch * (-1 if mirrored else 1)
        down = zoom / stretch * (-1 if upturned else 1)
        linear = turn @ np.diag([across, down])
        if c.shear_deg > 0:
            lean = np.tan(np.deg2rad(uniform(-c.shear_deg, c.shear_deg)))
            linear = linear @ np.array([[1.0, lean], [0.0, 1.0]])
        rows, columns = frame.size_px
        center = np.array([(columns - 1) / 2, (rows - 1) / 2])
        shift = np.array([columns, rows]) * uniform(-c.shift, c.shift, size=2)
        offset = center + shift - linear @ center
        matrix = np.hstack(
            [
                linear @ frame.matrix[:, :2],
                (linear @ frame.matrix[:, 2] + offset)[:, None],
            ]
        )
        return replace(frame, matrix=matrix), mirrored

    def fill(self) -> float:
        """Gray beyond the border: soft tissue of some tone."""
        return float(self.random.uniform(0.7, 1.0))

    def gray(self, gray: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gray values seen through another window, kernel and dose, clipped to 0 to 1."""
        c, uniform = self.config, self.random.uniform
        gray = gray * np.float32(uniform(*c.contrast)) + np.float32(
            uniform(-c.brightness, c.brightness)
        )
        gray = np.clip(gray, 0.0, 1.0) ** np.float32(np.exp(uniform(*np.log(c.gamma))))
        sigma = uniform(-c.blur_px, c.blur_px)
        if sigma > 0.3:
            gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma), np.float32)
        elif sigma < -0.6 * c.blur_px:
            gray = gray + np.float32(0.8) * (gray - cv2.GaussianBlur(gray, (0, 0), 1.0))
        noise = self.random.standard_normal(gray.shape, np.float32)
        gray = gray + noise * np.float32(uniform(0.0, c.noise))
        return np.clip(self._cutout(gray), 0.0, 1.0).astype(np.float32)

    def outside(self, gray: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Dark air around a body outline, beyond the picture's own border.

        Args:
            gray: Input of the network, (row, column).
            known: Where it shows the picture itself.
        """
        if self.random.random() >= self.config.outside:
            return gray
        rows, columns = gray.shape
        center = ((columns - 1) // 2, (rows - 1) // 2)
        axes = (
            round(columns * self.random.uniform(0.45, 0.6)),
            round(rows * self.random.uniform(0.42, 0.6)),
        )
        body = np.zeros(gray.shape, np.uint8)
        cv2.ellipse(body, center, axes, 0.0, 0.0, 360.0, 1, -1)
        air = np.float32(self.random.uniform(0.0, 0.2))
        return np.where(known | (body == 1), gray, air).astype(np.float32)

    def _cutout(self, gray: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.config.cutout <= 0:
            return gray
        rows, columns = gray.shape
        longest = self.config.cutout * min(rows, columns)
        height, width = (int(self.random.uniform(0, longest)) for _ in range(2))
        top = int(self.random.integers(0, rows - height + 1))
        left = int(self.random.integers(0, columns - width + 1))
        gray = gray.copy()
        gray[top : top + height, left : left + width] = self.random.random()
        return gray
