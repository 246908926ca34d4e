"""Every error raised on purpose: what was found, what was expected, what to do."""


class GroundglassError(Exception):
    """Anything that groundglass refuses to do; anything else that escapes is a bug."""


class UnreadableScanError(GroundglassError):
    """The input is not a scan that can be read faithfully."""


class GeometryError(GroundglassError):
    """Two things that must lie on one grid do not, or a length in mm is not known."""


class EmptyMaskError(GroundglassError):
    """A mask has no voxel where a number needs one: no lungs is not healthy lungs."""


class WithheldError(GroundglassError):
    """Quality control withheld the scores of a scan; masks and findings were written."""


class NotMeasurableError(GroundglassError):
    """The scan or its masks do not carry what a score needs, such as Hounsfield units.

    Attributes:
        found: What was found instead, for a note on the scores that were left out.
    """

    def __init__(self, found: str, expected: str) -> None:
        """Error from what was found, and what was expected with what to do."""
        super().__init__(f"found {found}, expected {expected}")
        self.found = found


class UnknownNameError(GroundglassError):
    """A system, score, format or reader that does not exist."""

    @classmethod
    def of(cls, kind: str, name: str, known: object) -> "UnknownNameError":
        """Error that lists the known names of that kind."""
        names = ", ".join(sorted(str(n) for n in known))  # type: ignore[attr-defined]
        return cls(f"unknown {kind} '{name}'; known: {names}")


class ConfigError(GroundglassError):
    """A setting is misspelt, missing or out of range."""


class CohortError(GroundglassError):
    """A cohort table is wrong: a missing file, a patient in two splits."""


class WeightsError(GroundglassError):
    """Weights are missing, damaged or belong to another network."""


class MissingExtraError(GroundglassError):
    """A feature needs packages that are not installed."""


class OutputError(GroundglassError):
    """The results cannot be written where they were asked for."""
