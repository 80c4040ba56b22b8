from __future__ import annotations

from dataclasses import replace

from pipelines.worker.batch_queue import BATCHED_PIXELS, BatchQueue, PendingRequest
from tests.pipelines.worker.rendering import prepared
from uso_core.model.sizes import Size


def pending(*, number: int = 0, width: int = 32, images: int = 1) -> PendingRequest:
    return PendingRequest(prepared(number=number, width=width), range(images))


def test_a_batch_has_one_key_and_as_many_images_as_fit() -> None:
    queue = BatchQueue(4)
    first, other, two, three = pending(), pending(width=48), pending(images=2), pending(images=3)
    last = pending()
    for request in (first, other, two, three, last):
        queue.put(request)
    assert queue.take(first) == [first, two, last]
    assert queue.take(other) == [other]
    assert queue.take(three) == [three]


def test_a_request_is_taken_once() -> None:
    queue = BatchQueue(2)
    requests = [pending() for _ in range(3)]
    for request in requests:
        queue.put(request)
    assert queue.take(requests[1]) == [requests[1], requests[0]]
    assert queue.take(requests[2]) == [requests[2]]


def test_large_outputs_are_not_batched() -> None:
    queue = BatchQueue(4)
    batch_key = prepared().batch_key
    side = round(BATCHED_PIXELS**0.5)
    sizes = [Size(side, side), Size(side + 16, side), Size(1024, 1024)]
    keys = [replace(batch_key, size=size) for size in sizes]
    assert [queue.most_images(each) for each in keys] == [4, 1, 1]
