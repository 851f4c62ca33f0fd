"""Read when and where a photo was taken from its EXIF; broken entries count as unknown."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from .images import parse_header

TIMES = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


@dataclass(frozen=True)
class Capture:
    """Time and place of a photo; None where unknown."""

    taken: str | None = None  # ISO 8601 by the camera's clock, without a time zone: 2024-05-01T13:30:00
    latitude: float | None = None  # degrees, north is positive
    longitude: float | None = None  # degrees, east is positive


def read_capture(data: bytes) -> Capture:
    """Read the EXIF of a picture given as the bytes of its file; never raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with parse_header(data) as image:
                exif = image.getexif()
                camera, gps = (_part(exif, ifd) for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo))
                written = (*(camera.get(tag) for tag in TIMES), exif.get(ExifTags.Base.DateTime))
    except Exception:  # decoders raise anything on hostile bytes
        return Capture()
    taken = next((time for value in written if (time := _time(value))), None)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "EW", 180)
    return Capture(taken) if latitude is None or longitude is None else Capture(taken, latitude, longitude)


def _part(exif: Image.Exif, ifd: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(ifd))
    except Exception:  # an offset that points nowhere; the other parts may be intact
        return {}


def _text(value: object) -> str:
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")).strip("\0 ")


def _time(value: object) -> str | None:
    try:
        return datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


def _degrees(values: Sequence[Any] | None, side: object, sides: str, limit: int) -> float | None:
    """Combine degrees, minutes and seconds into one signed number."""
    letter = _text(side).upper()
    try:
        degrees, minutes, seconds = (float(value) for value in values or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    angle = degrees + minutes / 60 + seconds / 3600
    if letter not in tuple(sides) or not math.isfinite(angle) or not 0 <= angle <= limit:
        return None
    return round(-angle if letter == sides[1] else angle, 7)
