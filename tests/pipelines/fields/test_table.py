"""The table of fields agrees with the request that the model takes."""

from __future__ import annotations

import dataclasses
import string

import pytest

from pipelines.config.inputs import DefaultsConfig
from pipelines.fields.field import Field
from pipelines.fields.table import FACTS_BY_PLACE, FIELDS, LATER_FIELDS, REQUEST_FIELDS
from uso_core.request import Limits, StylizeRequest

of_each_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)


def test_every_field_of_a_request_is_in_the_table() -> None:
    names = {field.name for field in dataclasses.fields(StylizeRequest)}
    assert {field.name for field in REQUEST_FIELDS} == names


def test_names_and_aliases_are_unique() -> None:
    names = [name for field in FIELDS for name in (field.name, *field.aliases)]
    assert len(set(names)) == len(names)
    assert "id" not in names


def test_a_fingerprint_holds_every_field_once() -> None:
    by_place = [name for names in FACTS_BY_PLACE for name in names]
    by_name = [field.name for field in LATER_FIELDS]
    assert sorted([*by_place, *by_name]) == sorted(field.name for field in FIELDS)


@of_each_field
def test_every_field_has_a_default_or_says_why_not(field: Field) -> None:
    has_default = field.name in DefaultsConfig.model_fields
    assert has_default == (field.no_default is None)


@of_each_field
def test_texts_name_limits_of_the_model(field: Field) -> None:
    names = {f.name for f in dataclasses.fields(Limits)}
    for text in (field.accepted, field.otherwise or ""):
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= names
    assert set(field.limits) <= names
    assert field.range_text(Limits())


@pytest.mark.parametrize("field", LATER_FIELDS, ids=lambda field: field.name)
def test_a_default_does_not_count(field: Field) -> None:
    assert not field.counts(field.default)


def test_limits_of_a_later_field_are_its_own() -> None:
    """Other fields depend on limits that are in every source digest."""
    limits = [name for field in LATER_FIELDS for name in field.limits]
    assert len(set(limits)) == len(limits)
    for field in FIELDS:
        if field not in LATER_FIELDS:
            used = {name for _, name, _, _ in string.Formatter().parse(field.accepted)}
            assert used.isdisjoint(limits)
