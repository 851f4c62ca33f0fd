"""Every kind of file people have, the broken ones made here, and drawings photographed with a phone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw
from torch import Tensor

from sketchfusion.errors import ImageError, ImageWarning, escaped
from sketchfusion.io.cleanup import is_blank
from sketchfusion.io.files import file_digest, find_images, survey
from sketchfusion.io.images import as_list, data_url, read_image, read_reduced, thumbnail

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(size: tuple[int, int] = (40, 24)) -> Image.Image:
    """Four colours in four quarters, so that orientation and colour show."""
    image = Image.new("RGB", size, WHITE)
    w, h = size[0] // 2, size[1] // 2
    for box, colour in (((0, 0), RED), ((w, 0), GREEN), ((0, h), BLUE)):
        image.paste(colour, (*box, box[0] + w, box[1] + h))
    return image


def seen(image: Tensor) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, rounded to 0 or 255."""
    _, h, w = image.shape
    spots = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4), (3 * h // 4, 3 * w // 4)]
    return [tuple(255 if v > 0.5 else 0 for v in image[:, r, c].tolist()) for r, c in spots]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- files that are right -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "heic", "avif", "ppm"])
def test_formats_are_read_by_content_whatever_the_suffix(suffix: str, tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    named, misnamed = tmp_path / f"a.{suffix}", tmp_path / "photo.txt"
    corners((64, 48)).save(named)
    misnamed.write_bytes(named.read_bytes())
    image = read_image(named)
    assert image.shape == (3, 48, 64) and image.dtype == torch.float32
    assert seen(image) == [RED, GREEN, BLUE, WHITE]
    assert torch.equal(read_image(str(misnamed)), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = corners() if orientation == 1 else corners().transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (3, 24, 40)
    assert seen(image) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", quality=95)
    assert seen(read_image(tmp_path / "a.jpg")) == [RED, GREEN, BLUE, WHITE]


def test_cmyk_grey_palette_and_bilevel_become_rgb(tmp_path: Path) -> None:
    corners().convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert seen(read_image(tmp_path / "cmyk.jpg")) == [RED, GREEN, BLUE, WHITE]
    corners().quantize(8).save(tmp_path / "p.png")
    assert seen(read_image(tmp_path / "p.png")) == [RED, GREEN, BLUE, WHITE]
    for mode in ("L", "1"):
        Image.new(mode, (5, 4), 255).save(tmp_path / "g.png")
        assert torch.equal(read_image(tmp_path / "g.png"), torch.ones(3, 4, 5))


def test_sixteen_bit_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for name in ("a.png", "a.tiff"):
        Image.fromarray(ramp).save(tmp_path / name)
        expected = torch.from_numpy(ramp / 65535).float().expand(3, 16, 16)
        torch.testing.assert_close(read_image(tmp_path / name), expected, atol=0.003, rtol=0)
    Image.fromarray((ramp / 65535).astype(np.float32)).save(tmp_path / "f.tiff")
    torch.testing.assert_close(read_image(tmp_path / "f.tiff"), expected, atol=0.003, rtol=0)
    hot = (ramp / 65535).astype(np.float32)
    hot[0, 0] = np.inf  # a pixel without a value does not darken the others
    Image.fromarray(hot).save(tmp_path / "f.tiff")
    torch.testing.assert_close(read_image(tmp_path / "f.tiff"), expected, atol=0.003, rtol=0)


@pytest.mark.parametrize("highest", [255, 1023, 4095, 65535])
def test_greys_of_fewer_bits_than_they_are_kept_in_are_not_dark(highest: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256).reshape(16, 16)
    expected = torch.from_numpy(ramp).float().expand(3, 16, 16)
    kept = {"u2": np.uint16(ramp * highest), "i4": np.int32(ramp * highest), "f4": np.float32(ramp * highest)}
    for name in ("u2.png", "u2.tiff", "i4.tiff", "f4.tiff", "u2.jp2"):
        Image.fromarray(kept[name[:2]]).save(tmp_path / name)
        torch.testing.assert_close(read_image(tmp_path / name), expected, atol=0.006, rtol=0)
    for values in (ramp * 1.2 - 0.1, ramp * 2 - 1):  # a filter's overshoots; signed values
        Image.fromarray(np.float32(values)).save(tmp_path / "f.tiff")
        shown = ramp if values.min() < -0.5 else values.clip(0, 1)
        wanted = torch.from_numpy(np.float32(shown)).expand(3, 16, 16)
        torch.testing.assert_close(read_image(tmp_path / "f.tiff"), wanted, atol=0.006, rtol=0)
    for values in (kept["u2"], np.float32(ramp)):  # scanners may write a TIFF in which 0 is white
        Image.fromarray(values).save(tmp_path / "a.tiff", tiffinfo={262: 0})
        torch.testing.assert_close(read_image(tmp_path / "a.tiff"), 1 - expected, atol=0.006, rtol=0)


@pytest.mark.parametrize("highest", [1023, 4095, 65535])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_fewer_bits_than_they_are_kept_in_are_not_dark(highest: int, channels: int, tmp_path: Path) -> None:
    """Pillow reads only the upper 8 of 16 bits, so what is left of 10 bits is four values."""
    shares = np.random.default_rng(0).uniform(0, 1, (16, 16, channels))
    shares[0, 0], shares[..., 3:] = 1, 1
    values = (shares * highest).astype(">u2")
    values[..., 3:] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2 if channels == 3 else 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
    )
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    wanted = torch.from_numpy(shares[..., :3]).float().permute(2, 0, 1)
    torch.testing.assert_close(read_image(tmp_path / "a.png"), wanted, atol=255 / highest + 0.01, rtol=0)


def test_greys_of_a_png_of_16_bits_may_be_transparent(tmp_path: Path) -> None:
    ramp = np.uint16(np.linspace(0, 65535, 256).reshape(16, 16))
    Image.fromarray(ramp).save(tmp_path / "a.png", transparency=0)
    read = read_image(tmp_path / "a.png")
    assert read[0, 0, 0] == 1 and read[0, 0, 1] < 0.01


def test_inks_are_shown_by_their_profile(tmp_path: Path) -> None:
    """In a profile made here, cyan is a green of exactly L* 50 and everything else white."""
    nodes = bytes(part for node in range(16) for part in ((128, 58, 178) if node == 8 else (255, 128, 128)))
    same = bytes(range(256))
    one = struct.pack(">i", 65536)
    lut = b"mft1\0\0\0\0\4\3\2\0" + (one + bytes(12)) * 2 + one + same * 4 + nodes + same * 3
    head = struct.pack(">I4xI4s4s4s12x4s24x", 144 + len(lut), 0x2400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    head += struct.pack(">I3i48x", 0, 63190, 65536, 54061) + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut))
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", icc_profile=head + lut, quality=95)
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.tif", icc_profile=head + lut)
    for name in ("a.jpg", "a.tif"):
        red, green, blue = (float(channel.mean()) for channel in read_image(tmp_path / name))
        assert green == pytest.approx(0.55, abs=0.05) and red < 0.1 and blue < 0.1


