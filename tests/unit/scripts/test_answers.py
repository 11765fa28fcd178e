"""A registry's answers, read from regctl's log, and the kind of each failure."""

import json

import pytest

from pipeline.scripts.answers import Request, evaluate, without_secret
from pipeline.scripts.messages import Kind

URL = "https://ghcr.io/v2/maniaclab/small/blobs/uploads/1?_state=abc"


def line(status: str, **more: object) -> str:
    """A line of regctl's log."""
    return json.dumps({"msg": "reg http request", "req-method": "PUT", "req-url": URL, "resp-status": status, **more})


def request(status: int = 0, error: str = "", method: str = "PUT") -> Request:
    """A request and its answer."""
    return Request(method, URL, status, error)


def test_a_line_gives_the_request_and_its_answer() -> None:
    """Method, address and status are those of the log."""
    assert Request.read(line("201 Created")) == Request("PUT", URL, 201)


def test_a_line_gives_what_the_registry_asks_to_wait() -> None:
    """Seconds count; a date does not, and then the pauses are our own."""
    headers = {"resp-headers": {"Retry-After": ["7"]}}
    dated = {"resp-headers": {"Retry-After": ["Wed, 21 Oct 2026 07:28:00 GMT"]}}
    read = [Request.read(line("429 Too Many Requests", **more)) for more in (headers, dated)]
    assert [found.retry_after for found in read if found] == [7.0, 0.0]


@pytest.mark.parametrize("text", ["", "not JSON", "{}", "[1]", '{"msg": "Pushing blob"}', '{"req-method": "GET"}'])
def test_other_lines_tell_of_no_request(text: str) -> None:
    """regctl logs other things too, and its last message is no JSON."""
    assert Request.read(text) is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507])
def test_what_may_pass(status: int) -> None:
    """A busy or broken registry may be another one in a minute."""
    assert evaluate([request(status)], "").kind is Kind.TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        'Put "https://ghcr.io/v2/": read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer',
        'Put "https://ghcr.io/v2/": EOF',
        'Get "https://ghcr.io/v2/": dial tcp 10.0.0.2:443: connect: connection refused',
        'Get "https://ghcr.io/v2/": net/http: TLS handshake timeout',
        'Get "https://ghcr.io/v2/": remote error: tls: internal error',
    ],
)
def test_a_lost_connection_may_pass(error: str) -> None:
    """No answer at all is no answer against us."""
    failure = evaluate([request(error=error)], "")
    assert failure.kind is Kind.TRANSIENT
    assert failure.reason == f"the connection failed ({error.partition('": ')[2]})"


@pytest.mark.parametrize(
    ("found", "message", "kind"),
    [
        (request(401), "failed to ping registry ghcr.io: unauthorized", Kind.DENIED),
        (request(403), "failed: unauthorized [http 403]: ", Kind.DENIED),
        (request(404, method="GET"), "failed: not found [http 404]: ", Kind.MISSING),
        (request(400), "failed: bad request [http 400]: ", Kind.REJECTED),
        (request(201), "unexpected digest returned, expected sha256:1, received sha256:2", Kind.MISMATCH),
        (request(error='Get "https://x/v2/": dial tcp: lookup x: no such host'), "", Kind.REJECTED),
        (request(error='Get "https://x/v2/": x509: certificate signed by unknown authority'), "", Kind.REJECTED),
    ],
)
def test_what_cannot_pass(found: Request, message: str, kind: Kind) -> None:
    """An answer that stays the same is final at once."""
    assert evaluate([found], message).kind is kind


def test_a_cut_upload_is_not_judged_by_what_follows() -> None:
    """regctl goes on with an upload that the registry has forgotten; the connection is the reason."""
    made = [request(202, method="POST"), request(error='Put "x": EOF'), request(404, method="PATCH"), request(404)]
    failure = evaluate(made, "failed to send blob chunk: not found [http 404]: ")
    assert (failure.kind, failure.tries) == (Kind.TRANSIENT, 1)
    assert failure.reason == "the connection failed (EOF)"


#: The answers of ghcr.io to an upload that it has lost, as regctl asks again: the last one is about giving up.
LOST = [
    request(202, method="POST"),
    request(404),
    request(404, method="PATCH"),
    request(404, method="GET"),
    request(404, method="DELETE"),
]
#: regctl's message of it, which has neither the body of the answer nor the address.
LOST_MESSAGE = "failed to send blob (chunk), ref ghcr.io/maniaclab/small:latest: http status: not found [http 404]"


def test_a_lost_upload_may_pass() -> None:
    """ghcr.io forgets uploads that it has accepted, and takes the next one: one try, however often regctl goes on."""
    failure = evaluate(LOST, LOST_MESSAGE)
    assert (failure.kind, failure.tries) == (Kind.TRANSIENT, 1)
    path = "/v2/maniaclab/small/blobs/uploads/1"
    assert failure.reason == f"it answered 404 (Not Found) to PUT {path}: it has lost the upload"


