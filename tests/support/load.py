"""Requests without a pause from several clients, while something happens to the server."""

from __future__ import annotations

import collections
import threading
from typing import Any, Self

import httpx


class Load:
    """Posts one body again and again from some threads, as a context; afterwards `answers` and `failures` are told.

    An answer is kept once, as its scores, with how often it came.
    """

    def __init__(self, url: str, body: dict[str, Any], clients: int = 3) -> None:
        self._url, self._body = url, body
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(clients)]
        self._lock = threading.Lock()
        self.answers: collections.Counter[tuple[float | None, ...]] = collections.Counter()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(180)

    def _work(self) -> None:
        with httpx.Client(base_url=self._url, timeout=180) as client:
            while not self._done.is_set():
                try:
                    answer = client.post("/v1/predict", json=self._body)
                    scores = tuple(answer.raise_for_status().json()["scores"])
                except httpx.HTTPError as error:
                    with self._lock:
                        self.failures.append(repr(error))
                else:
                    with self._lock:
                        self.answers[scores] += 1
