# requires: runware-sdk==1.8.0
"""Runware's own client against the simulator, over REST and over a WebSocket: `python runware_sdk.py URL`."""

import asyncio
import json
import sys
import urllib.request
import uuid

from runware import Runware
from runware.errors import RunwareError

URL = sys.argv[1].rstrip("/")
KEY = "runware-emu"
checks: list[object] = []


def check(fact: bool, what: object) -> None:
    """Count a fact, or end with what was found instead."""
    assert fact, what
    checks.append(what)


def client(transport: str, key: str = KEY) -> Runware:
    """A client that is pointed at the simulator and asks once."""
    return Runware(
        api_key=key,
        transport=transport,
        http_base_url=f"{URL}/runware/v1",
        ws_base_url=f"{URL.replace('http', 'ws', 1)}/runware/v1",
        max_retries=0,
    )


def task(**fields: object) -> dict[str, object]:
    """An order for FLUX dev."""
    return {
        "taskType": "imageInference",
        "model": "runware:101@1",
        "positivePrompt": "a red fox",
        "width": 512,
        "height": 512,
        "includeCost": True,
    } | fields


def open_address(address: str) -> bytes:
    """The bytes behind an address of the simulator."""
    with urllib.request.urlopen(address) as answer:
        return answer.read()


def fail_next(fault: str) -> None:
    """Let the next order go wrong."""
    body = json.dumps({"vendor": "runware", "fault": fault}).encode()
    request = urllib.request.Request(f"{URL}/__emu/faults", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()


async def refused(act: object) -> RunwareError:
    """The client's error for a call that must fail."""
    try:
        found = await act
    except RunwareError as error:
        return error
    raise AssertionError(f"answered {found}")


async def draws(sdk: Runware, delivery: str) -> None:
    """One and several pictures, with seeds, prices and addresses."""
    results = await sdk.run(task(deliveryMethod=delivery, numberResults=2, seed=7, outputFormat="PNG"))
    check(len(results) == 2, results)
    check({one["seed"] for one in results} == {7, 8}, results)
    check(sum(one["cost"] for one in results) > 0, results)
    check(len({one["imageUUID"] for one in results}) == 2, results)
    check(open_address(results[0]["imageURL"]).startswith(b"\x89PNG"), results)
    kept = await sdk.run(task(deliveryMethod=delivery, outputType="base64Data"))
    check(kept[0]["imageBase64Data"].startswith("/9j/"), kept)
    larger = await sdk.run(
        {
            "taskType": "upscale",
            "model": "runware:503@1",
            "inputs": {"image": results[0]["imageUUID"]},
            "upscaleFactor": 2,
            "deliveryMethod": delivery,
        }
    )
    check("imageURL" in larger[0] and "cost" not in larger[0], larger)


async def fails(sdk: Runware, delivery: str) -> None:
    """Errors by the client's own categories."""
    error = await refused(sdk.run(task(deliveryMethod=delivery, width=100)))
    check((error.code, error.parameter) == ("validation", "width"), error)
    error = await refused(sdk.run(task(deliveryMethod=delivery, tint="red")))
    check((error.code, error.parameter) == ("validation", "tint"), error)
    error = await refused(sdk.run(task(deliveryMethod=delivery, model="runware:9999@1")))
    check(error.code == "validation" and error.parameter == "model", error)
    for fault, code in (
        ("no_money", "quota"),
        ("rate_limited", "rateLimit"),
        ("overloaded", "provider"),
        ("error_before", "serverError"),
        ("refused", "safety"),
        ("job_fails", "provider"),
    ):
        fail_next(fault)
        error = await refused(sdk.run(task(deliveryMethod=delivery)))
        check(error.code == code, (fault, error.code, error))
    name = str(uuid.uuid4())
    await sdk.run(task(deliveryMethod=delivery, taskUUID=name))
    error = await refused(sdk.run(task(deliveryMethod=delivery, taskUUID=name)))
    check(error.code == "validation" and "already used" in str(error), error)


async def looks(sdk: Runware) -> None:
    """What costs nothing."""
    name = str(uuid.uuid4())
    made = await sdk.run(task(taskUUID=name))
    again = await sdk.get_response({"taskUUID": name})
    check(again[0]["imageUUID"] == made[0]["imageUUID"], again)
    details = await sdk.get_task_details({"taskUUID": name})
    check(details[0]["request"][0]["positivePrompt"] == "a red fox", details)
    account = await sdk.account_management({"operation": "getDetails"})
    check(account[0]["organizationName"] != "", account)
    error = await refused(sdk.get_response({"taskUUID": str(uuid.uuid4())}))
    check(error.code == "notFound", error)


async def main() -> None:
    """All of it, over both transports."""
    for transport in ("rest", "websocket"):
        async with client(transport) as sdk:
            for delivery in ("sync", "async"):
                await draws(sdk, delivery)
                await fails(sdk, delivery)
            await looks(sdk)
    async with client("rest", "wrong") as sdk:
        check((await refused(sdk.run(task()))).code == "auth", "a wrong key")
    check((await refused(client("websocket", "wrong").connect())).code == "auth", "a wrong key")
    async with client("rest", f"{KEY}-nocredit") as sdk:
        check((await refused(sdk.run(task()))).code == "quota", "no credit")
    async with client("websocket") as sdk:
        results = await asyncio.gather(*(sdk.run(task(seed=seed)) for seed in range(5)))
        check([one[0]["seed"] for one in results] == list(range(5)), results)
    print(f"ok: {len(checks)} checks")  # noqa: T201 - the answer the runner reads


asyncio.run(main())
