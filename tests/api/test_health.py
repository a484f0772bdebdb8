async def test_alive_answers_without_asking_limner(http, limner):
    limner.reasons = ["the disk is full"]
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "version": "9.9.9"})


async def test_ready_is_200_and_not_ready_503_with_every_reason(http, limner):
    ready = await http.get("/readyz")
    limner.reasons = ["the disk is full", "the engine is starting"]
    not_ready = await http.get("/readyz")
    assert [(answer.status_code, answer.json()) for answer in (ready, not_ready)] == [
        (200, {"ready": True, "reasons": []}),
        (503, {"ready": False, "reasons": ["the disk is full", "the engine is starting"]}),
    ]


async def test_a_load_balancers_head_is_answered(http):
    assert [(await http.head(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
