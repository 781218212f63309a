"""Batches read ahead by a thread."""

import threading

import pytest

from slembench.evaluation.batch import prefetch


def test_same_items_in_order_made_by_another_thread():
    makers = []

    def items():
        for k in range(5):
            makers.append(threading.get_ident())
            yield k

    assert list(prefetch(items())) == [0, 1, 2, 3, 4]
    assert threading.get_ident() not in makers
    assert list(prefetch([])) == []


def test_one_item_ahead_and_no_more():
    made = []
    stream = prefetch(made.append(k) or k for k in range(10))
    assert next(stream) == 0
    assert next(stream) == 1
    assert len(made) <= 3
    stream.close()


def test_errors_arrive_where_the_item_would():
    def items():
        yield 1
        raise ValueError("broken")

    stream = prefetch(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)
