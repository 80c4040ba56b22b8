"""Arrow columns of a request's fields, as records and composed manifests have them."""

from __future__ import annotations

import pyarrow as pa

from pipelines.fields.field import Field


def column(field: Field) -> pa.Field:
    """Return the column that holds the field's values."""
    items = pa.type_for_alias(field.kind.arrow)
    return pa.field(field.name, pa.list_(items) if field.kind.is_list else items)
