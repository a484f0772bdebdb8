# requires: replicate==1.0.7
"""Replicate's own SDK at the stand-in: `replicate_sdk.py <simulator url>`."""

import io
import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import replicate
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks, WebhookSigningSecret

URL = sys.argv[1].rstrip("/")
SCHNELL = "black-forest-labs/flux-schnell"
PNG = b"\x89PNG\r\n\x1a\n"
checks = 0


def check(got, wanted):
    global checks  # noqa: PLW0603 - a script's one counter
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"
    checks += 1


def client(key="r8_emu"):
    return replicate.Client(api_token=key, base_url=f"{URL}/replicate")


def admin(path):
    with urllib.request.urlopen(f"{URL}/__emu/{path}", timeout=10) as answer:
        return json.load(answer)


def refused(status, said, act):
    try:
        act()
    except ReplicateError as error:
        check((error.status, said in str(error.detail)), (status, True))
    else:
        raise AssertionError(f"{status} was expected")


def finished(prediction):
    prediction.wait()
    return prediction


def runs():
    links = client().run(SCHNELL, input={"prompt": "a fox", "num_outputs": 2}, use_file_output=False)
    check(len(links), 2)
    with urllib.request.urlopen(links[0], timeout=10) as picture:
        check(picture.read(4), b"RIFF")  # the model's own default is webp
    one = client().run(
        "black-forest-labs/flux-1.1-pro", input={"prompt": "a fox"}, use_file_output=False, wait=False
    )
    check(type(one), str)


def creates():
    made = client().predictions.create(version=SCHNELL, input={"prompt": "a fox", "output_format": "png"})
    check((made.status, made.version, made.model), ("starting", "hidden", SCHNELL))
    done = finished(made)
    check((done.status, len(done.output), done.metrics["image_count"]), ("succeeded", 1, 1))
    check(client().predictions.get(made.id).status, "succeeded")
    check(client().predictions.list().results[0].id, made.id)
    with urllib.request.urlopen(done.output[0], timeout=10) as picture:
        check(picture.read(8), PNG)


def community():
    model = client().models.get("stability-ai/sdxl")
    version = model.latest_version
    check("num_outputs" in version.openapi_schema["components"]["schemas"]["Input"]["properties"], True)
    check([one.id for one in model.versions.list()], [version.id])
    done = finished(client().predictions.create(version=version.id, input={"prompt": "a fox"}))
    check((done.status, done.version, done.metrics["predict_time"] > 1), ("succeeded", version.id, True))
    links = client().run(f"stability-ai/sdxl:{version.id}", input={"prompt": "x"}, use_file_output=False)
    check(len(links), 1)
    refused(404, "could not be found", lambda: client().models.predictions.create("stability-ai/sdxl", {}))
    refused(
        422,
        "does not exist",
        lambda: client().predictions.create(version="stability-ai/sdxl:latest", input={"prompt": "x"}),
    )


def ends_badly():
    for fault, said in (("refused", "NSFW content"), ("job_fails", "CUDA out of memory")):
        try:
            client().run(SCHNELL, input={"prompt": f"x [[emu:{fault}]]"}, use_file_output=False)
        except ModelError as error:
            check((error.prediction.status, said in error.prediction.error), ("failed", True))
        else:
            raise AssertionError(f"{fault} was expected to raise")
    stopped = client().predictions.create(version=SCHNELL, input={"prompt": "x (waits in the queue)"})
    stopped.cancel()
    check(client().predictions.get(stopped.id).status, "canceled")
    refused(404, "could not be found", lambda: client().predictions.get("nothing"))


def refusals():
    order = {"version": SCHNELL, "input": {"prompt": "x"}}
    refused(401, "valid authentication token", lambda: client("r8_wrong").predictions.create(**order))
    refused(402, "insufficient credit", lambda: client("r8_emu-nocredit").predictions.create(**order))
    refused(429, "throttled", lambda: client("r8_emu-limited").predictions.create(**order))
    refused(403, "permission", lambda: client("r8_emu-forbidden").predictions.create(**order))
    bad = {"prompt": "x", "num_outputs": 9, "colour": "red"}
    refused(422, "input.num_outputs", lambda: client().predictions.create(version=SCHNELL, input=bad))
    client("r8_emu-poor").predictions.create(**order)
    refused(429, "6 requests per minute", lambda: client("r8_emu-poor").predictions.create(**order))


def account_and_files():
    check(client().accounts.current().username, "limner")
    link = client().run(SCHNELL, input={"prompt": "x", "output_format": "png"}, use_file_output=False)[0]
    with urllib.request.urlopen(link, timeout=10) as answer:
        picture = answer.read()
    file = client().files.create(io.BytesIO(picture))
    check(file.size, len(picture))
    fields = {"prompt": "x", "image": file.urls["get"], "prompt_strength": 0.5}
    links = client().run("black-forest-labs/flux-dev", input=fields, use_file_output=False)
    check(len(links), 1)
    keyed = urllib.request.Request(link, headers={"Authorization": "Bearer r8_emu"})
    try:
        urllib.request.urlopen(keyed, timeout=10)
    except urllib.error.HTTPError as error:
        check(error.code, 403)


HEARD = []


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        HEARD.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args):
        """Say nothing."""


def webhooks():
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    finished(
        client().predictions.create(
            version=SCHNELL,
            input={"prompt": "a fox"},
            webhook=f"http://127.0.0.1:{server.server_port}/hook",
            webhook_events_filter=["start", "completed"],
        )
    )
    server.shutdown()
    secret = client().webhooks.default.secret()
    for headers, body in HEARD:
        lower = {name.lower(): value for name, value in headers.items()}
        Webhooks.validate(headers=lower, body=body, secret=WebhookSigningSecret(key=secret.key))
    check([json.loads(body)["status"] for _, body in HEARD], ["processing", "succeeded"])


for part in (runs, creates, community, ends_badly, refusals, account_and_files, webhooks):
    part()
bill = admin("bill?vendor=replicate")
check(bill["vendors"]["replicate"]["orders"] > 0, True)
print(f"ok: {checks} checks")  # noqa: T201 - read by whoever runs the script
