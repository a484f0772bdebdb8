"""A browser's part at the chat window: types, presses buttons, changes the settings; says what it was shown.

Runs in Chainlit's environment, with the address and a JSON list of acts. Prints JSON: what each one showed.
"""

import asyncio
import json
import sys
import uuid

import aiohttp
import socketio

PATIENCE_S = 100
FLUSH = "/nothing"


class Browser:
    def __init__(self, http, address):
        self.http = http
        self.address = address
        self.session = str(uuid.uuid4())
        self.line = socketio.AsyncClient(reconnection=False)
        self.line.on("*", self.hear)
        self.shown = []
        self.buttons = {}
        self.panel = {}
        self.choices = {}
        self.opened = asyncio.Event()
        self.idle = asyncio.Event()

    async def hear(self, event, *given):
        data = given[0] if given else None
        match event:
            case "new_message" | "update_message" if data["type"] == "assistant_message":
                self.shown.append({"text": data["output"], "of": data["id"], "new": event == "new_message"})
            case "action":
                self.buttons[data["id"]] = data
                self.shown.append({"button": data["label"], "of": data["forId"]})
            case "remove_action":
                self.buttons.pop(data["id"], None)
            case "element":
                self.shown.append({"element": data["name"], "of": data["forId"], "key": data["chainlitKey"]})
            case "chat_settings":
                self.panel = {one["id"]: one["initial"] for one in data}
                self.choices = {one["id"]: [item["value"] for item in one.get("items", ())] for one in data}
                if not self.opened.is_set():
                    self.opened.set()
                    self.idle.clear()
            case "task_end":
                self.idle.set()

    async def open(self):
        auth = {"sessionId": self.session, "clientType": "webapp", "userEnv": "{}", "chatProfile": ""}
        await self.line.connect(
            self.address, socketio_path="/ws/socket.io", auth=auth, transports=["websocket"]
        )
        await self.line.emit("connection_successful")
        await self.opened.wait()
        await self.idle.wait()

    async def say(self, text):
        self.idle.clear()
        message = {"id": str(uuid.uuid4()), "threadId": "", "createdAt": "2026-11-20T00:00:00Z"}
        message |= {"name": "User", "type": "user_message", "output": text}
        await self.line.emit("client_message", {"message": message, "fileReferences": None})
        await self.idle.wait()

    async def press(self, label):
        button = next(one for one in reversed(self.buttons.values()) if one["label"].startswith(label))
        await self.post(button)
        return button

    async def post(self, button):
        body = {"action": button, "sessionId": self.session}
        async with self.http.post(f"{self.address}/project/action", json=body) as answer:
            assert answer.status == 200, await answer.text()
        await self.say(FLUSH)  # the answer came by another way: what was told before is here when this is

    async def do(self, kind, given):
        self.shown = []
        match kind:
            case "say":
                await self.say(given)
            case "press":
                await self.press(given)
            case "press twice":
                await self.post(await self.press(given))
            case "post":
                await self.post({"id": str(uuid.uuid4()), "label": "", "tooltip": ""} | given)
            case "set":
                self.idle.clear()
                await self.line.emit("chat_settings_change", given)
                await self.idle.wait()
        shown = [one for one in self.shown if FLUSH not in one.get("text", "")]
        for one in shown:
            if "key" in one:
                one["file"] = await self.file(one.pop("key"))
        return {"shown": shown, "panel": self.panel, "choices": self.choices}

    async def file(self, key):
        address = f"{self.address}/project/file/{key}?session_id={self.session}"
        async with self.http.get(address) as answer:
            return [answer.status, answer.content_type, (await answer.read())[:4].hex()]


async def main(address, acts):
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as http:
        browser = Browser(http, address)
        await browser.open()
        found = [await browser.do(*act) for act in acts]
        await browser.line.disconnect()
    sys.stdout.write(json.dumps(found))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
