import json
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from batchup.errors import (
    AnswerLostError,
    FatalError,
    GoneError,
    RateLimitedError,
    RejectedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.fal.answers import Answer, failed_request, failure

STEPS = ("submit", "run", "status", "result", "cancel", "token", "upload", "platform")
NOW = datetime(2026, 11, 8, 12, tzinfo=UTC)

MODEL_AGAIN = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
}
MODEL_FOR_GOOD = [
    "content_policy_violation",
    "no_media_generated",
    "image_too_small",
    "image_too_large",
    "image_load_error",
    "file_download_error",
    "face_detection_error",
    "file_too_large",
    "unsupported_image_format",
    "unsupported_video_format",
    "video_duration_too_long",
    "video_duration_too_short",
    "feature_not_supported",
    "greater_than",
    "less_than",
    "multiple_of",
    "one_of",
    "a_validator_of_tomorrow",
]
PLATFORM_AGAIN = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "internal_error": 500,
}
PLATFORM_FOR_GOOD = {"client_disconnected": 499, "client_cancelled": 499, "bad_request": 400}
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


def answer(status, body=b"", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CIMultiDict((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, named, content, "GET https://queue.fal.run/x", NOW)


def of_model(name, status, **headers):
    detail = [{"loc": ["body", "image_url"], "msg": "Something is wrong", "type": name}]
    return answer(status, {"detail": detail}, **headers)


def of_platform(name, status, **headers):
    return answer(
        status, {"detail": "Something is wrong", "error_type": name}, X_Fal_Error_Type=name, **headers
    )


def kind_of(error):
    assert error is not None
    return type(error), getattr(error, "kind", None)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", [200, 202])
def test_a_success_is_no_failure(step, status):
    assert failure(step, answer(status, b"{}")) is None


@pytest.mark.parametrize(("name", "status"), MODEL_AGAIN.items())
@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("submit", TransientError),
        ("run", RunFailedError),
        ("status", TransientError),
        ("result", TransientError),
    ],
)
@pytest.mark.parametrize("header", [None, "true"], ids=["by type", "by header"])
def test_a_models_error_that_may_pass_is_tried_again(step, error, name, status, header):
    headers = {"X_Fal_Retryable": header} if header else {}

    assert kind_of(failure(step, of_model(name, status, **headers))) == (error, name)


@pytest.mark.parametrize("name", MODEL_FOR_GOOD)
@pytest.mark.parametrize("step", ["submit", "run", "status", "result"])
@pytest.mark.parametrize("header", [None, "false"], ids=["by type", "by header"])
def test_a_models_error_for_good_fails_the_task(step, name, header):
    headers = {"X_Fal_Retryable": header} if header else {}

    error = failure(step, of_model(name, 422, **headers))

    assert kind_of(error) == (RejectedError, name)
    assert "image_url: Something is wrong" in str(error)
    assert name in str(error)


@pytest.mark.parametrize(("name", "status"), PLATFORM_AGAIN.items())
@pytest.mark.parametrize("request_id", [None, "abc"], ids=["without id", "with id"])
@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("submit", TransientError),
        ("run", RunFailedError),
        ("status", TransientError),
        ("result", TransientError),
        ("token", TransientError),
        ("upload", TransientError),
    ],
)
def test_a_platforms_error_that_may_pass_is_tried_again(step, error, name, status, request_id):
    headers = {"X_Fal_Request_Id": request_id} if request_id else {}

    assert kind_of(failure(step, of_platform(name, status, **headers))) == (error, name)


@pytest.mark.parametrize(("name", "status"), PLATFORM_FOR_GOOD.items())
@pytest.mark.parametrize("step", ["submit", "run", "status"])
def test_a_platforms_error_for_good_fails_the_task(step, name, status):
    assert kind_of(failure(step, of_platform(name, status))) == (RejectedError, name)


@pytest.mark.parametrize("step", ["submit", "run"])
def test_a_request_that_did_not_start_in_its_users_time_fails_the_task(step):
    late = of_platform("request_timeout", 504, X_Fal_Request_Timeout_Type="user")

    assert kind_of(failure(step, late)) == (RejectedError, "request_timeout")


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("step", ["submit", "run", "status", "result", "token", "upload", "cancel"])
def test_an_ingress_page_without_a_request_id_is_tried_again(step, status):
    error = failure(step, answer(status, HTML, Content_Type="text/html"))

    assert kind_of(error) == (TransientError, "server_error")
    assert "<" not in str(error)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [HTML, b"", b'{"detail": "Oops"}', b'{"detail": "Oops", "error_type": "unheard_of"}']
)
@pytest.mark.parametrize("step", ["submit", "run"])
def test_a_server_error_with_a_request_id_and_nothing_else_may_have_been_accepted(step, status, body):
    error = failure(step, answer(status, body, X_Fal_Request_Id="abc"))

    assert isinstance(error, SubmissionUnknown)


