# requires: runware==0.5.24
"""Runware's older client, which speaks over the WebSocket only."""

import asyncio
import sys

from runware import IImageInference, Runware, RunwareAPIError


async def refusal(client: Runware) -> str:
    """What is said to a size that nothing draws."""
    wrong = IImageInference(positivePrompt="a red fox", model="runware:100@1", width=100, height=512)
    try:
        await client.imageInference(requestImage=wrong)
    except RunwareAPIError as error:
        return str(error).lower()
    return ""


async def main(url: str) -> int:
    address = url.replace("http://", "ws://") + "/runware/v1"
    client = Runware(api_key="runware-emu", url=address)
    await client.connect()
    wanted = IImageInference(
        positivePrompt="a red fox",
        model="runware:100@1",
        width=512,
        height=512,
        numberResults=2,
        includeCost=True,
    )
    made = await client.imageInference(requestImage=wanted)
    assert len(made) == 2, made
    assert all(one.imageURL.startswith(url) for one in made), made
    assert len({one.imageUUID for one in made}) == 2, made
    assert all(one.cost > 0 for one in made), made
    assert "width" in await refusal(client), "a width of 100 was taken"
    await client.disconnect()
    return 5


sys.stdout.write(f"ok: {asyncio.run(main(sys.argv[1]))} checks\n")
