"""Errors in plain words: a page for people, RFC 9457 JSON for programs, never a stack trace."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calendar_sync.admin.web.rendering import render

TITLES = {
    400: "This request cannot be understood",
    401: "Please sign in to Airflow",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Somebody else was faster",
    413: "Too large",
    422: "Something in the request is not valid",
    429: "One after the other",
    500: "Something went wrong here",
    503: "This cannot be done now",
}
DETAILS = {
    401: "The session has ended, or there was none.",
    404: "There is nothing at this address (any more).",
    405: "The address exists, but does not take this kind of request.",
    413: "The request carries more than this page takes.",
    500: "It is in the API server's log. Nothing was shown that should not be.",
}


class Problem(Exception):
    """An answer other than the one asked for.

    `hints` say what to do, one sentence each; `link` is words and the path of a page that helps;
    `kind` tells problems apart that a page treats as its own.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        hints: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        link: tuple[str, str] | None = None,
        kind: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = TITLES.get(status, "This did not work")
        self.detail = detail or DETAILS.get(status, "")
        self.hints = hints
        self.headers = headers
        self.link = link
        self.kind = kind


def answer(request: Request, problem: Problem) -> Response:
    """The problem as a page, or as JSON under /api/."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if path.startswith("/api/"):
        body = {
            "type": "about:blank",
            "title": problem.title,
            "status": problem.status,
            "detail": " ".join((problem.detail, *problem.hints)),
        }
        return JSONResponse(
            body, problem.status, problem.headers, media_type="application/problem+json"
        )
    response = render(request, "problem.html", problem=problem)
    response.status_code = problem.status
    response.headers.update(problem.headers or {})
    return response
