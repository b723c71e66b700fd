"""Bodies as large as the pages promise: an import of two megabytes, ten thousand ticked rows.

The framework's own limits are a thousand fields and one megabyte a field; the whole body is
limited by the guard already. A form is read twice, by the guard and by the page: alike. JSON is
read by our own bounded reader.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.core.bounded import TooMuch, read_json, refuse_halves

#: Bytes that a request may carry: a mapping of ten thousand users is half of it.
LARGEST_BODY = 4 * 1024 * 1024
MOST_FIELDS = 20_000
MOST_FILES = 10


class UnreadableBody(HTTPException):
    """A body that is no JSON that we take; the text says why."""


class WideRequest(Request):
    """A request whose form may be as large as its body, and whose JSON can be stored."""

    async def json(self) -> Any:
        """The body.

        Raises:
            UnreadableBody: it is not JSON, or too much of anything.
        """
        body = await self.body()
        try:
            found = read_json(body, LARGEST_BODY)
            refuse_halves(found)
        except TooMuch as error:
            raise UnreadableBody(422, f"The body cannot be read: {error}.") from None
        except ValueError:
            raise UnreadableBody(422, "The body is not valid JSON.") from None
        return found

    def form(
        self,
        *,
        max_files: int | float = MOST_FILES,
        max_fields: int | float = MOST_FIELDS,
        max_part_size: int = LARGEST_BODY,
    ) -> Any:
        """The form, with limits of our own."""
        return super().form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)


class WideRoute(APIRoute):
    """A route whose function is given such a form."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's, with another request."""
        handler = super().get_route_handler()

        async def wide(request: Request) -> Response:
            return await handler(WideRequest(request.scope, request.receive))

        return wide
