"""Page and change tokens: a small JSON object that a client cannot read at a glance."""

from __future__ import annotations

import base64
import json
from typing import Any


def seal(content: dict[str, Any]) -> str:
    """Write a token."""
    raw = json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unseal(token: str) -> dict[str, Any]:
    """Read one of our own tokens; empty for anything else."""
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
