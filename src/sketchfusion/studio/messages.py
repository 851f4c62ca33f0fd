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


class RequestBody(BaseModel):
    """What a client sends; a field that does not exist is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Stroke(RequestBody):
    """One line of the pen: points [x, y] or [x, y, pressure from 0 to 1] in drawing units."""

    points: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=3)]], Field(min_length=1)]
    width: Size = 4.0
    erase: bool = False


class StrokesDrawing(RequestBody):
    """Strokes in drawing order on a sheet from (0, 0) to (width, height)."""

    kind: Literal["strokes"]
    width: Size
    height: Size
    strokes: list[Stroke]


class SvgDrawing(RequestBody):
    """An SVG document; `width` and `height` say in which units its points are counted."""

    kind: Literal["svg"]
    svg: str
    width: Size | None = None
    height: Size | None = None


class ImageDrawing(RequestBody):
    """The bytes of a picture of a drawing in base64, a data URL or not."""

    kind: Literal["image"]
    data: str
    width: Size | None = None
    height: Size | None = None


Drawing = Annotated[StrokesDrawing | SvgDrawing | ImageDrawing, Field(discriminator="kind")]


class Turn(RequestBody):
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


class ExportRequest(RequestBody):
    """A found list to be kept: a contact sheet or a list."""

    drawing: Drawing | None = None
    ids: Annotated[list[Name], Field(min_length=1)]
    format: Literal["sheet", "json"] = "json"


# The words of the HTTP interface, version 1: what is answered.


Pair = tuple[float, float]


class Problem(BaseModel):
    """Why a request was not answered, in one line."""

    error: str
    superseded: bool | None = None


class PhotoCard(BaseModel):
    """A photo of the gallery; `path` is its last folder and its name, never where it lies on the machine."""

    id: str
    name: str
    path: str
    category: str
    width: int
    height: int
    thumbnail: str


class FoundPhoto(PhotoCard):
    """A photo of an answer: the cosine with the question, and how sure it is that the photo shows it."""

    score: float
    confidence: float
    rank: int
    similar: list[str] = []


class PhotoFacts(PhotoCard):
    """All that the gallery knows of a photo."""

    bytes: int
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Label(BaseModel):
    """A name for what was drawn and its probability."""

    label: str
    score: float


class SearchAnswer(BaseModel):
    """What was found, best first."""

    sequence: int
    hits: list[FoundPhoto]
    labels: list[Label]
    milliseconds: float


class PhotoList(BaseModel):
    """A page of the gallery."""

    total: int
    photos: list[PhotoCard]


class Removed(BaseModel):
    """How many photos were forgotten."""

    removed: int


class JobStarted(BaseModel):
    """The job that indexes what was uploaded."""

    job: str


class FailedFile(BaseModel):
    """A file that could not be indexed, and why."""

    name: str
    reason: str


class JobState(BaseModel):
    """How far a job is."""

    job: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    failed: list[FailedFile]
    error: str | None = None


class SegmentAnswer(BaseModel):
    """How strongly each place of the photo shows what was drawn, as an 8-bit grey PNG in a data URL."""

    score: float
    threshold: float  # of the heat, from 0 to 1; 1 where the photo probably does not show it
    heat: str
    width: int
    height: int


class MatchedPoint(BaseModel):
    """A point of the drawing, in its units, and its counterpart on the photo, in pixels of the original."""

    sketch: Pair
    photo: Pair
    score: float
    mutual: bool


class MatchAnswer(BaseModel):
    """Counterparts in the order of the points asked for."""

    matches: list[MatchedPoint]


class DenseAnswer(BaseModel):
    """The same colour where drawing and photo match, as PNGs in data URLs."""

    sketch: str
    photo: str


class FeaturePictures(BaseModel):
    """A feature's first three principal components as colours, as PNGs in data URLs."""

    feature: str
    sketch: str
    photo: str | None


class SpectrumReply(BaseModel):
    """Log amplitude of a feature map over spatial frequency, relative to that at zero."""

    feature: str
    kind: Literal["sketch", "photo"]
    frequency: list[float]
    amplitude: list[float]


class InspectAnswer(BaseModel):
    """CLIP, Stable Diffusion and what is made of both, side by side."""

    maps: list[FeaturePictures]
    spectra: list[SpectrumReply]
    branch_weights: dict[str, float]


class ModelInfo(BaseModel):
    """Which weights are loaded."""

    name: str
    fingerprint: str
    tasks: list[str]
    labels: int


class GalleryInfo(BaseModel):
    """What is searched."""

    name: str
    photos: int
    categories: list[str]
    demo: bool


class LimitsInfo(BaseModel):
    """How much may be asked for."""

    upload_bytes: int
    upload_files: int
    json_bytes: int
    pixels: int
    strokes: int
    points: int
    text: int
    results: int


class Info(BaseModel):
    """What this studio is."""

    version: str
    model: ModelInfo
    gallery: GalleryInfo
    limits: LimitsInfo


class ExampleStroke(BaseModel):
    """A stroke of an example."""

    points: list[list[float]]
    width: float
    erase: bool = False


class Example(BaseModel):
    """A drawing to start from."""

    name: str
    width: float
    height: float
    strokes: list[ExampleStroke]


class Health(BaseModel):
    """Whether questions are answered: `starting` until the model is loaded, `stopping` at the end."""

    status: Literal["starting", "ok", "stopping"]
    version: str
    waiting: int
    uptime_seconds: float