@pytest.mark.parametrize("step", ["status", "result"])
@pytest.mark.parametrize("again", ["true", "false"])
@pytest.mark.parametrize("name", ["internal_error", "content_policy_violation"])
def test_a_server_error_at_a_look_is_a_failed_look_whatever_it_says(step, again, name):
    error = failure(step, of_platform(name, 503, X_Fal_Retryable=again, X_Fal_Request_Id="abc"))

    assert type(error) is TransientError


@pytest.mark.parametrize("step", [step for step in STEPS if step not in {"platform", "upload"}])
def test_a_wrong_key_stops_the_run(step):
    error = failure(step, answer(401, {"detail": "Cannot access application"}, X_Fal_Retryable="true"))

    assert isinstance(error, FatalError)
    assert error.stopped == "account"
    assert "FAL_KEY" in str(error)


@pytest.mark.parametrize("step", [step for step in STEPS if step not in {"platform", "upload"}])
def test_a_locked_account_stops_the_run(step):
    error = failure(step, answer(403, {"detail": "User is locked. Reason: Exhausted balance. Top up."}))

    assert isinstance(error, FatalError)
    assert error.stopped == "account"
    assert "Exhausted balance" in str(error)
    assert "https://fal.ai/dashboard/billing" in str(error)


@pytest.mark.parametrize("detail", ["Forbidden", "The User is locked out of this app", ["User is locked"]])
@pytest.mark.parametrize("step", ["submit", "run", "status", "result"])
def test_any_other_403_fails_the_task_alone(step, detail):
    assert kind_of(failure(step, answer(403, {"detail": detail}))) == (RejectedError, "forbidden")


@pytest.mark.parametrize("step", ["status", "result"])
def test_a_request_that_is_not_known_is_gone(step):
    assert kind_of(failure(step, answer(404, {"detail": "Not found"}))) == (GoneError, "request_gone")


@pytest.mark.parametrize("step", ["submit", "run"])
def test_an_endpoint_that_is_not_known_fails_the_task(step):
    assert kind_of(failure(step, answer(404, {"detail": "Application not found"}))) == (
        RejectedError,
        "not_found",
    )


@pytest.mark.parametrize(
    ("after", "wait_s"),
    [("7", 7.0), ("Sun, 08 Nov 2026 12:00:30 GMT", 30.0), ("soon", None), (None, None)],
    ids=["seconds", "a date", "nonsense", "none"],
)
@pytest.mark.parametrize("step", STEPS)
def test_too_many_requests_is_waiting(step, after, wait_s):
    error = failure(step, answer(429, b"", **({"Retry_After": after} if after else {})))

    assert isinstance(error, RateLimitedError)
    assert error.kind == "rate_limited"
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("step", "status", "headers", "error"),
    [
        ("submit", 422, {"X_Fal_Retryable": "true"}, TransientError),
        ("run", 422, {"X_Fal_Retryable": "true"}, RunFailedError),
        ("result", 422, {"X_Fal_Needs_Retry": "true"}, TransientError),
        ("submit", 500, {"X_Fal_Retryable": "false"}, RejectedError),
        ("run", 500, {"X_Fal_Needs_Retry": "false"}, RejectedError),
        ("submit", 500, {"X_Fal_Retryable": "false", "X_Fal_Request_Id": "abc"}, RejectedError),
    ],
)
def test_the_header_decides_before_type_and_status(step, status, headers, error):
    name = "internal_server_error" if status >= 500 else "image_load_error"

    assert type(failure(step, of_model(name, status, **headers))) is error


def test_the_type_decides_before_the_status():
    assert isinstance(
        failure("submit", of_platform("bad_request", 503, X_Fal_Request_Id="abc")), RejectedError
    )
    assert type(failure("submit", of_model("downstream_service_error", 422))) is TransientError


@pytest.mark.parametrize(
    "body", [{"detail": "Request is still in progress"}, {"detail": "x", "error_type": "bad_request"}]
)
def test_a_result_that_is_not_there_yet_is_asked_for_again(body):
    assert kind_of(failure("result", answer(400, body))) == (TransientError, "in_progress")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("submit", RejectedError),
        ("run", RejectedError),
        ("status", TransientError),
        ("result", TransientError),
    ],
)
def test_a_redirect_is_not_followed(step, error):
    assert kind_of(failure(step, answer(302, Location="https://evil.example"))) == (error, "redirected")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, RejectedError),
        (403, RejectedError),
        (404, RejectedError),
        (500, TransientError),
        (302, RejectedError),
    ],
)
def test_a_platform_api_that_cannot_be_asked_stops_nothing(status, error):
    body = {"detail": "User is locked. Reason: Exhausted balance."}

    assert kind_of(failure("platform", answer(status, body))) == (error, "platform_unavailable")


