"""Pictures of any kind: files, bytes, arrays and drawings become RGB tensors in [0, 1], letterboxed for the models."""

from __future__ import annotations

import base64
import functools
import io
import re
import sys
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from ..errors import ImageError, ImageWarning, first_line
from ..featuremap import Frame
from .cleanup import Window, normalise_sketch, stroke_window
from .files import is_gone
from .programs import MAX_UNPACKED, VECTOR_SIDE, draw_strokes, draw_vectors
from .strokes import parse_ndjson, read_bin, read_bitmap, read_drawing, read_sketchrnn
from .svg import over_paper

Kind = Literal["sketch", "photo"]


@dataclass(frozen=True, eq=False)
class NormalisedSketch:
    """A sketch that has been read and cleaned before, so that it is not cleaned again."""

    pixels: Tensor  # (3, H, W) float32 in [0, 1], dark on white


ImageInput: TypeAlias = str | Path | bytes | Image.Image | npt.NDArray[Any] | Tensor | NormalisedSketch
Images: TypeAlias = ImageInput | Sequence[ImageInput]

# Only these decoders run: Pillow would hand some other formats to outside programs.
FORMATS = ("PNG", "JPEG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "DIB", "TIFF", "PPM", "ICO", "JPEG2000")
MAX_PIXELS = 89_000_000
MAX_FILE_PIXELS = 1_000_000_000  # of a JPEG that is decoded at a part of its size
MAX_BYTES = 512_000_000
LONGEST_NAME = 1000  # characters of a path that are repeated in an error; more is no path but the content of a file
FRAMES = 64  # of an animation that are looked at for one that shows something
JPEG_START, JPEG_END, PNG_START = b"\xff\xd8\xff", b"\xff\xd9", b"\x89PNG\r\n\x1a\n"
LEAST_LEFT = 0.5  # of a JPEG that is cut short
UNREAD = {  # what people take for pictures, by its first bytes
    rb"%PDF": "a PDF",
    rb"8BPS": "a Photoshop document",
    rb"gimp xcf": "a document of GIMP",
    rb"\xff\x0a|\0\0\0\x0cJXL ": "JPEG XL",
    rb"PK\x03\x04": "an archive, or a document of a drawing program",
    rb"....ftypcrx ": "a RAW photo",
    rb"....ftyp(qt|iso|mp4|M4V|avc|3g|MSNV)|RIFF....AVI |\x1aE\xdf\xa3": "a video",
    rb"II[*+]\0|MM\0[*+]": "a TIFF of an unusual kind, or cut short",
}
THINNEST_LINE = 1.2  # pixels of the square: thinner lines would turn pale grey when a large drawing is reduced
ORIENTATION = 0x0112  # the EXIF tag; for values of 5 and more width and height are exchanged
PHOTOMETRIC = 262  # the TIFF tag, which is 0 where 0 is white; Pillow minds it for 8 bits only
DEPTHS = (255.0, 1023.0, 4095.0, 65535.0)  # the highest values of 8, 10, 12 and 16 bits


def read_image(source: ImageInput, kind: Kind = "photo") -> Tensor:
    """Read a picture as (3, H, W) float32 in [0, 1]; sketches are cleaned to dark strokes on white.

    `source` is a path ("file.ndjson:7" is the 7th drawing of a Quick, Draw! file, which may be .bin, .npy or .npz
    too; only .bin and .npz are known by their suffix, all else by content), "-" for standard input, the bytes of a
    file, an ndjson line, a PIL image, an array (H, W, 3) uint8 or float in [0, 1], or a tensor (3, H, W) in [0, 1].
    EXIF orientation is applied, transparent pixels become white, and of an animation the first frame that shows
    something is read. A JPEG of more than `MAX_PIXELS` is read at a half, a quarter or an eighth of its size, and one
    that is cut short with an ImageWarning. Raises ImageError.
    """
    if isinstance(source, NormalisedSketch):
        return source.pixels
    if isinstance(source, Tensor):
        image = _from_tensor(source)
    elif isinstance(source, np.ndarray):
        image = _from_array(source)
    elif isinstance(source, Image.Image):
        pixels = to_rgb(source, kind, "the given image")
        image = _to_tensor(_in_srgb(pixels, source.info.get("icc_profile")))
    elif isinstance(source, bytes):
        image = _to_tensor(_decode(source, kind, "the given bytes"))
    elif isinstance(source, str | Path):
        image = _to_tensor(_from_name(source, kind))
    else:
        raise ImageError(
            f"a picture must be a path, bytes, a PIL image, an array or a tensor, not {type(source).__name__}"
        )
    return normalise_sketch(image) if kind == "sketch" else image


def as_list(images: Images) -> list[ImageInput]:
    """Give pictures as a list: a single picture becomes a list of one, a stacked array or tensor is unstacked."""
    several = isinstance(images, Iterable) and not isinstance(images, str | bytes | io.IOBase)
    return list(images) if several and getattr(images, "ndim", 4) != 3 else [images]  # type: ignore[arg-type, list-item]


@dataclass(frozen=True, eq=False)
class Reduced:
    """A picture reduced to a wanted side, with the upright size of its file in pixels."""

    pixels: npt.NDArray[np.uint8]  # (H, W, 3)
    width: int
    height: int
    damage: str = ""  # what is wrong with the file, though it could be read
    profile: bytes | None = None  # ICC, of the colours where they are not sRGB

    def tensor(self, kind: Kind) -> Tensor:
        """Give (3, H, W) float32 in [0, 1]; sketches are cleaned to dark strokes on white."""
        image = _to_tensor(self.pixels)
        return normalise_sketch(image) if kind == "sketch" else image

    def jpeg(self) -> bytes:
        """Encode the pixels as JPEG, without the file's metadata about place, time and camera."""
        return _jpeg(Image.fromarray(self.pixels))


def read_reduced(
    data: bytes, side: int | None, kind: Kind = "photo", name: str = "the picture", max_pixels: int = MAX_PIXELS
) -> Reduced:
    """Read the bytes of a picture or drawing so that no edge is longer than `side`, if it is given.

    A JPEG is not decoded at a larger size than needed, nor with more than `max_pixels`; one that is cut short is read
    if most of it is there. Of an animation the first frame that shows something is read. ImageError, which begins with
    `name`, for anything else and for more than `max_pixels`.
    """
    if not data.strip():
        raise ImageError(f"{name}: empty; nothing to read")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name}: larger than {MAX_BYTES // 10**6} MB; make it smaller first")
    drawn = draw_vectors(data, min(side or VECTOR_SIDE, VECTOR_SIDE), name, light_ink=kind == "sketch")
    if drawn is not None:
        return Reduced(drawn, drawn.shape[1], drawn.shape[0])
    damage = ""
    try:
        read = _read_raster(data, side, kind, name, max_pixels)
    except ImageError:
        if data.startswith(PNG_START) and (pixels_alone := _without_notes(data)) != data:
            return read_reduced(pixels_alone, side, kind, name, max_pixels)
        if not data.startswith(JPEG_START):
            raise
        read = _read_raster(data + JPEG_END, side, kind, name, max_pixels)  # what is missing becomes grey
        there = 1 - float((read.pixels == 128).all(axis=2).mean())
        if there < LEAST_LEFT:
            raise ImageError(f"{name}: broken or cut short, only {there:.0%} of it is there; get it again") from None
        damage = f"cut short, {there:.0%} of it is there and is used"
    pixels = read.pixels
    if side is not None and side < max(pixels.shape):
        picture = Image.fromarray(pixels)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture, dtype=np.uint8)
    return replace(read, pixels=_in_srgb(pixels, read.profile), profile=None, damage=damage)


