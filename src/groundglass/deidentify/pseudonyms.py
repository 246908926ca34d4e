"""What stands in the place of names, identifiers and dates: computed from them with a key."""

import base64
import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta

from pydicom.uid import UID

PREFIX = "GG-"
"""Pseudonyms begin with this, so that nobody takes one for a name."""

LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS = 30, 3650
"""Dates move back by at least a month and at most ten years."""


class Pseudonyms:
    """Replacements that are the same for the same value and key, and tell nothing without it.

    Args:
        key: The secret; by default made at random and kept nowhere else.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = secrets.token_bytes(32) if key is None else key

    def uid(self, uid: str) -> UID:
        """A valid unique identifier (PS3.5 B.2) in the place of one, valid or not."""
        return UID(f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}")

    def name(self, *identity: str) -> str:
        """A short name in the place of a patient's or a file's."""
        letters = base64.b32encode(self._digest("name", *identity)[:10]).decode()
        return f"{PREFIX}{letters}"

    def shift_days(self, *identity: str) -> int:
        """By how many days the dates of a patient move; negative, into the past."""
        drawn = int.from_bytes(self._digest("days", *identity)[:8], "big")
        return -LEAST_SHIFT_DAYS - drawn % (MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1)

    def _digest(self, *parts: str) -> bytes:
        told = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, told, hashlib.sha256).digest()


def shifted(value: str, days: int) -> str:
    """A DICOM date or date with time (DA, DT) moved by days; empty where it is no whole date."""
    try:
        day = datetime.strptime(value[:8], "%Y%m%d") + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{day.year:04d}{day.month:02d}{day.day:02d}{value[8:]}"