@pytest.mark.parametrize("place", ["before", "after"])
def test_notes_in_a_png_do_not_cost_the_picture(place: str, tmp_path: Path) -> None:
    """Drawing programs keep the drawing itself in them, which may be large."""
    corners().save(buffer := io.BytesIO(), "PNG")
    data, scene = buffer.getvalue(), zlib.compress(bytes(5_000_000))
    long = png_chunk(b"zTXt", b"mxfile\0\0" + scene) + png_chunk(b"iTXt", b"scene\0\1\0\0\0" + scene)
    damaged = png_chunk(b"tEXt", b"who\0 me")[:-1] + b"?"
    for notes in (long, damaged):
        cut = 33 if place == "before" else len(data) - 12
        (tmp_path / "a.png").write_bytes(data[:cut] + notes + data[cut:])
        assert seen(read_image(tmp_path / "a.png")) == [RED, GREEN, BLUE, WHITE]


def test_alpha_of_zeros_everywhere_in_a_bitmap_is_none(tmp_path: Path) -> None:
    """As Windows writes it."""
    corners().convert("RGBA").save(tmp_path / "a.bmp")
    head = (tmp_path / "a.bmp").read_bytes()[:14]
    pixels = np.asarray(corners())[::-1, :, ::-1]
    body = np.concatenate([pixels, np.zeros_like(pixels[:, :, :1])], axis=2).tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, *corners().size, 1, 32, 3, len(body), 0, 0, 0, 0) + masks + bytes(52)
    (tmp_path / "a.bmp").write_bytes(head[:10] + struct.pack("<I", 122) + info + body)
    assert seen(read_image(tmp_path / "a.bmp")) == [RED, GREEN, BLUE, WHITE]


