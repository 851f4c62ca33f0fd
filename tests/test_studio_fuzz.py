"""Random requests, valid and invalid, generated from the OpenAPI schema: no internal error, answers as described."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fixtures.studio import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FIT, UNFIT = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("examples", [4, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", [FIT, UNFIT], ids=["fitting", "not fitting"])
def test_every_answer_is_as_described(studio: Server, mode: Any, examples: int) -> None:
    """With so many requests to each operation."""
    schema = schemathesis.openapi.from_url(f"{studio.address}/api/v1/openapi.json")
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            answer = case.call_and_validate(checks=CHECKS, timeout=60)
            assert "Traceback" not in answer.text and 'File "' not in answer.text

        try:
            check()
        except Exception as error:
            if "Unsatisfiable" not in type(error).__name__:  # what has no parameters cannot be asked wrongly
                raise
    assert asked > 30
