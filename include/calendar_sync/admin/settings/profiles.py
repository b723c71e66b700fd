"""Profiles: who has which, what each changes, and two beside each other."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from calendar_sync.admin.settings import change
from calendar_sync.admin.web.inputs import Text
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.rendering import render
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.insight.profiles import alone, profiles
from calendar_sync.state import Store

router = APIRouter(route_class=WideRoute)


@router.get("/settings/profiles")
def page(
    request: Request,
    store: Annotated[Store, Depends(store_of)],
    one: Text = "",
    other: Text = "",
) -> Response:
    """All profiles, or the differences of two; an empty name stands for users without one."""
    settings = store.config.revision().settings
    try:
        compared = change.shown(alone(settings, one), alone(settings, other))
    except ConfigurationError as error:
        raise Problem(404, f"{error.detail[:1].upper()}{error.detail[1:]}.") from None
    found = profiles(store, settings)
    return render(
        request,
        "settings_profiles.html",
        profiles=found,
        changed={
            profile.name: change.shown(alone(settings, ""), alone(settings, profile.name))
            for profile in found
        },
        one=one,
        other=other,
        compared=compared if one != other else None,
    )
