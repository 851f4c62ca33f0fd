"""The words of the HTTP interface, version 1: what is answered."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

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


class Spectrum(BaseModel):
    """Log amplitude of a feature map over spatial frequency, relative to that at zero."""

    feature: str
    kind: Literal["sketch", "photo"]
    frequency: list[float]
    amplitude: list[float]


class InspectAnswer(BaseModel):
    """CLIP, Stable Diffusion and what is made of both, side by side."""

    maps: list[FeaturePictures]
    spectra: list[Spectrum]
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