def test_colours_of_an_rgb_profile_become_srgb(tmp_path: Path) -> None:
    """Red and blue are exchanged in a profile, so that it cannot be missed; sRGB's own and a broken one do nothing."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    exchanged = exchanged.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be")).replace(b"sRGB", b"mine")
    for profile, expected in [
        (exchanged, [BLUE, GREEN, RED, WHITE]),
        (srgb, [RED, GREEN, BLUE, WHITE]),
        (b"broken", [RED, GREEN, BLUE, WHITE]),
    ]:
        corners().save(tmp_path / "a.png", icc_profile=profile)
        assert seen(read_image(tmp_path / "a.png")) == expected
        assert seen(read_image(Image.open(tmp_path / "a.png"))) == expected


def test_a_turned_tiff_has_the_size_that_it_is_shown_in() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    corners().save(file := io.BytesIO(), "TIFF", exif=exif)
    read = read_reduced(file.getvalue(), None)
    assert (read.height, read.width) == read.pixels.shape[:2] == (40, 24)


def test_alpha_lies_over_white(tmp_path: Path) -> None:
    image = np.zeros((2, 2, 4), np.uint8)
    image[0, 0] = (0, 0, 0, 255)
    image[0, 1] = (255, 0, 0, 128)
    Image.fromarray(image).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read[:, 0, 0].tolist() == [0, 0, 0] and read[:, 1, 1].tolist() == [1, 1, 1]
    torch.testing.assert_close(read[:, 0, 1], torch.tensor([1, 0.5, 0.5]), atol=0.01, rtol=0)
    Image.new("P", (3, 3), 0).save(tmp_path / "p.png", transparency=0)
    assert read_image(tmp_path / "p.png").min() == 1


def test_white_strokes_on_nothing_are_a_sketch(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(clear).ellipse((10, 10, 50, 50), outline=(255, 255, 255, 255), width=3)
    clear.save(tmp_path / "a.png")
    sketch = read_image(tmp_path / "a.png", "sketch")
    assert sketch[0, 0, 0] == 1 and sketch[0, 30, 11] == 0 and not is_blank(sketch)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_gives_its_first_frame(suffix: str, tmp_path: Path) -> None:
    frames = [corners(), Image.new("RGB", (40, 24), "black")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert seen(read_image(tmp_path / f"a.{suffix}")) == [RED, GREEN, BLUE, WHITE]


def test_of_an_animation_the_first_frame_that_shows_something_is_read(tmp_path: Path) -> None:
    empty = Image.new("RGB", (40, 24), "white")
    for suffix in ("gif", "webp", "png"):
        empty.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[corners()], duration=100, lossless=True)
        assert seen(read_image(tmp_path / f"a.{suffix}")) == [RED, GREEN, BLUE, WHITE]


def test_a_large_jpeg_is_decoded_reduced_and_keeps_its_size() -> None:
    buffer = io.BytesIO()
    corners((1200, 800)).save(buffer, "JPEG", quality=95)
    reduced = read_reduced(buffer.getvalue(), 200)
    assert reduced.pixels.shape == (133, 200, 3) and (reduced.width, reduced.height) == (1200, 800)
    assert seen(reduced.tensor("photo")) == [RED, GREEN, BLUE, WHITE]
    assert read_reduced(buffer.getvalue(), None, max_pixels=300_000).pixels.shape == (400, 600, 3)
    progressive = io.BytesIO()
    corners((1200, 800)).save(progressive, "JPEG", progressive=True)  # which the decoder holds in memory as it is
    with pytest.raises(ImageError, match="the picture: more than 0 megapixels"):
        read_reduced(progressive.getvalue(), 200, max_pixels=300_000)
    with pytest.raises(ImageError, match=r"a\.jpg: more than 0 megapixels"):
        read_reduced(buffer.getvalue(), 200, "photo", "a.jpg", 10_000)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_most_of_a_jpeg_is_enough_and_little_is_not(orientation: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).resize((256, 256)).save(tmp_path / "a.jpg", exif=exif)
    whole, data = read_image(tmp_path / "a.jpg"), (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[: len(data) * 9 // 10])
    with pytest.warns(ImageWarning, match=r"b\.jpg: cut short, [89]\d% of it is there"):
        most = read_image(tmp_path / "b.jpg")
    assert ((most - whole).abs().amax(dim=0) < 0.05).float().mean() > 0.8
    (tmp_path / "c.jpg").write_bytes(data[:-2])
    with pytest.warns(ImageWarning, match="100%"):
        assert torch.equal(read_image(tmp_path / "c.jpg"), whole)
    (tmp_path / "d.jpg").write_bytes(data[: len(data) // 3])
    with pytest.raises(ImageError, match="cut short, only"):
        read_image(tmp_path / "d.jpg")
    (tmp_path / "e.jpg").write_bytes(data[:200])
    with pytest.raises(ImageError, match="or cut short"):
        read_image(tmp_path / "e.jpg")


def test_pil_arrays_and_tensors_are_taken_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = read_image(pixels)
    assert torch.equal(image, read_image(Image.fromarray(pixels))) and torch.equal(image, read_image(image))
    assert torch.equal((image * 255).round().to(torch.uint8).permute(1, 2, 0), torch.from_numpy(pixels))


def test_a_picture_in_a_data_url_reads_back_pixel_for_pixel() -> None:
    for shape in ((5, 7), (5, 7, 3), (5, 7, 4)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        start, _, data = data_url(pixels).partition(",")
        assert start == "data:image/png;base64"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels)


def test_drawings_by_file_line_text_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps({"drawing": [[[0, 100], [0, y]]]}) for y in (0, 50, 100)]
    path = tmp_path / "a.ndjson"
    path.write_text("\n".join(lines))
    third = read_image(f"{path}:3", "sketch")
    assert third.shape == (3, 512, 512) and not torch.equal(third, read_image(path, "sketch"))
    assert torch.equal(third, read_image(lines[2], "sketch"))
    for data in (lines[2].encode(), b"\xef\xbb\xbf" + lines[2].encode() + b"\n" + lines[0].encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert torch.equal(third, read_image("-", "sketch"))
    with pytest.raises(ImageError, match="line 9"):
        read_image(f"{path}:9")
    corners().save(tmp_path / "pages.tiff")
    with pytest.raises(ImageError, match="no file of several drawings; leave :2 out"):
        read_image(f"{tmp_path / 'pages.tiff'}:2")


def test_svg_is_drawn_whatever_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text('<?xml version="1.0"?>\n<svg viewBox="0 0 4 2"><rect width="2" height="2"/></svg>')
    image = read_image(path)
    assert image.shape == (3, 256, 512) and image[0, 128, 100] == 0 and image[0, 128, 400] == 1


# --- files that are wrong -------------------------------------------------------------------------------------


def truncated(suffix: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, suffix)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def bomb(width: int, height: int) -> bytes:
    """A few bytes that claim to be a large picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BROKEN = {
    "truncated jpeg": (truncated("jpeg"), "broken or cut short"),
    "truncated png": (truncated("png"), "broken or cut short"),
    "truncated webp": (truncated("webp"), "not a picture|broken"),
    "truncated gif": (truncated("gif"), "broken or cut short"),
    "empty": (b"", "empty"),
    "blanks": (b" \n ", "empty"),
    "bomb": (bomb(60_000, 60_000), "megapixels"),
    "large": (bomb(10_000, 9_000), "megapixels"),
    "text": (b"hello", "not a picture"),
    "zeros": (bytes(100), "not a picture"),
    "pickle": (b"\x80\x04\x95\x0b\x00\x00\x00cos\nsystem\n.", "not a picture"),
    "html": (b"<!doctype html><title>404</title><svg></svg><br>", "a web page, not a picture"),
    "video": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "a video, which cannot be read; export it as PNG"),
    "odd tiff": (b"II*\0\x08\0\0\0\0\0", "a TIFF of an unusual kind, or cut short"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not a picture"),
    "json": (b'{"a": 1}', "no strokes"),
    "heic head": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not a picture"),
    "svg": (b"<svg><g>", "well-formed"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("error")
def test_broken_files_are_one_line_that_names_them(name: str, tmp_path: Path) -> None:
    data, why = BROKEN[name]
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=why) as caught:
        read_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:") or "photo.jpg" in message
    assert "\n" not in message and len(message) < 300


def test_missing_files_folders_and_odd_names(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    corners().save(photo)
    for source, why in [
        (tmp_path / "no.jpg", "No such file"),
        (tmp_path, "a folder"),
        ("a\0b", "null byte"),
        ("x" * 5000, "too long"),
        ("x" * 5000 + ":2", "too long"),
        ("a.png:" + "9" * 5000, "too long"),
        (f"{photo}:0", "they are counted from 1"),
    ]:
        with pytest.raises(ImageError, match=why):
            read_image(source)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(4, 8, 8),
        torch.zeros(3, 0, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.full((3, 2, 2), 200.0),
        torch.full((3, 2, 2), float("nan")),
        np.zeros((8, 8, 3), np.int64),
        np.zeros((8, 8), np.uint8),
    ],
)
def test_arrays_and_tensors_of_another_kind_are_refused(wrong: Tensor | np.ndarray) -> None:
    with pytest.raises(ImageError, match="must"):
        read_image(wrong)


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_never_raise_anything_else(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    corners().save(buffer, data.draw(st.sampled_from(["png", "jpeg", "gif", "bmp", "tiff", "webp"])))
    damaged = bytearray(buffer.getvalue())
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=6)):
        damaged[at] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(damaged)))
        try:
            image = read_image("-", data.draw(st.sampled_from(["photo", "sketch"])))
        except ImageError as error:
            assert str(error).startswith("standard input: ")
        else:
            assert image.min() >= 0 and image.max() <= 1


