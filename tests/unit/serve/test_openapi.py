"""The OpenAPI document is true: Schemathesis finds no answer that it does not describe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.engine import events, from_schema

from serve.deadline import DEADLINE_HEADER, LONGEST_MS
from serve.experiments_route import ExperimentDesk
from serve.experiments_schema import ExperimentRequest
from tests.support.deciding import Trading
from tests.support.serving import FEATURE_NAMES, bearer, whole_api
from trader.settings import RegistrySettings
from trader.storage import Store

KNOWN = "known"
CONFIG = {
    "seed": 7,
    "headers": bearer("admin"),
    "generation": {"max-examples": 3, "deterministic": True, "database": "none"},
}


@pytest.fixture(autouse=True, scope="module")
def _agreeing() -> Iterator[None]:
    """Schemathesis keeps hooks for the process."""
    schemathesis.hook("before_call")(_agree)
    yield
    schemathesis.hooks.unregister(_agree)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """All routes; the store is opened once for all requests, which spares compiling its SQL for each."""
    api, store_url = whole_api(tmp_path_factory.mktemp("api"))
    opened = Store.open(store_url)
    Trading(opened).finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "open", lambda _url: opened)
        desk = ExperimentDesk(store_url, RegistrySettings())
        refs = {"champion": "linear@1.0.0", "challenger": "linear@1.1.0"}
        desk.register(ExperimentRequest(name=KNOWN, why="to be found", **refs), "x")
        yield api


@pytest.mark.slow
def test_schemathesis_finds_nothing(api: FastAPI) -> None:
    """All checks and phases, on every operation; each also succeeds, or is told that what is so now forbids it."""
    failures, answers = _explore(api)
    assert not failures, failures[0]
    operations = {f"{method.upper()} {path}" for path, methods in api.openapi()["paths"].items() for method in methods}
    assert operations == {operation for operation, status in answers if status < 300 or status == 409}


def test_schemathesis_would_find_an_answer_that_is_not_documented(tmp_path: Path) -> None:
    """The test above is not blind: a status, a header and a type that are not in the document show."""
    api, _ = whole_api(tmp_path)

    @api.get("/v1/odd", tags=["models"])
    async def odd() -> dict[str, int]:
        """Answer with a text where a number is promised."""
        return {"n": "text"}  # type: ignore[dict-item]

    api.openapi()["paths"]["/v1/odd"]["get"]["responses"].pop("500")
    failures, _ = _explore(api, only="/v1/odd")
    assert {name for _, name, _ in failures} >= {"not_a_server_error", "status_code_conformance"}


def test_examples_are_valid(api: FastAPI) -> None:
    """Every example in the document is one of its schema."""
    document = api.openapi()
    checked = 0
    for schema, example in _examples(document, document):
        jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(example)
        checked += 1
    assert checked > 50


def test_every_answer_is_documented_exactly(api: FastAPI) -> None:
    """No wildcards, no default, a request id everywhere; tokens where they are asked for, with their role."""
    roles = {}
    for path, operations in api.openapi()["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                assert status.isdigit(), (path, status)
                assert "X-Request-ID" in response["headers"], (path, status)
                assert response["content"], (path, status)
            headers = {status: set(response["headers"]) for status, response in operation["responses"].items()}
            assert all("Retry-After" in headers[status] for status in ("429", "503") if status in headers)
            if "security" in operation:
                roles[f"{method} {path}"] = [role for each in operation["security"] for role in each]
                assert "WWW-Authenticate" in headers["401"]
    assert roles.pop("get /v1/audit") == ["admin"]
    assert roles.pop("post /v1/experiments/{name}/promote") == ["admin"]
    assert roles["post /v1/experiments"] == roles["post /v1/experiments/{name}/stop"] == ["trader"]
    metrics = api.openapi()["paths"]["/metrics"]["get"]["responses"]["200"]
    assert list(metrics["content"]) == ["text/plain"]


def _explore(api: FastAPI, only: str | None = None) -> tuple[list[tuple[str, str, str]], Counter[tuple[str, int]]]:
    """Return what Schemathesis complains of, and how often each operation was answered with which status."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", api, config=schemathesis.Config.from_dict(CONFIG))
    if only is not None:
        schema = schema.include(path=only)
    failures: list[tuple[str, str, str]] = []
    answers: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.NonFatalError), event.info.message
        if not isinstance(event, events.ScenarioFinished):
            continue
        for checks in event.recorder.checks.values():
            failures += [
                (event.recorder.label, check.name, f"{check.failure_info.failure} {check.failure_info.code_sample}")
                for check in checks
                if check.failure_info is not None
            ]
        for case_id, interaction in event.recorder.interactions.items():
            if interaction.response is not None:
                operation = event.recorder.cases[case_id].value.operation.label
                answers[operation, interaction.response.status_code] += 1
    return failures, answers


def _agree(_context: Any, case: Any, _kwargs: Any) -> None:
    """Make the parts of a valid body agree with each other in what JSON Schema cannot say.

    Features have a row for each symbol and a column for each of the models' names, members are named that there are;
    a shadow has no share of the traffic, a ramp has steps, and two variants differ. A deadline is a long one: that of
    0 ms is rightly answered 504, a server error.
    """
    body = case.body
    positive = case.meta is not None and case.meta.generation.mode.is_positive
    if case.path_parameters and positive:
        case.path_parameters = {"name": KNOWN}
    deadline = (case.headers or {}).get(DEADLINE_HEADER, "")
    if deadline.isdigit() and int(deadline) <= LONGEST_MS:
        case.headers[DEADLINE_HEADER] = str(LONGEST_MS)
    if not isinstance(body, dict) or not positive:
        return
    agreed = dict(body)
    if "features" in body:
        symbols = list(dict.fromkeys(body["symbols"]))[:8]
        numbers = [number for row in body["features"] for number in row] or [None]
        width, n_cells = len(FEATURE_NAMES), len(symbols) * len(FEATURE_NAMES)
        cells = [numbers[i % len(numbers)] for i in range(n_cells)]
        rows = [cells[i : i + width] for i in range(0, n_cells, width)]
        agreed |= {"feature_names": list(FEATURE_NAMES), "symbols": symbols, "features": rows}
        known = {"context": [rows], "explain": symbols[:1], "member": "linear@1.0.0", "method": "shap"}
        agreed |= {key: value for key, value in known.items() if key in body}
    if "challenger" in body:
        agreed |= {"champion": "linear@1.0.0", "challenger": "linear@1.1.0", "holdout": 0.1, "ramp": []}
        agreed |= {"challenger_share": 0.5, "floor": 0.05}
        if body.get("kind") == "shadow":
            agreed |= {"challenger_share": 0.0, "schedule": "fixed"}
        elif body.get("schedule") == "ramp":
            agreed["ramp"] = [0.5, 0.9]
    if "members" in body:
        agreed |= {"members": ["linear@1.0.0"], "weights": {}, "experiment": None, "share": None}
    case.body = agreed


def _examples(node: Any, document: dict[str, Any]) -> list[tuple[dict[str, Any], Any]]:
    """Return every example below a node of the document with the schema that it is one of."""
    found: list[tuple[dict[str, Any], Any]] = []
    if isinstance(node, list):
        for each in node:
            found += _examples(each, document)
    elif isinstance(node, dict):
        if "example" in node and "schema" in node:
            found.append((node["schema"], node["example"]))
        if isinstance(node.get("examples"), list):
            found += [(node, example) for example in node["examples"]]
        for each in node.values():
            found += _examples(each, document)
    return found
