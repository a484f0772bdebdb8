import json
import logging

from limner.engine.logs import JsonLines


def line(**changes):
    fields = {"msg": "model loaded", "levelname": "INFO", "created": 0.25, "msecs": 250}
    record = logging.makeLogRecord(fields | changes)
    return json.loads(JsonLines().format(record))


def test_an_event_is_one_json_line_with_its_fields():
    expected = {"at": "1970-01-01T00:00:00.250Z", "level": "info", "event": "model loaded", "model": "tiny"}
    assert line(model="tiny") == expected


def test_an_error_carries_its_traceback():
    try:
        raise ValueError("no paint")
    except ValueError as error:
        told = line(exc_info=(type(error), error, error.__traceback__))
    assert told["traceback"].endswith("ValueError: no paint")
