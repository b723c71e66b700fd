"""Sending a message through one of Airflow's notifiers.

https://airflow.apache.org/docs/apache-airflow/stable/howto/notifications.html
"""

import importlib
import logging
from typing import Any

from calendar_sync.config.settings import Notify
from calendar_sync.core.errors import ConfigurationError, SyncError
from calendar_sync.insight.health.render import Message

logger = logging.getLogger(__name__)

NO_RECIPIENTS = "no recipients in the settings (notify)"


def send(notify: Notify, message: Message) -> str:
    """Send; returns why not, empty when it was sent. Never raises: a report must not fail a run.

    Only the type of a failure is told, as its text may hold addresses and answers of servers.
    """
    if not notify.configured:
        return NO_RECIPIENTS
    try:
        if notify.refusal:
            raise ConfigurationError(detail=notify.refusal)
        made = _notifier(notify, message)
        # Called without Airflow's template engine: what the message says is data.
        made.notify({})
    except SyncError as error:
        reason = f"{error.code}: {error.detail}"
    except Exception as error:
        reason = type(error).__name__
    else:
        return ""
    logger.warning("the message could not be sent: %s", reason)
    return reason


def _notifier(notify: Notify, message: Message) -> Any:
    """Make the configured notifier.

    Raises:
        ConfigurationError: there is no such class, or it is no notifier.
    """
    from airflow.sdk import BaseNotifier

    module, _, name = notify.notifier.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise ConfigurationError(detail=f"notify.notifier: no class {notify.notifier}") from None
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise ConfigurationError(detail=f"notify.notifier: {notify.notifier} is no notifier")
    return found(**_filled(notify.filled, message))


def _filled(value: Any, message: Message) -> Any:
    """The arguments with the message in the place of its names."""
    if isinstance(value, str):
        # One pass: what the message itself says is not looked at again.
        parts = {"{subject}": message.subject, "{html}": message.html, "{text}": message.text}
        return parts.get(value) or _within(value, parts)
    if isinstance(value, dict):
        return {key: _filled(inner, message) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, message) for inner in value]
    return value


def _within(value: str, parts: dict[str, str]) -> str:
    for name, text in parts.items():
        if name in value:
            before, _, after = value.partition(name)
            return _within(before, parts) + text + _within(after, parts)
    return value
