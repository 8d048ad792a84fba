"""What an API server would say of a manifest by its schema, where there is no API server.

Reads the CRD, the one source of the schema. CEL rules are an API server's alone: the operator's
and the contract's own parsers repeat what matters of them.
"""

from __future__ import annotations

from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from loadertask_devstack.stack import CHECKOUT

_CRD = CHECKOUT / "crds" / "loadertasks.yaml"
_KEEPS_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
_LONGEST_NAME = 52


def schema_problems(manifest: dict[str, Any]) -> list[str]:
    """Every problem of metadata.name and spec, each with the path of its field."""
    crd = yaml.safe_load(_CRD.read_text())
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    validator = Draft202012Validator(_strict(schema))
    problems = sorted(validator.iter_errors(manifest.get("spec")), key=lambda error: error.path)
    return [*_name_problems(manifest), *(_in_words(problem) for problem in problems)]


def _name_problems(manifest: dict[str, Any]) -> list[str]:
    name = str(manifest["metadata"]["name"])
    if len(name) <= _LONGEST_NAME:
        return []
    return [f"metadata.name has {len(name)} characters, at most {_LONGEST_NAME} are allowed"]


def _strict(schema: Any) -> Any:
    """The schema with unknown fields forbidden, as kubectl's strict validation does."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get(_KEEPS_UNKNOWN):
        strict["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict


def _in_words(problem: ValidationError) -> str:
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.absolute_path
    )
    return f"spec{where}: {problem.message}"