def _without_notes(data: bytes) -> bytes:
    """Leave texts, which Pillow refuses above 1 MB, and what is damaged out of a PNG, unless pixels are made of it."""
    chunks, place = [PNG_START], len(PNG_START)
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        kind, check = data[place + 4 : place + 8], int.from_bytes(data[end - 4 : end])
        if kind < b"a" or (kind not in (b"tEXt", b"zTXt", b"iTXt") and zlib.crc32(data[place + 4 : end - 4]) == check):
            chunks.append(data[place:end])
        place = end
    return b"".join(chunks)


def _in_srgb(pixels: npt.NDArray[np.uint8], profile: bytes | None) -> npt.NDArray[np.uint8]:
    """Convert colours (H, W, 3) from an RGB profile, such as a phone's Display P3; others are taken for sRGB."""
    converted = _converted(Image.fromarray(pixels), profile) if profile else None
    return pixels if converted is None else np.asarray(converted, dtype=np.uint8)


def _converted(picture: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Convert RGB, or inks (CMYK), from a profile to sRGB; None if it is that already or does not fit."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else None
        if own is None or "sRGB" in (own.profile.profile_description or ""):
            return None
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # hostile bytes raise anything, and a profile of greys does not fit
        return None


def _read_raster(data: bytes, side: int | None, kind: Kind, name: str, max_pixels: int) -> Reduced:
    """Decode a raster picture: the first frame that shows something, or the first one if none does."""
    with open_image(data, name, max_pixels) as image:
        size = None
        if isinstance(image, JpegImageFile):  # which is decoded at a part of its size
            size = _upright_size(image)
            share = next(n for n in (1, 2, 4, 8) if n == 8 or image.width * image.height <= max_pixels * n * n)
            share = max(share, min(image.size) // side) if side else share
            image.draft(None, (max(1, image.width // share), max(1, image.height // share)))
        first = pixels = to_rgb(image, kind, name)
        for frame in range(1, FRAMES):
            if has_content(pixels):
                first = pixels
                break
            try:
                image.seek(frame)
                pixels = to_rgb(image, kind, name)
            except Exception:  # there are no more frames, or broken ones
                break
        width, height = size or (first.shape[1], first.shape[0])
        return Reduced(first, width, height, profile=image.info.get("icc_profile"))


def has_content(pixels: npt.NDArray[np.uint8]) -> bool:
    """Tell whether pixels (H, W, 3) have more than one colour."""
    thinned = pixels[::16, ::16]  # enough for nearly all
    return any(np.ptp(some.reshape(-1, 3), axis=0).max() > 2 for some in (thinned, pixels))


def open_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open the bytes of a raster picture without decoding it yet; ImageError if it is none, or too large.

    A JPEG may have 64 times `max_pixels`, as `read_reduced` decodes it at an eighth of its size, a progressive one, of
    which the decoder holds all in memory, twice; none may have more than `MAX_FILE_PIXELS`.
    """
    try:
        image = parse_header(data)
    except Image.DecompressionBombError:
        raise _too_large(name, MAX_PIXELS) from None
    except Exception:  # decoders raise anything on hostile bytes
        known = next((text for start, text in UNREAD.items() if re.match(start, data, re.DOTALL)), None)
        if known:
            raise ImageError(f"{name}: {known}, which cannot be read; export it as PNG") from None
        raise ImageError(f"{name}: not a picture that can be read, or cut short; save it as PNG or JPEG") from None
    times = 1 if not isinstance(image, JpegImageFile) else 2 if image.info.get("progressive") else 64
    if image.width * image.height > min(max_pixels * times, MAX_FILE_PIXELS):
        raise _too_large(name, max_pixels)
    return image


def parse_header(data: bytes) -> Image.Image:
    """Open the bytes of a raster picture of one of `FORMATS` without decoding it; raises whatever its decoder does.

    Pillow's own limit does not hold for JPEG, of which not more is decoded than is allowed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        if data.startswith(JPEG_START):
            return JpegImageFile(io.BytesIO(data))
        return Image.open(io.BytesIO(data), formats=decoders())


def to_rgb(image: Image.Image, kind: Kind, name: str) -> npt.NDArray[np.uint8]:
    """Decode a picture into (H, W, 3) uint8, upright, transparent pixels white; ImageError for a broken one."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, MAX_PIXELS)
    if 0 in image.size:
        raise ImageError(f"{name}: has no pixels; choose another file")
    try:
        deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))  # which are gone once it is decoded
        upright = _upright(image)
        if upright.mode in {"I", "F"} or upright.mode.startswith("I;"):
            return np.repeat(_eight_bit(upright, dict(getattr(image, "tag_v2", ())))[:, :, None], 3, axis=2)
        if upright.mode == "CMYK":
            upright = _converted(upright, upright.info.get("icc_profile")) or upright
        if deep and upright.mode in {"RGB", "RGBA"}:  # Pillow reads the upper 8 bits; 10 or 12 may be all there are
            high = int(np.asarray(upright)[..., :3].max())
            step = 85 if high <= 3 else 17 if high <= 15 else 1
            stretched = [min(255, value * step) for value in range(256)]
            upright = upright.point(stretched * 3 + [*range(256)] * (upright.mode == "RGBA"))
        if upright.has_transparency_data:
            layer = (upright.convert("LA") if upright.mode == "La" else upright).convert("RGBA")
            if image.format not in ("BMP", "DIB") or layer.getchannel("A").getbbox():  # which may leave alpha at zero
                return over_paper(layer, light_ink=kind == "sketch")
        return np.asarray(upright.convert("RGB"), dtype=np.uint8)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise ImageError(f"{name}: broken or cut short ({first_line(error)}); get or save it again") from None


def letterbox(
    image: Tensor, side: int, kind: Kind = "photo", whole_page: bool = False, window: Window | None = None
) -> tuple[Tensor, Frame]:
    """Fit (3, H, W) in [0, 1] into a (3, side, side) square; the frame maps pixels between the two.

    Of a sketch the square shows the window around its strokes (`stroke_window`), so that it does not matter where on
    the page and how large it was drawn; with `whole_page`, and for a photo, it shows everything. The window is found
    unless it is given. The resize is bicubic and antialiased. Sketches are padded with white, photos with their
    replicated edge. A sketch's lines are thickened so that they stay at least about a pixel wide.
    """
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"letterbox needs an image of shape (3, H, W), not {tuple(image.shape)}")
    if side < 1:
        raise ValueError(f"side={side}: choose at least 1")
    file_height, file_width = image.shape[1:]
    window = None if whole_page or kind == "photo" else window or stroke_window(image)
    if window is not None:
        x, y, long = window
        scale = side / long
        frame = Frame(file_width, file_height, side, scale, scale, -x * scale, -y * scale)
        image = F.pad(image, [-x, x + long - file_width, -y, y + long - file_height], value=1.0)  # or cut off
        height = width = side
    else:
        scale = side / max(file_height, file_width)
        height, width = (max(1, round(edge * scale)) for edge in (file_height, file_width))
        left, top = (side - width) // 2, (side - height) // 2
        frame = Frame(file_width, file_height, side, width / file_width, height / file_height, left, top)
    if (height, width) != tuple(image.shape[1:]):
        if kind == "sketch" and scale < 1:
            image = _thickened(image, side)
        image = _resized(image, height, width)
    if height != side or width != side:
        edges = [left, side - width - left, top, side - height - top]
        image = F.pad(image, edges, value=1.0) if kind == "sketch" else F.pad(image, edges, mode="replicate")
    return image, frame


def quantise(values: Tensor) -> npt.NDArray[np.uint8]:
    """Round values in [0, 1], of any shape, to 0..255: uint8 of the same shape."""
    return (values.detach().cpu() * 255).round().to(torch.uint8).numpy()


def to_uint8(image: Tensor) -> npt.NDArray[np.uint8]:
    """Give (3, H, W) in [0, 1] as an array (H, W, 3) uint8."""
    return np.ascontiguousarray(quantise(image).transpose(1, 2, 0))


def data_url(picture: Image.Image | npt.NDArray[np.uint8]) -> str:
    """Give a picture, or pixels (H, W), (H, W, 3) or (H, W, 4), as a PNG in a data URL."""
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, format="PNG", compress_level=4)  # a third faster than the default and hardly larger
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def thumbnail(image: Tensor, side: int = 256) -> bytes:
    """Give (3, H, W) in [0, 1] as JPEG bytes, reduced so that no edge is longer than `side`."""
    picture = Image.fromarray(to_uint8(image))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _jpeg(picture)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()


@functools.cache
def decoders() -> tuple[str, ...]:
    """List the allowed formats that this Pillow was built with; it fails on the name of a missing one."""
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _from_tensor(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape or not image.is_floating_point():
        raise ImageError(f"a tensor must be float (3, H, W), not {image.dtype} {tuple(image.shape)}")
    image = image.detach().to("cpu", torch.float32)
    if not bool((image.amin() >= 0) & (image.amax() <= 1)):
        raise ImageError("a tensor must lie in [0, 1]; divide 8-bit values by 255")
    return image


def _from_array(array: npt.NDArray[Any]) -> Tensor:
    floating = np.issubdtype(array.dtype, np.floating)
    if not (floating or array.dtype == np.uint8) or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"an array must be (H, W, 3), uint8 or float in [0, 1], not {array.dtype} {array.shape}")
    return _from_tensor(torch.from_numpy(array.transpose(2, 0, 1).copy())) if floating else _to_tensor(array)


def _to_tensor(array: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(array.transpose(2, 0, 1).copy()).to(torch.float32).div_(255)


def _from_name(source: str | Path, kind: Kind) -> npt.NDArray[np.uint8]:
    text = str(source)
    name = text if len(text) <= LONGEST_NAME else f"{text[:80]}.."
    if text == "-":
        return _decode(sys.stdin.buffer.read(MAX_BYTES + 1), kind, "standard input")
    if text.lstrip().startswith("{"):
        return draw_strokes(parse_ndjson(text))
    match = re.fullmatch(r"(.+):(\d{1,9})", text)
    path, number = (Path(match[1]), int(match[2])) if match and is_gone(text) else (Path(text), 1)
    if number < 1:
        raise ImageError(f"{name}: there is no drawing 0; they are counted from 1")
    try:
        with path.open("rb") as file:
            if path.is_file() and (drawn := _draw_numbered(path, number, file.peek(64))) is not None:
                return drawn
            if number > 1:
                raise ImageError(f"{text}: {path.name} is no file of several drawings; leave :{number} out")
            data = file.read(MAX_BYTES + 1)
    except ImageError:
        raise
    except IsADirectoryError:
        raise ImageError(f"{name}: a folder, not a picture; name a file in it") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: {getattr(error, 'strerror', error)}; check the path") from None
    return _decode(data, kind, text)


def _draw_numbered(path: Path, number: int, head: bytes) -> npt.NDArray[np.uint8] | None:
    """Draw one of the drawings of a Quick, Draw! file; None if it is another kind of file."""
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        try:
            return draw_strokes(read_drawing(path, number))
        except ImageError:
            if number != 1 or path.stat().st_size > MAX_UNPACKED:
                raise
            return None  # it may be one document of many lines
    if head.startswith(b"\x93NUMPY"):
        return np.repeat(read_bitmap(path, number)[:, :, None], 3, axis=2)
    if path.suffix.lower() == ".bin":
        return draw_strokes(read_bin(path, number))
    return draw_strokes(read_sketchrnn(path, number)) if path.suffix.lower() == ".npz" else None


def _decode(data: bytes, kind: Kind, name: str) -> npt.NDArray[np.uint8]:
    picture = read_reduced(data, None, kind, name)
    if picture.damage:
        warnings.warn(f"{name}: {picture.damage}", ImageWarning, stacklevel=3)
    return picture.pixels


def _too_large(name: str, max_pixels: int) -> ImageError:
    return ImageError(f"{name}: more than {max_pixels // 10**6} megapixels; make it smaller first")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF says nothing about the pixels; broken pixels fail again when converted
        return image


def _upright_size(image: JpegImageFile) -> tuple[int, int]:
    try:
        turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # broken EXIF says nothing about the pixels
        turned = False
    return (image.height, image.width) if turned else image.size


def _eight_bit(image: Image.Image, tags: dict[int, Any]) -> npt.NDArray[np.uint8]:
    """Scale greys of more than 8 bits by the smallest usual range that holds the values; `tags` are those of a TIFF.

    Many are kept in 16 bits or more although they have 8, 10 or 12.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
        low, high = float(values.min()), float(values.max())
        if -2 * high < low < -0.1 * high:  # from -1 to 1, say
            values = (values - low) / (high - low)
    high = float(values.max())
    ranges = (*((1.0,) if image.mode == "F" else ()), *DEPTHS, max(2.0**31 - 1 if image.mode == "I" else 1.0, high))
    ceiling = next(ceiling for ceiling in ranges if high <= (ceiling if ceiling > 1 else 2))  # a little overshoots

    def scaled(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        shares: npt.NDArray[np.float64] = values.clip(0, ceiling).astype(np.float64)
        grey: npt.NDArray[np.uint8] = np.rint(shares * (255 / ceiling)).astype(np.uint8)
        return 255 - grey if tags.get(PHOTOMETRIC) == 0 else grey

    grey = scaled(np.arange(2**16)).take(values) if values.dtype.kind == "u" else scaled(values)
    nothing = image.info.get("transparency")
    if isinstance(nothing, int):
        grey[values == nothing] = 255
    return grey


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    out = F.interpolate(image[None], size=(height, width), mode="bicubic", align_corners=False, antialias=True)
    return out[0].clamp_(0, 1)


def _thickened(image: Tensor, side: int) -> Tensor:
    """Widen dark lines that reduction to `side` would wash out; a larger picture is reduced to 4 times `side` first."""
    height, width = image.shape[1:]
    reduction = max(height, width) / (4 * side)
    if reduction > 1:
        image = _resized(image, max(1, round(height / reduction)), max(1, round(width / reduction)))
    ink = image.mean(dim=0) < 0.6
    edges = int((ink[1:] != ink[:-1]).sum() + (ink[:, 1:] != ink[:, :-1]).sum())
    # A line of length l and width d has l * d ink pixels and, over all directions, 2 * l * 4 / pi edges.
    line = float(ink.sum()) * 2.55 / max(edges, 1)
    missing = round(THINNEST_LINE * max(image.shape[1:]) / side - line)
    if not edges or missing < 1:
        return image
    before, after = missing // 2, missing - missing // 2
    padded = F.pad(1 - image, [before, after, before, after])
    return 1 - F.max_pool2d(F.max_pool2d(padded, (missing + 1, 1), 1), (1, missing + 1), 1)
