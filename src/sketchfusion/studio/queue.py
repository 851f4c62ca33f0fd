"""A queue to the one thread that runs the model in batches; only the newest question of each client and lane waits."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

PATIENCE = 8  # batches of questions in a row, after which one background task runs


class Superseded(Exception):
    """A newer question of the same client and lane came before this one was started."""


class Busy(Exception):
    """The queue is full."""


class Stopped(Exception):
    """The studio is shutting down, or could not load its model."""


@dataclass(frozen=True)
class Lane(Generic[Question, Answer]):
    """A kind of question: its largest batch, and a function from a batch to one answer or error per question."""

    name: str
    batch: int
    run: Callable[[Sequence[Question]], Sequence[Answer | Exception]]


def single(name: str) -> Lane[Callable[[], Answer], Answer]:
    """Make a lane for questions that cannot be batched: each is a function to call."""
    return Lane(name, 1, lambda calls: [call() for call in calls])


@dataclass(eq=False)
class Ticket:
    """A waiting question; a newer one of the same client and lane takes its place in the queue."""

    lane: Lane[Any, Any]
    key: tuple[str, str]  # the lane's name and the client; only the newest question of a key waits
    sequence: int
    question: Any
    future: Future[Any] = field(default_factory=Future)


class ModelQueue:
    """The only thread that may run the model, with the questions and background tasks that wait for it."""

    def __init__(self, prepare: Callable[[], None], limit: int) -> None:
        """Start the thread, which calls `prepare` first. At most `limit` questions wait."""
        self.failure: Exception | None = None
        self.ready = threading.Event()  # set once `prepare` has finished or failed
        self._limit = limit
        self._change = threading.Condition()
        self._waiting: dict[tuple[str, str], Ticket] = {}
        self._running: dict[tuple[str, str], int] = {}  # sequence numbers of the batch in progress
        self._background: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._streak = 0  # batches since the last background task
        self._closed = False
        self._on_failure: Callable[[], Any] = lambda: None
        self._thread = threading.Thread(target=self._work, args=(prepare,), name="model", daemon=True)
        self._thread.start()

    def on_failure(self, call: Callable[[], Any]) -> None:
        """Set a function to call if `prepare` fails; it is called at once if it has failed already."""
        with self._change:
            self._on_failure = call
        if self.failure:
            call()

    @property
    def waiting(self) -> int:
        """Number of waiting questions."""
        return len(self._waiting)

    async def ask(self, lane: Lane[Question, Answer], client: str, sequence: int, question: Question) -> Answer:
        """Queue a question and wait for its answer. Raises Superseded, Busy, Stopped, or what the lane raises."""
        ticket = Ticket(lane, (lane.name, client), sequence, question)
        with self._change:
            if self._closed or self.failure:
                raise Stopped
            older = self._waiting.get(ticket.key)
            newest = older.sequence if older else self._running.get(ticket.key, sequence)
            if sequence < newest:
                raise Superseded
            if older is None and len(self._waiting) >= self._limit:
                raise Busy
            self._waiting[ticket.key] = ticket  # a dict keeps the older one's place
            self._change.notify()
        if older is not None:
            _fail(older.future, Superseded())
        answer: Answer = await asyncio.wrap_future(ticket.future)
        return answer

    def run(self, call: Callable[[], Answer]) -> Answer:
        """Run a function as `background` does, or at once if already on the model's thread; wait for its result."""
        if threading.current_thread() is self._thread:
            return call()
        return self.background(call).result()

    def background(self, call: Callable[[], Answer]) -> Future[Answer]:
        """Run a function on the model's thread when no question waits, or after `PATIENCE` batches; do not wait."""
        future: Future[Answer] = Future()
        with self._change:
            if self._closed or self.failure:
                raise Stopped
            self._background.append((call, future))
            self._change.notify()
        return future

    def close(self) -> None:
        """Refuse new work, finish all questions and background tasks that wait, and end the thread."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join()

    def _work(self, prepare: Callable[[], None]) -> None:
        try:
            prepare()
        except Exception as error:
            self._give_up(error)
            return
        self.ready.set()
        while (work := self._next()) is not None:
            work()

    def _give_up(self, error: Exception) -> None:
        with self._change:
            self.failure = error
            left = [*(ticket.future for ticket in self._waiting.values()), *(future for _, future in self._background)]
            self._waiting.clear()
            self._background.clear()
        for future in left:
            _fail(future, Stopped())
        self.ready.set()
        self._on_failure()

    def _next(self) -> Callable[[], None] | None:
        """Wait for work and return it; None when the queue is closed and empty."""
        with self._change:
            while not (self._waiting or self._background or self._closed):
                self._change.wait()
            if self._background and (not self._waiting or self._streak >= PATIENCE):
                self._streak = 0
                call, future = self._background.popleft()
                return lambda: _settle(future, call)
            if not self._waiting:
                return None
            self._streak += 1
            tickets = self._take()
        return lambda: self._answer(tickets)

    def _take(self) -> list[Ticket]:
        """Take the question that has waited longest, and as many of its lane as fit into the batch."""
        lane = next(iter(self._waiting.values())).lane
        tickets = [ticket for ticket in self._waiting.values() if ticket.lane.name == lane.name][: lane.batch]
        for ticket in tickets:
            del self._waiting[ticket.key]
        self._running = {ticket.key: ticket.sequence for ticket in tickets}
        return tickets

    def _answer(self, tickets: list[Ticket]) -> None:
        tickets = [ticket for ticket in tickets if ticket.future.set_running_or_notify_cancel()]
        answers: Sequence[Any]
        try:
            answers = tickets[0].lane.run([ticket.question for ticket in tickets]) if tickets else []
        except Exception as error:
            answers = [error] * len(tickets)
        with self._change:
            self._running = {}
        for ticket, answer in zip(tickets, answers, strict=True):
            if isinstance(answer, Exception):
                ticket.future.set_exception(answer)
            else:
                ticket.future.set_result(answer)


def _fail(future: Future[Any], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _settle(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
