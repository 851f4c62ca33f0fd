"""The queue of the model: batches, one newest question per client, background work, shutdown."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sketchfusion.studio.queue import Busy, Lane, ModelQueue, Stopped, Superseded, single


def answer_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop of its own, in a thread: the browser of other tests has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class Model:
    """A model that waits at a gate and writes down what it was asked."""

    def __init__(self, limit: int = 100) -> None:
        self.gate, self.begun, self.batches = threading.Event(), threading.Event(), list[list[Any]]()
        self.queue = ModelQueue(lambda: None, limit)
        self.lane: Lane[Any, str] = Lane("search", 16, self.run)

    def run(self, questions: Sequence[Any]) -> list[str | Exception]:
        self.begun.set()
        self.gate.wait(10)
        self.batches.append(list(questions))
        return [ValueError("bad") if question == "bad" else f"answer {question}" for question in questions]

    def ask(self, client: str, sequence: int, question: Any = None) -> Coroutine[Any, Any, str]:
        return self.queue.ask(self.lane, client, sequence, question or f"{client}{sequence}")


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.gate.set()
    model.queue.close()


async def gathered(*questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """Start questions one after the other, wait for all."""
    tasks = []
    for question in questions:
        tasks.append(asyncio.ensure_future(question))
        await asyncio.sleep(0.01)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def opened(model: Model, *questions: Coroutine[Any, Any, Any]) -> list[Any]:
    """Let the model work only when all questions have come; the first one occupies it meanwhile."""
    first = asyncio.ensure_future(model.ask("first", 0))
    await asyncio.to_thread(model.begun.wait, 10)
    tasks = []
    for question in questions:
        tasks.append(asyncio.ensure_future(question))
        await asyncio.sleep(0)  # which puts it into the queue
    model.gate.set()
    return await asyncio.gather(first, *tasks, return_exceptions=True)


def test_questions_that_wait_together_are_one_batch(model: Model) -> None:
    answers = answer_of(opened(model, *(model.ask(f"c{n}-", 1) for n in range(20))))
    assert answers[1:] == [f"answer c{n}-1" for n in range(20)]
    assert [len(batch) for batch in model.batches] == [1, 16, 4]


def test_only_the_newest_of_a_client_waits_and_it_is_answered(model: Model) -> None:
    first, old, older, newest, other = answer_of(
        opened(model, model.ask("a", 1), model.ask("a", 2), model.ask("a", 3), model.ask("b", 1))
    )
    assert (first, newest, other) == ("answer first0", "answer a3", "answer b1")
    assert isinstance(old, Superseded) and isinstance(older, Superseded)
    assert model.batches == [["first0"], ["a3", "b1"]]  # and it kept the client's place in the queue


def test_an_older_question_that_comes_late_never_replaces_a_newer_one(model: Model) -> None:
    _, newer, late = answer_of(opened(model, model.ask("a", 5), model.ask("a", 4)))
    assert newer == "answer a5" and isinstance(late, Superseded)


def test_a_client_may_begin_to_count_anew_once_it_is_answered(model: Model) -> None:
    model.gate.set()
    assert answer_of(gathered(model.ask("a", 9))) == ["answer a9"]
    assert answer_of(gathered(model.ask("a", 0))) == ["answer a0"]


def test_kinds_of_questions_do_not_supersede_each_other(model: Model) -> None:
    other = single("match")
    answers = answer_of(opened(model, model.ask("a", 7), model.queue.ask(other, "a", 1, lambda: "matched")))
    assert answers[1:] == ["answer a7", "matched"]


def test_one_bad_question_harms_no_other(model: Model) -> None:
    _, good, bad, also = answer_of(opened(model, model.ask("a", 1), model.ask("b", 1, "bad"), model.ask("c", 1)))
    assert (good, also) == ("answer a1", "answer c1") and isinstance(bad, ValueError)


def test_a_full_queue_refuses_new_clients_but_not_newer_questions() -> None:
    model = Model(limit=2)
    answers = answer_of(opened(model, model.ask("a", 1), model.ask("b", 1), model.ask("c", 1), model.ask("a", 2)))
    model.queue.close()
    assert isinstance(answers[1], Superseded) and isinstance(answers[3], Busy)
    assert answers[2] == "answer b1" and answers[4] == "answer a2"


def test_background_work_waits_for_questions_but_is_not_starved(model: Model) -> None:
    """A long row of single questions, with work behind them from the start."""
    order: list[str] = []
    slow = Lane("slow", 1, lambda asked: [order.append(asked[0]) or asked[0]])

    async def crowd() -> list[Any]:
        asks = [model.ask("first", 0), *(model.queue.ask(slow, f"c{n}", 0, f"c{n}") for n in range(12))]
        tasks = [asyncio.ensure_future(ask) for ask in asks]
        await asyncio.to_thread(model.begun.wait, 10)
        work = model.queue.background(lambda: order.append("work"))
        model.gate.set()
        await asyncio.gather(*tasks)
        await asyncio.wrap_future(work)
        return order

    answer_of(crowd())
    assert 0 < order.index("work") < 12


def test_closing_answers_what_waits_and_refuses_what_comes(model: Model) -> None:
    async def closed() -> list[Any]:
        tasks = [asyncio.ensure_future(model.ask(name, 0)) for name in "abc"]
        await asyncio.sleep(0.1)
        closing = asyncio.to_thread(model.queue.close)
        threading.Timer(0.1, model.gate.set).start()
        await closing
        return await gathered(*tasks, model.ask("late", 0))

    *answers, late = answer_of(closed())
    assert answers == ["answer a0", "answer b0", "answer c0"] and isinstance(late, Stopped)


def test_a_model_that_does_not_load_answers_nobody_and_says_why() -> None:
    def broken() -> None:
        raise ValueError("no such weights")

    queue, told = ModelQueue(broken, 10), threading.Event()
    queue.on_failure(told.set)
    assert told.wait(5) and str(queue.failure) == "no such weights"
    with pytest.raises(Stopped):
        answer_of(queue.ask(single("x"), "a", 0, lambda: None))
    queue.close()


async def left(model: Model, client: str, sequence: int) -> None:
    """Ask while another question occupies the model, cancel it, and let the model go on."""
    occupying = asyncio.ensure_future(model.ask("first", 0))
    await asyncio.to_thread(model.begun.wait, 10)
    leaving = asyncio.ensure_future(model.ask(client, sequence))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.sleep(0.05)
    model.gate.set()
    await occupying


def test_a_cancelled_question_is_not_run(model: Model) -> None:
    async def gone() -> str:
        await left(model, "gone", 0)
        return await model.ask("next", 0)

    assert answer_of(gone()) == "answer next0"
    assert model.batches == [["first0"], ["next0"]]


def test_a_client_may_count_anew_after_a_cancelled_question(model: Model) -> None:
    async def again() -> str:
        await left(model, "left", 5)
        for _ in range(500):  # until the cancelled one has been passed over
            if not model.queue.waiting and not model.queue._running:
                break
            await asyncio.sleep(0.01)
        return await model.ask("left", 1)

    assert answer_of(again()) == "answer left1"


def test_answered_clients_leave_nothing_behind(model: Model) -> None:
    model.gate.set()
    answer_of(gathered(*(model.ask(f"client {n}", 0) for n in range(50))))
    assert model.queue.waiting == 0 and not model.queue._running
