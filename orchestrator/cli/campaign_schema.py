"""The JSON schema of campaign files for editors: also of what every experiment and driver takes."""

from collections.abc import Iterable
from typing import Any

from contract.catalog import Catalog, DriverInfo, ExperimentInfo

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def campaign_schema(catalog: Catalog) -> dict[str, Any]:
    """What an editor needs to complete and check a campaign while it is written.

    It knows more than the file's shape: which parameters an experiment has, which settings a driver,
    with their bounds and meaning. What only planning can know is left to ``tonnage validate``.
    """
    from contract.campaign import Campaign

    schema = Campaign.model_json_schema()
    definitions = schema["$defs"]
    definitions["HostSelection"] = _hosts(definitions["HostSelection"])
    entry = definitions["ExperimentEntry"]
    entry["properties"]["experiment"] |= {
        "oneOf": [{"const": e.name, "description": e.summary} for e in catalog.experiments.values()]
    }
    entry["allOf"] = [_when("experiment", e.name, _params(e)) for e in catalog.experiments.values()]
    names = {"anyOf": [{"enum": list(catalog.drivers)}, {"type": "string"}]}
    entry["properties"]["drivers"]["items"] = names
    definitions["Profile"] = _profile(definitions["Profile"], catalog)
    told: dict[str, Any] = _without_titles(schema)
    return {"$schema": _DIALECT, "title": "Tonnage campaign"} | told


def _hosts(mapping: dict[str, Any]) -> dict[str, Any]:
    """The short forms, too: all hosts, or a list of names."""
    names: dict[str, Any] = mapping["properties"]["names"]
    return {"anyOf": [{"const": "all"}, names, mapping], "description": "which hosts measure"}


def _when(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {key: {"const": value}}, "required": [key]},
        "then": then,
    }


def _params(experiment: ExperimentInfo) -> dict[str, Any]:
    """Every parameter takes one value, or a list that makes one cell per value."""
    own = experiment.params.model_json_schema()
    told = {}
    for name, field in own.get("properties", {}).items():
        about = {key: field[key] for key in ("description", "default") if key in field}
        value = {key: part for key, part in field.items() if key not in about}
        told[name] = about | {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]}
    params = {"type": "object", "properties": told, "additionalProperties": False}
    return {"properties": {"params": params}}


def _profile(profile: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    profile["properties"]["driver"] |= {
        "oneOf": [{"const": d.name, "description": d.summary} for d in catalog.drivers.values()]
    }
    shared = _settings(d for d in catalog.drivers.values() if "uri" in d.settings.model_fields)
    return profile | {
        "allOf": [
            _when("driver", d.name, shared if "uri" in d.settings.model_fields else _settings([d]))
            for d in catalog.drivers.values()
        ]
    }


def _settings(drivers: Iterable[DriverInfo]) -> dict[str, Any]:
    """Of several drivers together where the profile's ``uri`` chooses among them."""
    properties: dict[str, Any] = {"driver": True}
    for driver in drivers:
        for name, field in driver.settings.model_json_schema().get("properties", {}).items():
            properties[name] = field if name not in properties else {"anyOf": [properties[name], field]}
    return {"properties": properties, "additionalProperties": False}


def _without_titles(found: Any) -> Any:
    """Titles that only repeat a key make an editor's help longer, not better."""
    if isinstance(found, list):
        return [_without_titles(part) for part in found]
    if not isinstance(found, dict):
        return found
    return {
        key: _without_titles(part)
        for key, part in found.items()
        if not (key == "title" and isinstance(part, str))
    }
