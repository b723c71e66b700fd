"""What all sections of the settings have in common."""

from pydantic import BaseModel, ConfigDict

#: The context of what was accepted before: see `settings.parse`.
STORED = {"stored": True}


class Section(BaseModel):
    """A part of the settings. Each field is explained below it: the admin pages show that text."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
