"""The simulated ComfyUI's folders: what was uploaded and what was drawn."""

from aiohttp import web

Place = tuple[str, str, str]
"""Type (output, input, temp), subfolder, name."""


class Folders:
    """Files until the vendor is reset; they outlive a restart of the server."""

    def __init__(self) -> None:
        self.files: dict[Place, bytes] = {}

    async def view(self, request: web.Request) -> web.Response:
        """GET /view."""
        asked = request.query
        name, folder, kind = asked.get("filename"), asked.get("subfolder", ""), asked.get("type", "output")
        if not name:
            return web.Response(status=404)
        if name.startswith("/") or ".." in name or kind not in ("output", "input", "temp"):
            return web.Response(status=400)
        if ".." in folder or folder.startswith("/"):
            return web.Response(status=403)
        data = self.files.get((kind, folder, name))
        if data is None:
            return web.Response(status=404)
        headers = {"Content-Disposition": f'filename="{name}"', "Content-Type": "image/png"}
        return web.Response(body=data, headers=headers)

    async def upload(self, request: web.Request) -> web.Response:
        """POST /upload/image: a taken name gets a number, unless it is to be overwritten."""
        form = await request.post()
        file = form.get("image")
        folder, kind = str(form.get("subfolder", "")), str(form.get("type", "input"))
        if not isinstance(file, web.FileField) or not file.filename or ".." in folder or "/" in file.filename:
            return web.Response(status=400)
        data, name = file.file.read(), file.filename
        if form.get("overwrite") not in ("true", "1"):
            name = self._free(kind, folder, name, data)
        self.files[kind, folder, name] = data
        return web.json_response({"name": name, "subfolder": folder, "type": kind})

    def _free(self, kind: str, folder: str, wanted: str, data: bytes) -> str:
        """The name, or one with a number when it belongs to other bytes."""
        stem, _, ending = wanted.rpartition(".")
        name, number = wanted, 0
        while self.files.get((kind, folder, name), data) != data:
            number += 1
            name = f"{stem} ({number}).{ending}"
        return name


def place(name: str, kind: str) -> Place:
    """Where a file of that name, with its subfolder, lies."""
    folder, _, file = name.rpartition("/")
    return kind, folder, file
