"""A small vendor: one order, one job to ask for, one file, one WebSocket."""

from aiohttp import web

from limner.simulator.vendor import Order, Unreadable, Vendor, route

STATUS = {
    "no_key": 401,
    "bad_key": 401,
    "forbidden": 403,
    "no_money": 402,
    "rate_limited": 429,
    "server_error": 500,
    "overloaded": 503,
}


class Easel(Vendor):
    """Paints for $0.04; answers with the prompt it was given."""

    name = "easel"
    base = "/v1/"
    key = "easel-emu"
    further_keys = ("easel-emu-unverified",)

    def routes(self):
        return [
            route("POST", "/v1/paint/{model}", self.paint, order=True),
            route("POST", "/v1/form", self.form, order=True),
            route("POST", "/v1/stream", self.stream, order=True),
            route("POST", "/v1/conflict", self.conflict, order=True),
            route("POST", "/v1/clumsy", self.clumsy, order=True),
            route("GET", "/v1/jobs/{id}", self.job),
            route("GET", "/v1/ws", self.talk),
            route("GET", "/cdn/{file}", self.file, open=True),
        ]

    def error(self, word, request):
        headers = {"Retry-After": f"{self.retry_after_s(request):g}"} if word == "rate_limited" else None
        return web.json_response({"error": word}, status=STATUS[word], headers=headers)

    def reset(self):
        self.painted = []

    def jobs(self):
        return [{"id": str(number), "prompt": prompt} for number, prompt in enumerate(self.painted)]

    async def paint(self, request: web.Request, order: Order):
        prompt = order.fields()["prompt"]
        self.painted.append(prompt)
        order.charge("0.04", id=f"order-{len(self.painted)}")
        return web.json_response({"prompt": prompt, "endless": order.has("never_ends")})

    async def form(self, request: web.Request, order: Order):
        fields = await request.post()
        order.charge("0.02", images=2)
        return web.json_response({"prompt": fields["prompt"], "bytes": len(fields["image"].file.read())})

    async def stream(self, request: web.Request, order: Order):
        order.charge("0.01")
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        return answer

    async def conflict(self, request: web.Request, order: Order):
        raise web.HTTPConflict(text="being painted")

    async def clumsy(self, request: web.Request, order: Order):
        raise (ConnectionResetError if order.body else RuntimeError)("dropped the brush")

    async def job(self, request: web.Request):
        state = "lost" if self.order_of(request).has("lost") else "painting"
        return web.json_response({"id": request.match_info["id"], "state": state})

    async def talk(self, request: web.Request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            try:
                order = self.order_in(request, message.data)
            except Unreadable as error:
                await socket.send_str(str(error)[:20])
                continue
            order.charge("0.03")
            await socket.send_str("declined" if order.has("refused") else "done")
        return socket

    async def file(self, request: web.Request):
        return web.Response(body=b"a file", content_type="image/png")
