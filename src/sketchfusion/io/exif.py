"""Read when, where and with what a photo was taken from its EXIF; broken entries count as unknown."""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from .images import parse_header

_TIME = re.compile(r"([12]\d{3})[:./-](\d\d)[:./-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
TIMES = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


@dataclass(frozen=True)
class Capture:
    taken: str | None = None  # ISO 8601 by the camera's clock, without a time zone: 2024-05-01T13:30:00
    latitude: float | None = None  # degrees, north is positive
    longitude: float | None = None  # degrees, east is positive


@dataclass(frozen=True)
class Camera:
    """What a photo was taken with, in words for people; None where unknown."""

    camera: str | None = None  # maker and model
    lens: str | None = None
    exposure: str | None = None  # 1/250 s, f/2.8, ISO 400, 35 mm


def read_capture(data: bytes) -> Capture:
    """Read time and place of a picture given as the bytes of its file; never raises."""
    main, details, gps = _entries(data)
    written = (*(details.get(tag) for tag in TIMES), main.get(ExifTags.Base.DateTime))
    taken = next((time for value in written if (time := _time(value))), None)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "EW", 180)
    return Capture(taken) if latitude is None or longitude is None else Capture(taken, latitude, longitude)


def read_camera(data: bytes) -> Camera:
    """Read camera, lens and exposure of a picture given as the bytes of its file; never raises."""
    main, details, _ = _entries(data)
    base = ExifTags.Base
    maker, model = _text(main.get(base.Make)), _text(main.get(base.Model))
    named = not maker or model.lower().startswith(maker.split()[0].lower())
    numbers = (base.ExposureTime, base.FNumber, base.FocalLength)
    time, aperture, length = (_positive(details.get(tag)) for tag in numbers)
    speed = details.get(base.ISOSpeedRatings)
    iso = _positive(speed[0] if isinstance(speed, tuple) and speed else speed)
    exposure = [f"{time:.2g} s" if time > 0.3 else f"1/{1 / time:.0f} s"] if time else []
    exposure += [f"f/{aperture:.3g}"] if aperture else []
    exposure += [f"ISO {iso:.0f}"] if iso else []
    exposure += [f"{length:.3g} mm"] if length else []
    camera, lens = model if named else f"{maker} {model}", _text(details.get(base.LensModel))
    return Camera(camera or None, lens or None, ", ".join(exposure) or None)


def _entries(data: bytes) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    """Give the main entries, those of the exposure and those of the place; empty where there are none."""
    try:
        with warnings.catch_warnings(action="ignore"), parse_header(data) as image:
            exif = image.getexif()
            return dict(exif), _part(exif, ExifTags.IFD.Exif), _part(exif, ExifTags.IFD.GPSInfo)
    except Exception:  # decoders raise anything on hostile bytes
        return {}, {}, {}


def _part(exif: Image.Exif, ifd: int) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(ifd))
    except Exception:  # an offset that points nowhere; the other parts may be intact
        return {}


def _text(value: object) -> str:
    """Give an entry as one line of at most 80 characters."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return " ".join(text.replace("\0", " ").split())[:80]


def _positive(value: Any) -> float | None:
    """Give an entry as a number that a camera may have meant."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 1e-6 < number < 1e6 else None


def _time(value: object) -> str | None:
    """Give a time in ISO 8601; some programs write dashes, no seconds, a time zone, or hour 24 for 0."""
    if not (found := _TIME.match(_text(value))):
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return datetime(year, month, day, 0 if hour == 24 else hour, minute, second).isoformat()
    except ValueError:
        return None


def _degrees(values: Sequence[Any] | None, side: object, sides: str, limit: int) -> float | None:
    """Combine degrees, minutes and seconds into one signed number."""
    try:
        degrees, minutes, seconds = (float(value) for value in values or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    angle, letter = degrees + minutes / 60 + seconds / 3600, _text(side).upper()
    if letter not in tuple(sides) or not math.isfinite(angle) or not 0 <= angle <= limit:
        return None
    return round(-angle if letter == sides[1] else angle, 7)
