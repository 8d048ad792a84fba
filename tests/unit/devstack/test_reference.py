from __future__ import annotations

import yaml

from loadertask_devstack.reference import CRD, DOCUMENT, fields_below, render_reference


def test_the_reference_is_what_the_crd_says() -> None:
    assert DOCUMENT.read_text() == render_reference(yaml.safe_load(CRD.read_text())), (
        "out of date: run `python -m loadertask_devstack.reference`"
    )


def test_fields_inside_lists_and_maps_are_listed_below_them() -> None:
    leaf = {"type": "string", "maxLength": 9, "description": "A leaf."}
    schema = {
        "required": ["list"],
        "properties": {
            "list": {"type": "array", "items": {"required": ["a"], "properties": {"a": leaf}}},
            "map": {"type": "object", "additionalProperties": leaf},
            "object": {"type": "object", "properties": {"b": leaf}},
        },
    }
    assert [(field.path, field.is_required) for field in fields_below(schema)] == [
        ("list[]", True),
        ("list[].a", True),
        ("map{}", False),
        ("object", False),
        ("object.b", False),
    ]
