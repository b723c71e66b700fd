"""``$batch``: up to twenty requests in one.

https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from calendar_sync_sandbox.microsoft.errors import GraphError, error_body
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.microsoft.times import Json
    from calendar_sync_sandbox.microsoft.traffic import Traffic
    from calendar_sync_sandbox.service import Service

LARGEST = 20


class Batch:
    """The handler; every part passes through the service as a request of its own."""

    def __init__(self, service: Service, traffic: Traffic, root: Callable[[], str]) -> None:
        """Keep what carries the parts out, what counts them, and where Graph is."""
        self._service = service
        self._traffic = traffic
        self._root = root

    def answer(self, call: Call) -> Reply:
        """Answer a batch.

        Raises:
            GraphError: 400 for a batch that is malformed as a whole.
        """
        parts = _read(call, f"{self._root()}/v1.0")
        done: dict[str, Json] = {}
        # Parts without dependsOn run at once, the others after what they wait for.
        together: Counter[str] = Counter()
        for part in parts:
            number, awaited = part["id"], part.get("dependsOn") or []
            if any(done.get(other, {"status": 424})["status"] >= 400 for other in awaited):
                body = error_body(424, "FailedDependency", "A request that this depends on failed.")
                done[number] = {"id": number, "status": 424, "headers": {}, "body": body}
                continue
            done[number] = self._run(part, call, together, at_once=not awaited)
        # The order of the answers is not promised; it is the other one here.
        responses = [done[part["id"]] for part in reversed(parts)]
        return Reply(200, {"responses": responses})

    def _run(self, part: Json, outer: Call, together: Counter[str], *, at_once: bool) -> Json:
        path, _, query = part["url"].partition("?")
        headers = {str(k).lower(): str(v) for k, v in (part.get("headers") or {}).items()}
        headers.setdefault("authorization", outer.headers.get("authorization", ""))
        inner = Call(
            method=part["method"].upper(),
            path="/v1.0" + unquote(path),
            query=parse_qs(query, keep_blank_values=True),
            headers=headers,
            body=json.dumps(part["body"]).encode() if "body" in part else b"",
            proofs=outer.proofs,
        )
        mailbox = self._traffic.mailbox_of(inner.path)
        if mailbox is not None:
            beside = together if at_once else Counter()
            inner.refused = self._traffic.judge_part(mailbox, beside[mailbox], beside.total())
            together[mailbox] += at_once
        fault = self._service.strike(inner)
        reply, _ = self._service.perform(inner, fault)
        if reply is None:
            reply = Reply(504, error_body(504))
        answer: Json = {"id": part["id"], "status": reply.status, "headers": dict(reply.headers)}
        if "retry-after" in answer["headers"]:
            answer["headers"]["Retry-After"] = answer["headers"].pop("retry-after")
        if reply.body is not None and not isinstance(reply.body, bytes):
            answer["headers"]["Content-Type"] = "application/json"
            answer["body"] = reply.body
        return answer


def _read(call: Call, root: str) -> list[Json]:
    """Read the parts; absolute addresses must be below our own."""
    try:
        sent: Any = json.loads(call.body)
        parts: Any = sent["requests"]
    except (ValueError, TypeError, KeyError):
        raise GraphError(400, "BadRequest", "Invalid batch payload format.") from None
    if not isinstance(parts, list) or not parts or len(parts) > LARGEST:
        raise GraphError(
            400, "MaximumValueExceeded", f"Number of batch request steps exceeds {LARGEST}."
        )
    seen: set[str] = set()
    for part in parts:
        if not isinstance(part, dict) or not all(
            isinstance(part.get(name), str) and part[name] for name in ("id", "method", "url")
        ):
            raise GraphError(400, "BadRequest", "A request of a batch needs id, method and url.")
        if part["id"] in seen:
            raise GraphError(400, "BadRequest", f"Request id '{part['id'][:20]}' is not unique.")
        if "body" in part and "content-type" not in {
            str(name).lower() for name in part.get("headers") or {}
        }:
            raise GraphError(400, "BadRequest", "A body in a batch needs a Content-Type header.")
        if any(other not in seen for other in part.get("dependsOn") or []):
            raise GraphError(400, "BadRequest", "dependsOn names no earlier request.")
        part["url"] = part["url"].removeprefix(root)
        if not part["url"].startswith("/") or part["url"].startswith("/$batch"):
            raise GraphError(400, "BadRequest", "The url of a request of a batch is relative.")
        seen.add(part["id"])
    return list(parts)
