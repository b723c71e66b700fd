"""Errors in plain words: a page for people, RFC 9457 JSON for programs, never a stack trace."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calendar_sync.admin.web.rendering import render

TITLES = {
    400: "Bad request",
    401: "Please sign in to Airflow",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Changed by someone else",
    413: "Too large",
    422: "Invalid input",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available now",
}
DETAILS = {
    401: "Your session has ended, or you are not signed in.",
    404: "This page does not exist.",
    405: "This address does not accept this kind of request.",
    413: "The request is too large for this page.",
    500: "See the log of the API server.",
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
        title: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title or TITLES.get(status, "Something went wrong")
        self.detail = detail or DETAILS.get(status, "")
        self.hints = hints
        self.headers = headers
        self.link = link
        self.kind = kind


def path_of(request: Request) -> str:
    """The path below that of our pages, as routes see it."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", ""))


def answer(request: Request, problem: Problem) -> Response:
    """The problem as a page, or as JSON under /api/."""
    if path_of(request).startswith("/api/"):
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
