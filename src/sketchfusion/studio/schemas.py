"""The words of the HTTP interface, version 1: what is asked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Size = Annotated[float, Field(allow_inf_nan=False, gt=0, le=1e6)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)]
Point = Annotated[list[Number], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Client = Annotated[str, Field(min_length=1, max_length=64)]
Sequence = Annotated[int, Field(ge=0, le=2**53)]


class Asked(BaseModel):
    """What a client sends; a field that does not exist is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Stroke(Asked):
    """One line of the pen: points [x, y] or [x, y, pressure from 0 to 1] in drawing units."""

    points: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=3)]], Field(min_length=1)]
    width: Size = 4.0
    erase: bool = False


class StrokesDrawing(Asked):
    """Strokes in drawing order on a sheet from (0, 0) to (width, height)."""

    kind: Literal["strokes"]
    width: Size
    height: Size
    strokes: list[Stroke]


class SvgDrawing(Asked):
    """An SVG document; `width` and `height` say in which units its points are counted."""

    kind: Literal["svg"]
    svg: str
    width: Size | None = None
    height: Size | None = None


class ImageDrawing(Asked):
    """The bytes of a picture of a drawing in base64, a data URL or not."""

    kind: Literal["image"]
    data: str
    width: Size | None = None
    height: Size | None = None


Drawing = Annotated[StrokesDrawing | SvgDrawing | ImageDrawing, Field(discriminator="kind")]


class Turn(Asked):
    """Who asks, and which of the client's questions this is: newer ones have larger numbers."""

    client: Client
    sequence: Sequence


class SearchRequest(Turn):
    """Photos that show what was drawn, that look like a photo, or that fit a text; what is given is combined."""

    drawing: Drawing | None = None
    like: Name | None = None
    text: str | None = None
    k: Annotated[int, Field(ge=1)] = 24
    category: str | None = None
    min_score: Share | None = None
    group: bool = False


class PhotoRequest(Turn):
    """A drawing and a photo of the gallery."""

    drawing: Drawing
    photo: Name


class MatchRequest(PhotoRequest):
    """Points on the one picture whose counterparts on the other are asked for; none: spread over the strokes."""

    points: Annotated[list[Point], Field(min_length=1, max_length=256)] | None = None
    source: Literal["sketch", "photo"] = "sketch"


class InspectRequest(Turn):
    """What the models see of a drawing and, where given, of a photo."""

    drawing: Drawing
    photo: Name | None = None


class ExportRequest(Asked):
    """A found list to be kept: a contact sheet or a list."""

    drawing: Drawing | None = None
    ids: Annotated[list[Name], Field(min_length=1)]
    format: Literal["sheet", "json"] = "json"
