"""Options that only one model understands: which are sent, which are unknown, which are wrong. Pure."""

from collections.abc import Mapping
from functools import lru_cache

import jsonschema_rs
import orjson
from pydantic import JsonValue

from limner.catalog.model import Model
from limner.core.request import Preset

Options = dict[str, JsonValue]


def schema(model: Model) -> dict[str, JsonValue]:
    """JSON Schema of the model's options, for doors and forms."""
    return {"type": "object", "properties": {**model.options}, "additionalProperties": False}


def unknown(options: Mapping[str, JsonValue], model: Model) -> tuple[str, ...]:
    """Options the model does not have, in the caller's order."""
    return tuple(name for name in options if name not in model.options)


def wrong(options: Mapping[str, JsonValue], model: Model) -> tuple[str, str] | None:
    """The first option of the model's whose value its schema refuses, with the reason."""
    known = {name: value for name, value in options.items() if name in model.options}
    for name, value in known.items():
        for fault in _validator(orjson.dumps(model.options[name])).iter_errors(value):
            return name, str(fault.message)[:300]
    return None


def check(model: Model) -> None:
    """Raises ValueError naming the option whose schema is none, or whose own default it refuses."""
    for name, one in model.options.items():
        try:
            fault = wrong({name: one["default"]}, model) if "default" in one else None
            _validator(orjson.dumps(one))
        except ValueError as error:
            raise ValueError(f"options.{name}: is no JSON schema: {str(error).splitlines()[0]}") from error
        if fault is not None:
            raise ValueError(f"options.{name}: default: {fault[1]}")


def sent(options: Mapping[str, JsonValue], quality: Preset | None, model: Model) -> Options:
    """What the model gets: its defaults, then what the preset sets, then what the caller chose."""
    defaults = {name: one["default"] for name, one in model.options.items() if "default" in one}
    preset = {} if quality is None else model.presets.get(quality, {})
    chosen = {name: value for name, value in options.items() if name in model.options}
    return defaults | preset | chosen


@lru_cache(maxsize=512)
def _validator(schema_json: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(orjson.loads(schema_json))
