"""Bodies of requests and answers of the HTTP interface, version 1, and the limits on them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Size = Annotated[float, Field(allow_inf_nan=False, gt=0, le=1e6)]
Point = Annotated[list[Number], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Period = Annotated[str, Field(pattern=r"^[12]\d{3}(-(0[1-9]|1[0-2]))?$")]  # a year or a month: 2024, 2024-05
Pair = tuple[float, float]


# Requests


class RequestBody(BaseModel):
    """What a client sends; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Stroke(RequestBody):
    """A line of the pen: points [x, y] or [x, y, pressure from 0 to 1] in drawing units."""

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
    """An SVG document; `width` and `height` set the drawing units, its own size by default."""

    kind: Literal["svg"]
    svg: str
    width: Size | None = None
    height: Size | None = None


class ImageDrawing(RequestBody):
    """A picture file in base64, or as a data URL; `width` and `height` set the drawing units, pixels by default."""

    kind: Literal["image"]
    data: str
    width: Size | None = None
    height: Size | None = None


Drawing = Annotated[StrokesDrawing | SvgDrawing | ImageDrawing, Field(discriminator="kind")]


class QueuedRequest(RequestBody):
    """A request that waits for the model; `sequence` grows with each request of a client."""

    client: Annotated[str, Field(min_length=1, max_length=64)]
    sequence: Annotated[int, Field(ge=0, le=2**53)]


class SearchRequest(QueuedRequest):
    """A search by a drawing, by a photo (of the gallery: `like`) or by text, or by several of them together."""

    drawing: Drawing | None = None
    like: Name | None = None
    photo: ImageDrawing | None = None
    text: str | None = None
    without: Annotated[list[Name], Field(max_length=32)] = []  # labels of the drawing that are wrong
    right: Annotated[list[Name], Field(max_length=64)] = []  # photos found that are what was looked for
    wrong: Annotated[list[Name], Field(max_length=64)] = []  # photos found that are not, to leave out
    k: Annotated[int, Field(ge=1)] = 24
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0  # photos of the answer to leave out, which were given before
    folder: Name | None = None  # as `info` lists it; all below it counts
    date: Period | None = None
    min_score: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)] | None = None
    group: bool = False


class PhotoRequest(QueuedRequest):
    """A drawing and a photo of the gallery."""

    drawing: Drawing
    photo: Name


class MatchRequest(PhotoRequest):
    """Points of the `source` picture to match; by default points spread over the strokes."""

    points: Annotated[list[Point], Field(min_length=1, max_length=256)] | None = None
    source: Literal["sketch", "photo"] = "sketch"


class InspectRequest(QueuedRequest):
    """A drawing and, optionally, a photo whose features to show."""

    drawing: Drawing
    photo: Name | None = None


class FollowRequest(RequestBody):
    """Whether to pause following folders; if not, they are looked through at once, and what failed is tried again."""

    paused: bool


class ExportRequest(RequestBody):
    """Photos to export: contact sheet (PNG), list (JSON), their files (ZIP) or their paths (text, a path a line)."""

    drawing: Drawing | None = None
    ids: Annotated[list[Name], Field(min_length=1)]
    format: Literal["sheet", "json", "zip", "paths"] = "json"


# Answers


class Problem(BaseModel):
    """An error, in one line."""

    error: str
    superseded: bool | None = None


class PhotoCard(BaseModel):
    """A photo of the gallery; `path` is its last folder and file name; `thumbnail` is another one once the file is."""

    id: str
    name: str
    path: str
    category: str
    width: int
    height: int
    thumbnail: str


class FoundPhoto(PhotoCard):
    """A photo found: its cosine with the query (`score`), and the confidence that it is a match."""

    score: float
    confidence: float
    rank: int
    similar: list[str] = []


class PhotoFacts(PhotoCard):
    """Everything that the gallery and the photo's file tell."""

    bytes: int
    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    camera: str | None = None
    lens: str | None = None
    exposure: str | None = None


class Label(BaseModel):
    """A label of the drawing, its probability, and whether photos of it were looked for too."""

    label: str
    score: float
    used: bool
    drawable: bool  # whether there is an example drawing of it


class SearchAnswer(BaseModel):
    """Photos found, best first, and labels of the drawing."""

    sequence: int
    hits: list[FoundPhoto]
    labels: list[Label]
    milliseconds: float


class PhotoList(BaseModel):
    """A page of the gallery."""

    total: int
    photos: list[PhotoCard]


class Revealed(BaseModel):
    """The photo is shown in the file manager."""

    revealed: bool = True


class Removed(BaseModel):
    """How many photos were removed from the gallery."""

    removed: int


class JobStarted(BaseModel):
    """The job that indexes uploaded photos."""

    job: str


class FailedFile(BaseModel):
    """A file that could not be indexed, and why."""

    name: str
    reason: str


class JobState(BaseModel):
    """The progress of an indexing job."""

    job: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    failed: list[FailedFile]
    error: str | None = None
    folder: str  # the folder of the first photo


