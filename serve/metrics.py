"""Prometheus metrics of a process that serves, and the merging of those of several processes.

Every process keeps its own registry. The answer of `/metrics` is their union: each series carries the label
`process` (host and process id), so that a restarted replica is a new series and no counter ever goes back.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["HttpMetrics", "ServiceMetrics", "merge_expositions"]

_LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_PREFIX = "gpt_trader"


class _Registered:
    """A registry and its text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def exposition(self) -> str:
        """Return the metrics in Prometheus' text format, each series labelled with this process."""
        process = f"{socket.gethostname()}:{os.getpid()}"
        return generate_latest(_Labelled(self.registry.collect(), process)).decode()


class HttpMetrics(_Registered):
    """Requests of one HTTP ingress."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter(
            f"{_PREFIX}_http_requests",
            "HTTP requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            f"{_PREFIX}_http_request_seconds",
            "Time from the request's arrival at the ingress to the end of its answer.",
            ("route",),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.replicas = Gauge(
            f"{_PREFIX}_ensemble_replicas_scraped",
            "Replicas of the ensemble whose metrics are in this answer; 0 when none answered.",
            registry=self.registry,
        )
        self.routed = Counter(
            f"{_PREFIX}_routed_symbols",
            "Symbols scored over HTTP while there is a challenger, by the variant that answered.",
            ("variant",),
            registry=self.registry,
        )
        self.challenger = Counter(
            f"{_PREFIX}_challenger_requests",
            "Requests to a challenger or shadow: answered, failed (late included), skipped by the circuit breaker, or "
            "dropped because too many waited for the shadow.",
            ("outcome",),
            registry=self.registry,
        )
        self.agreement = Counter(
            f"{_PREFIX}_shadow_symbols",
            "Symbols that champion and shadow both scored, by whether the scores have the same sign.",
            ("sign",),
            registry=self.registry,
        )
        self.variant_seconds = Histogram(
            f"{_PREFIX}_variant_seconds",
            "Time of a prediction as the router sees it, by the variant and the deployment that was asked.",
            ("variant", "deployment"),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.variant_errors = Counter(
            f"{_PREFIX}_variant_errors",
            "Predictions that ended without an answer: refused, overloaded, unavailable, failed, cancelled or "
            "unexpected; see `serve.timing.TimedBackend`.",
            ("variant", "deployment", "kind"),
            registry=self.registry,
        )
        self.audited = Counter(
            f"{_PREFIX}_audit_entries",
            "Requests for a change by outcome (done, refused, denied, failed), and whether the audit log has them: "
            "stored, dropped (too many were denied), or failed (the store did not take them).",
            ("outcome", "kept"),
            registry=self.registry,
        )


class ServiceMetrics(_Registered):
    """Predictions and explanations of one replica of the ensemble."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Counter(f"{_PREFIX}_prediction_rows", "Rows of features scored.", registry=self.registry)
        self.abstained = Counter(
            f"{_PREFIX}_prediction_abstentions", "Rows whose ensemble score is NaN.", registry=self.registry
        )
        self.refused = Counter(
            f"{_PREFIX}_prediction_refusals", "Predictions refused because of their input.", registry=self.registry
        )
        self.left_out = Counter(
            f"{_PREFIX}_member_left_out",
            "Predictions that the other members answered without one: it failed, was late, or was skipped for that.",
            ("member", "reason"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            f"{_PREFIX}_prediction_seconds",
            "Time spent scoring one request.",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.explanations = Counter(
            f"{_PREFIX}_explanations",
            "Explanations answered by method, computed or from the cache.",
            ("method", "source"),
            registry=self.registry,
        )
        self.explanations_busy = Counter(
            f"{_PREFIX}_explanation_refusals",
            "Explanations refused because another one was being computed.",
            registry=self.registry,
        )
        self.explanation_seconds = Histogram(
            f"{_PREFIX}_explanation_seconds",
            "Time spent on one explanation.",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.member = Gauge(
            f"{_PREFIX}_member_weight", "Weight of each member served.", ("member",), registry=self.registry
        )


class _Labelled:
    """Metric families with one label more, in the shape `generate_latest` asks for."""

    def __init__(self, families: Iterable[Metric], process: str) -> None:
        self._families = families
        self._process = process

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            labelled = Metric(family.name, family.documentation, family.type)
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                labelled.samples.append(sample._replace(labels={**sample.labels, "process": self._process}))
            if labelled.samples:
                yield labelled


class _Merged:
    """The union of several expositions, one family a name."""

    def __init__(self, expositions: Iterable[tuple[str | None, str]]) -> None:
        self._expositions = expositions

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for deployment, text in self._expositions:
            more = {} if deployment is None else {"deployment": deployment}
            for family in text_string_to_metric_families(text):
                known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                known.samples.extend(sample._replace(labels={**sample.labels, **more}) for sample in family.samples)
        yield from families.values()


def merge_expositions(expositions: Iterable[tuple[str | None, str]]) -> bytes:
    """Return the union of texts in Prometheus' format; a family named in several is written once.

    Parameters
    ----------
    expositions : iterable of tuple
        Pairs of a deployment, which becomes the label `deployment` of every series, or None for none; and a text.
    """
    return generate_latest(_Merged(expositions))