def test_each_lost_upload_is_a_try() -> None:
    """Layers go up side by side, and each of them may be lost."""
    other = Request("PUT", "https://ghcr.io/v2/maniaclab/small/blobs/upload/2?digest=sha256%3A1", 404)
    assert evaluate([*LOST, other], LOST_MESSAGE).tries == 2


def put_manifest(status: int, body: str) -> tuple[list[Request], str]:
    """A manifest that was not taken: the requests, and regctl's message."""
    made = [request(201), Request("PUT", "https://r/v2/lab/small/manifests/latest", status)]
    return made, f"failed to put manifest r/lab/small:latest: request failed: not found [http {status}]: {body}\n"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown blob"}]}'),
        (404, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'),
        (400, '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:1"}]}'),
    ],
)
def test_a_lost_layer_may_pass(status: int, body: str) -> None:
    """regctl has seen each layer there before it sends the manifest; the next try sends what is lost."""
    failure = evaluate(*put_manifest(status, body))
    assert failure.kind is Kind.TRANSIENT
    assert "blob" in failure.reason


@pytest.mark.parametrize(
    "case",
    [
        # A registry without this project, as Harbor says it, and as others do.
        (
            [request(404, method="POST")],
            '[http 404]: {"errors":[{"code":"NOT_FOUND","message":"project lab not found"}]}',
        ),
        put_manifest(404, '{"errors":[{"code":"NAME_UNKNOWN","message":"no such project"}]}'),
        # A layer that is read, and is not there.
        ([request(404, method="GET")], '[http 404]: {"errors":[{"code":"BLOB_UNKNOWN","message":"unknown blob"}]}'),
        ([request(404, method="HEAD")], "failed to request blob head: request failed: not found [http 404]: "),
    ],
)
def test_other_answers_404_cannot_pass(case: tuple[list[Request], str]) -> None:
    """A blob or a tag that is read and is not there will not come, and neither will a project."""
    assert evaluate(*case).kind is Kind.MISSING


#: Answers of Harbor, Docker Hub and ECR to a push to a tag that a rule of theirs keeps where it is.
IMMUTABLE = [
    (412, "PRECONDITION", "Failed to process request due to 'small:latest' configured as immutable."),
    (
        403,
        "DENIED",
        "requested access to the resource is denied - This tag is already assigned to an image in this repository and "
        "cannot be updated due to immutability settings. To push this image, use a different tag.",
    ),
    (
        400,
        "TAG_INVALID",
        "The image tag 'latest' already exists in the 'small' repository and cannot be overwritten because the tag is "
        "immutable.",
    ),
]


@pytest.mark.parametrize(("status", "code", "text"), IMMUTABLE)
def test_a_rule_about_a_tag_is_neither_a_password_nor_a_fault(status: int, code: str, text: str) -> None:
    """The registry's own sentence is the reason, and no other try will change it."""
    failure = evaluate(*put_manifest(status, json.dumps({"errors": [{"code": code, "message": text}]})))
    assert (failure.kind, failure.reason) == (Kind.IMMUTABLE, f"{code}: {text}")


def test_another_precondition_is_no_rule_about_a_tag() -> None:
    """Harbor answers 412 too where a scan found something, or where a signature is missing."""
    body = '{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"current image with 5 vulnerabilities"}]}'
    assert evaluate(*put_manifest(412, body)).kind is Kind.REJECTED


def test_the_tries_of_regctl_are_counted() -> None:
    """Its own repetitions are tries, so that they do not multiply with ours."""
    assert evaluate([request(500)] * 5, "retry limit exceeded").tries == 5


def test_the_words_of_the_registry_are_told() -> None:
    """The registry's own message is better than its status."""
    body = '{"errors":[{"code":"DENIED","message":"write_package is not granted"}]}\n'
    failure = evaluate([request(401), request(403)], f"request failed: unauthorized [http 403]: {body}")
    assert (failure.kind, failure.reason) == (Kind.DENIED, "DENIED: write_package is not granted")


def test_an_answer_is_told_without_the_state_of_the_upload() -> None:
    """A person needs the path, not the query."""
    found = Request("PUT", URL, 503, retry_after=7.0)
    assert found.describe() == (
        "it answered 503 (Service Unavailable) to PUT /v2/maniaclab/small/blobs/uploads/1, to be asked again after 7 s"
    )


def test_a_failure_without_a_request_is_told_in_regctls_words() -> None:
    """Without a request, the last message is the reason."""
    assert evaluate([], "invalid reference\n").reason == "invalid reference"
    assert evaluate([], "").reason == "regctl exited without a message"


def test_finished_uploads_are_known() -> None:
    """Bytes are counted for blobs that the registry has taken."""
    done = Request("PUT", f"{URL}&digest=sha256%3Aabc", 201)
    assert (done.uploaded, Request("PUT", done.url, 500).uploaded, request(201).uploaded) == ("sha256:abc", "", "")


def test_a_registry_that_repeats_a_password_is_not_repeated() -> None:
    """Neither the password nor what is sent of it gets into a report."""
    assert without_secret("hunter2, bWU6aHVudGVyMg==", "me", "hunter2") == "***, ***"
    assert without_secret("as it is", "", "") == "as it is"