# --- folders, digests, thumbnails ----------------------------------------------------------------------


def test_pictures_in_folders_are_found_once_and_in_order(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.webp", ".hidden/x.png", "b/.y.png", "note.txt", "c.heic"):
        (path := tmp_path / name).parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    inner = ["a.webp", "b/1.png", "b/2.JPG", "c.heic"]
    assert find_images(tmp_path) == [tmp_path / name for name in inner]
    assert find_images([tmp_path / "b", tmp_path, tmp_path / "note.txt"]) == sorted(
        tmp_path / name for name in [*inner, "note.txt"]
    )
    with pytest.raises(ImageError, match="nowhere"):
        find_images([tmp_path, tmp_path / "nowhere"])
    with pytest.raises(ImageError, match=r"^'': no such"):
        find_images("")


def test_where_the_suffix_does_not_decide_the_bytes_do(tmp_path: Path) -> None:
    for name, kind in [("a", "JPEG"), ("b.orig", "PNG"), ("c.jp2", "JPEG2000"), ("d.ppm", "PPM"), ("e.mpo", "JPEG")]:
        corners().save(tmp_path / name, kind)
    corners().save(tmp_path / "f.txt", "PNG")
    corners().save(tmp_path / "g.dng", "TIFF")
    (tmp_path / "h").write_bytes(b"text")
    found = survey(tmp_path)
    assert [path.name for path in found.pictures] == ["a", "b.orig", "c.jp2", "d.ppm", "e.mpo"]
    assert found.ignored == {".txt": 1, ".dng": 1, "": 1}


def test_folders_are_excluded_by_name_and_by_path(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/y/b.png", "z/y/c.png", "d_edited.png"):
        (path := tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        corners().save(path)
    for globs, left in [
        (["y"], ["a", "d_edited"]),
        (["x/y"], ["a", "c", "d_edited"]),
        (["*_edited.*"], ["a", "b", "c"]),
    ]:
        assert sorted(path.stem for path in survey(tmp_path, globs).pictures) == left


def test_a_name_is_shown_in_one_printable_line() -> None:
    assert escaped("a b.jpg") == "a b.jpg" and escaped("ü.jpg") == "ü.jpg"
    name = "Screenshot 1.30\u202fPM, \N{CAT}\u200d, \u5199\u771f\u3000.png"  # as macOS and people write
    assert escaped(name) == name
    assert escaped("\u202egpj.exe") == "\\u202egpj.exe"
    assert escaped("a\nb.jpg") == "a\\nb.jpg" and escaped("a\udcff.jpg") == "a\\udcff.jpg"


def test_digest_and_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 99_999)
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"abc" * 99_999).hexdigest()
    small = Image.open(io.BytesIO(thumbnail(read_image(corners((400, 200))), 100)))
    assert small.format == "JPEG" and small.size == (100, 50)
    assert seen(read_image(small)) == [RED, GREEN, BLUE, WHITE]


def test_float_arrays_are_read_as_float_tensors_are() -> None:
    pixels = np.random.default_rng(0).random((5, 7, 3), np.float32)
    assert torch.equal(read_image(pixels), read_image(torch.from_numpy(pixels).permute(2, 0, 1)))
    assert torch.equal(read_image(pixels.astype(np.float64)), read_image(pixels))
    with pytest.raises(ImageError, match=r"\[0, 1\]"):
        read_image(pixels * 255)
    with pytest.raises(ImageError, match="int64"):
        read_image(np.zeros((5, 7, 3), np.int64))


def test_the_bytes_of_a_file_are_a_picture_and_never_printed(tmp_path: Path) -> None:
    corners((8, 4)).save(tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    assert torch.equal(read_image(data), read_image(tmp_path / "p.png"))
    assert as_list(data) == [data]
    for source in (data[:60], b"x" * 5000, b"", "<svg>" * 1000, {"no": "picture" * 100}):
        with pytest.raises(ImageError) as caught:
            read_image(source)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)