class SegmentAnswer(BaseModel):
    """How strongly each pixel of the photo shows the drawn object, as an 8-bit grey PNG in a data URL."""

    score: float
    threshold: float  # of the heat, in [0, 1]; 1 if the photo probably does not show the object
    heat: str
    width: int
    height: int


class MatchedPoint(BaseModel):
    """A point of the drawing, in its units, and its counterpart in the photo, in pixels of the original file."""

    sketch: Pair
    photo: Pair
    score: float
    mutual: bool


class MatchAnswer(BaseModel):
    """Matches in the order of the points requested."""

    matches: list[MatchedPoint]


class DenseAnswer(BaseModel):
    """Drawing and photo coloured alike where they match, as PNGs in data URLs."""

    sketch: str
    photo: str


class FeaturePictures(BaseModel):
    """The three principal components of a feature as colours, as PNGs in data URLs."""

    feature: str
    sketch: str
    photo: str | None


class SpectrumReply(BaseModel):
    """Log amplitude of a feature map by spatial frequency, relative to frequency 0."""

    feature: str
    kind: Literal["sketch", "photo"]
    frequency: list[float]
    amplitude: list[float]


class InspectAnswer(BaseModel):
    """Features of CLIP, of Stable Diffusion's stages and fused, side by side."""

    maps: list[FeaturePictures]
    spectra: list[SpectrumReply]
    branch_weights: dict[str, float]


class ModelInfo(BaseModel):
    """Which weights are loaded."""

    name: str
    fingerprint: str
    tasks: list[str]
    labels: int


class FolderCount(BaseModel):
    """A folder of photos, with the number in it and below; `parent` is the `id` of the one above, empty at the top."""

    id: str
    name: str
    parent: str
    photos: int


class MonthCount(BaseModel):
    """A month, such as 2024-05, and the number of its photos."""

    month: str
    photos: int


class GalleryInfo(BaseModel):
    """The gallery that is searched; photos without a date of the camera, `undated`, have that of their file."""

    name: str
    photos: int
    folders: list[FolderCount] = []
    months: list[MonthCount] = []
    undated: int = 0
    demo: bool


class LimitsInfo(BaseModel):
    """Limits that a client has to keep; names with `bytes` are in bytes."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)

    upload_bytes: int = 100_000_000  # of all files in one request
    upload_files: int = 500  # in one request
    json_bytes: int = 16_000_000
    pixels: int = 50_000_000  # of one picture
    strokes: int = 2_000
    points: int = 50_000  # of all strokes together
    text: int = 200  # characters of a text query
    results: int = 200  # photos returned by one search


class Limits(LimitsInfo):
    """Every limit of the studio; names with `bytes` are in bytes, names with `side` in pixels."""

    json_depth: int = 12  # levels of nesting
    json_lists: int = 60_000  # lists and objects in one request; every point of a stroke is a list
    waiting: int = 256  # requests in the queue
    batch: int = 16  # searches that one run of the model answers together
    background_batch: int = 4  # photos per run of the model while indexing; waiting searches go between runs
    decoders: int = 2  # pictures decoded at the same time
    photo_side: int = 1_600  # longer side of a photo as the page shows it
    task_side: int = 640  # longer side of a photo that is segmented, matched or inspected
    drawing_side: int = 2_048  # longer side of a drawing sent as a picture; up to here it is read as a file is
    thumbnail_bytes: int = 64_000_000  # of thumbnails in memory
    reserve_bytes: int = 500_000_000  # of the disk, which uploads leave free
    jobs: int = 64  # indexing jobs that are remembered, finished ones included
    jobs_waiting: int = 8  # indexing jobs that wait for their turn


class Phone(BaseModel):
    """How a phone in the same network opens the studio."""

    address: str
    code: str  # a QR code of the address, SVG as a data URL


class Info(BaseModel):
    """The studio's version, model, gallery and limits."""

    version: str
    model: ModelInfo
    gallery: GalleryInfo
    limits: LimitsInfo
    local: bool  # whether the client is on the machine of the photos, and may see where they lie
    phone: Phone | None = None  # for a local client, where other devices can reach the studio


class Example(BaseModel):
    """An example drawing to start from."""

    name: str
    width: float
    height: float
    strokes: list[Stroke]


class Indexing(BaseModel):
    """How far the folders that the studio follows are indexed."""

    done: int
    total: int  # photos to embed
    photos: int  # of the gallery
    changes: int  # how many times photos were added, replaced or removed
    error: str | None  # why following waits
    paused: bool = False


class FollowedFolder(BaseModel):
    """A folder that the studio follows."""

    name: str  # its path for clients on this machine, else its last part
    photos: int  # of the gallery, in it and below
    there: bool  # False if its disk is unplugged, or it was moved or deleted; its photos stay


class Following(BaseModel):
    """The folders that the studio follows, and their files that could not be indexed."""

    paused: bool
    folders: list[FollowedFolder]
    failed: list[FailedFile]


class Health(BaseModel):
    """The state of the server: `starting` until the model is loaded, `stopping` while it shuts down."""

    status: Literal["starting", "ok", "stopping"]
    version: str
    waiting: int
    uptime_seconds: float
    indexing: Indexing | None
