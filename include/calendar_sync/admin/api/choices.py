"""The API's part about what people have chosen for their own calendars."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, StringConstraints
from starlette.requests import Request

from calendar_sync.admin.api.reading import problems
from calendar_sync.admin.web.actions import choose
from calendar_sync.admin.web.inputs import UserId
from calendar_sync.admin.web.opening import store_of
from calendar_sync.admin.web.problems import Problem
from calendar_sync.admin.web.wide_forms import WideRoute
from calendar_sync.config.mirror_content import LONGEST_CATEGORY
from calendar_sync.core.model import Choices
from calendar_sync.operations.choosing import offer
from calendar_sync.state import Store

router = APIRouter(
    tags=["v1"], responses=problems(401, 403, 404, 413, 422, 503), route_class=WideRoute
)
Opened = Annotated[Store, Depends(store_of)]
Word = Annotated[str, StringConstraints(max_length=16)]


class Chosen(BaseModel):
    """One value for each choice; an empty one is what the settings say."""

    level: Word = ""
    reminder: Word = ""
    colour: Word = ""
    category: Annotated[str, StringConstraints(max_length=LONGEST_CATEGORY)] = ""


class Offered(BaseModel):
    """What the user has chosen, and the values that the settings offer for each choice."""

    user_id: str
    chosen: Chosen
    offered: dict[str, list[str]]


@router.get("/users/{user_id}/choices")
def read_choices(store: Opened, user_id: UserId) -> Offered:
    """What this user may choose, and has chosen."""
    rows = store.config.mapping(users=[user_id])
    if not rows:
        raise Problem(404, "No user with this id is mapped.")
    found = offer(store.config.revision().settings, rows)
    offered = {name: list(values) for name, values in found.possible.items()}
    return Offered(user_id=user_id, chosen=Chosen(**asdict(found.chosen)), offered=offered)


@router.put("/users/{user_id}/choices", responses=problems(409))
def replace_choices(request: Request, store: Opened, user_id: UserId, chosen: Chosen) -> Offered:
    """Choose for this user; the next run applies it. 409 for what is not offered."""
    read_choices(store, user_id)
    choose(request, store, user_id, Choices(**chosen.model_dump()))
    return read_choices(store, user_id)
