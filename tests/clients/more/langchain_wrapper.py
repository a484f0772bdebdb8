# requires: langchain-openai==1.7.3 langchain-community==0.4.2
"""LangChain's picture wrapper at Limner, unmodified: `langchain_wrapper.py <Limner's url>`."""

import struct
import sys
import urllib.request
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

URL = sys.argv[1].rstrip("/")
done = 0


def check(what, got, wanted):
    global done  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"
    done += 1
    print(f"ok {what}", flush=True)


def size_at(url):
    with urllib.request.urlopen(url, timeout=10) as picture:
        return struct.unpack(">II", picture.read()[16:24])


HERE = {"base_url": f"{URL}/v1", "api_key": "unused", "max_retries": 0}
wrapper = DallEAPIWrapper(model="dall-e-3", **HERE)
check("dall-e-3", size_at(wrapper.run("a red fox")), (1024, 1024))
wrapper = DallEAPIWrapper(model="dall-e-2", n=2, size="1024x1024", separator=" ", **HERE)
check("dall-e-2, two", [size_at(url) for url in wrapper.run("a red fox").split()], [(1024, 1024)] * 2)
print(f"ok: {done} checks")
