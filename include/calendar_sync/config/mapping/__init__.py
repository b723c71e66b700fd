"""The user mapping: as a file, and beside the directories of the calendar systems."""

from calendar_sync.config.mapping.files import (
    Format,
    MappingFile,
    format_of,
    read_mapping,
    write_mapping,
)
from calendar_sync.config.mapping.rows import COLUMNS, read_row
from calendar_sync.config.mapping.samples import refuse_samples

__all__ = [
    "COLUMNS",
    "Format",
    "MappingFile",
    "format_of",
    "read_mapping",
    "read_row",
    "refuse_samples",
    "write_mapping",
]