@pytest.mark.parametrize("status", [400, 404])
def test_a_request_that_cannot_be_cancelled_any_more_is_an_answer(status):
    assert failure("cancel", answer(status, b'{"status": "ALREADY_COMPLETED"}')) is None


@pytest.mark.parametrize("status", [408, 425])
def test_statuses_that_ask_for_the_same_again_are_tried_again(status):
    assert type(failure("status", answer(status))) is TransientError
    assert type(failure("upload", answer(status))) is TransientError


@pytest.mark.parametrize("status", [400, 402, 405, 410, 418, 422, 451, 499])
@pytest.mark.parametrize("step", ["submit", "run", "status"])
def test_any_other_refusal_fails_the_task(step, status):
    assert isinstance(failure(step, answer(status, HTML)), RejectedError)


def test_the_first_of_many_details_are_told_in_one_line():
    detail = [
        {"loc": ["body", "a", 0, f"p{n}"], "msg": "no\x1b[2J\ngood", "type": "less_than"} for n in range(9)
    ]

    error = failure("submit", answer(422, {"detail": detail}))

    told = "a.0.p0: no [2J good (less_than); a.0.p1: no [2J good (less_than); a.0.p2: no [2J good (less_than)"
    assert str(error).endswith(f"refused (HTTP 422): {told}")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"detail": 7}',
        b'{"detail": [7, null]}',
        b'{"detail": [{}]}',
        b"\xff\xfe",
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("step", STEPS)
def test_a_body_of_any_shape_is_only_its_status(step, body):
    assert failure(step, answer(422, body)) is not None


@pytest.mark.parametrize("name", [*MODEL_AGAIN, *PLATFORM_AGAIN])
def test_a_failed_request_whose_error_may_pass_is_submitted_anew(name):
    error = failed_request({"status": "COMPLETED", "error": "It broke", "error_type": name})

    assert kind_of(error) == (RunFailedError, name)
    assert "It broke" in str(error)


@pytest.mark.parametrize("name", [*MODEL_FOR_GOOD, *PLATFORM_FOR_GOOD])
def test_a_failed_request_whose_error_is_for_good_is_not(name):
    error = failed_request({"status": "COMPLETED", "error": "It broke", "error_type": name})

    assert kind_of(error) == (RejectedError, name)


def test_a_failed_request_without_a_type_is_for_good():
    assert kind_of(failed_request({"status": "COMPLETED", "error": "?"})) == (RejectedError, "request_failed")


@pytest.mark.parametrize(
    ("status", "result", "error"),
    [
        ({"error": "x"}, of_model("image_load_error", 422), (RejectedError, "image_load_error")),
        ({"error": "x"}, of_model("generation_timeout", 504), (RunFailedError, "generation_timeout")),
        ({"error": "x"}, of_model("unheard_of", 500), (RunFailedError, "unheard_of")),
        ({"error": "x"}, of_model("image_load_error", 422, X_Fal_Retryable="true"), (RunFailedError, "image_load_error")),
        ({"error": "x"}, of_model("internal_server_error", 500, X_Fal_Retryable="false"), (RejectedError, "internal_server_error")),
        ({"error": "x", "error_type": "image_load_error"}, answer(502, HTML), (RejectedError, "image_load_error")),
        ({"error": "x", "error_type": "request_timeout"}, of_platform("request_timeout", 504, X_Fal_Request_Timeout_Type="user"), (RejectedError, "request_timeout")),
    ],
    ids=["type", "transient type", "status", "header yes", "header no", "page", "too late"],
)  # fmt: skip
def test_the_answer_to_the_result_says_more_of_a_failed_request(status, result, error):
    assert kind_of(failed_request({"status": "COMPLETED", **status}, result)) == error


@pytest.mark.parametrize("status", [{}, {"error": None}, {"error": "", "error_type": None}])
def test_a_completed_request_without_an_error_has_not_failed(status):
    assert failed_request({"status": "COMPLETED", **status}, answer(503, HTML)) is None


def test_an_answer_that_is_no_json_is_lost():
    with pytest.raises(AnswerLostError) as met:
        answer(200, HTML).json()

    assert met.value.kind == "answer_unreadable"
