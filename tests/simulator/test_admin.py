import pytest

from limner.simulator.faults import KINDS, Fault


async def ask(http, sim, method, path, body=None):
    data = body if isinstance(body, bytes) else None
    async with http.request(method, sim.url + path, json=None if data else body, data=data) as answer:
        return answer.status, await answer.json()


async def paint(http, sim, prompt="a fox"):
    async with http.post(sim.base("easel") + "paint/m1", json={"prompt": prompt}) as answer:
        return answer.status


@pytest.mark.parametrize("path", ["/__emu/faults", "/__emu/script"])
async def test_a_fault_is_added_listed_played_and_cleared(sim, http, path):
    fault = {"vendor": "easel", "fault": "overloaded", "times": 2, "match": {"prompt": "fox"}}
    whole = fault | {"after_s": 0.5, "match": {"path": None, "prompt": "fox", "model": None}}
    assert await ask(http, sim, "POST", path, fault) == (201, whole)
    assert await paint(http, sim) == 503
    assert await ask(http, sim, "GET", path) == (200, {"faults": [whole | {"times": 1}]})
    assert await ask(http, sim, "DELETE", path) == (200, {"faults": []})
    assert await paint(http, sim) == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "body: Invalid JSON"),
        ({}, "fault: Field required"),
        ({"fault": "explode"}, "fault: Input should be 'slow', 'hang'"),
        ({"fault": "slow", "matches": 1}, "matches: Extra inputs are not permitted"),
        ({"fault": "slow", "vendor": "nobody"}, "there is no vendor 'nobody'; there are: easel"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_by_name(sim, http, body, said):
    status, answer = await ask(http, sim, "POST", "/__emu/faults", body)
    assert status == 400
    assert answer["error"].startswith(said)


@pytest.mark.parametrize("path", ["/__emu/journal", "/__emu/requests"])
async def test_the_journal_has_every_request_with_what_came_of_it(sim, bare, path):
    url = sim.base("easel") + "paint/m1"
    headers = {
        "Authorization": "Bearer easel-emu",
        "User-Agent": "test",
        "Accept": "*/*",
        "Accept-Encoding": "",
    }
    async with bare.post(url, json={"prompt": "a fox"}, headers=headers):
        pass
    status, answer = await ask(bare, sim, "GET", path)
    (asked,) = answer["requests"]
    assert (status, abs(asked.pop("at") - sim.vendors["easel"].world.now()) < 600) == (200, True)
    assert asked == {
        "vendor": "easel",
        "method": "POST",
        "path": "/easel/v1/paint/m1",
        "query": {},
        "headers": {
            "Host": sim.url.removeprefix("http://"),
            "Authorization": "Bearer ***",
            "User-Agent": "test",
            "Accept": "*/*",
            "Accept-Encoding": "",
            "Content-Length": "19",
            "Content-Type": "application/json",
        },
        "body": {"prompt": "a fox"},
        "status": 200,
        "fault": None,
        "images": 1,
        "usd": "0.04",
        "carried_key": True,
    }
    assert await ask(bare, sim, "GET", path + "?vendor=other") == (200, {"requests": []})
    assert await ask(bare, sim, "GET", path + "?path=/jobs/") == (200, {"requests": []})


@pytest.mark.parametrize("path", ["/__emu/bill", "/__emu/charges"])
async def test_the_bill_has_totals_and_lines(sim, http, path):
    await paint(http, sim)
    await paint(http, sim)
    _, answer = await ask(http, sim, "GET", path)
    for line in answer["lines"]:
        del line["at"]
    line = {"vendor": "easel", "usd": "0.04", "images": 1}
    assert answer == {
        "total_usd": "0.08",
        "vendors": {"easel": {"orders": 2, "images": 2, "usd": "0.08"}},
        "lines": [line | {"id": "order-1"}, line | {"id": "order-2"}],
    }
    nothing = {"total_usd": "0", "vendors": {}, "lines": []}
    assert await ask(http, sim, "GET", path + "?vendor=other") == (200, nothing)


async def test_the_jobs_are_the_vendors_own(sim, http):
    await paint(http, sim)
    assert await ask(http, sim, "GET", "/__emu/jobs") == (
        200,
        {"jobs": {"easel": [{"id": "0", "prompt": "a fox"}]}},
    )
    assert await ask(http, sim, "GET", "/__emu/jobs?vendor=other") == (200, {"jobs": {}})


async def test_the_clock_is_read_and_advanced(sim, http):
    assert (await ask(http, sim, "GET", "/__emu/clock"))[1]["offset_s"] == 0
    status, answer = await ask(http, sim, "POST", "/__emu/clock", {"advance_s": 3600})
    assert (status, answer["offset_s"]) == (200, 3600)
    assert sim.vendors["easel"].world.now() >= answer["now"]


@pytest.mark.parametrize(
    "body", [{}, {"advance_s": "soon"}, {"advance_s": 1e99}, {"now": 1}, b"NaN", b'{"advance_s": NaN}']
)
async def test_a_clock_that_makes_no_sense_is_refused(sim, http, body):
    assert (await ask(http, sim, "POST", "/__emu/clock", body))[0] == 400
    assert (await ask(http, sim, "GET", "/__emu/clock"))[1]["offset_s"] == 0


async def test_a_reset_forgets_everything(sim, http):
    sim.fault("slow", times=0, prompt="never")
    sim.advance(50)
    await paint(http, sim)
    assert await ask(http, sim, "POST", "/__emu/reset") == (200, {"reset": True})
    assert (sim.requests(), sim.bill.lines, sim.vendors["easel"].jobs()) == ([], [], [])
    assert (await ask(http, sim, "GET", "/__emu/faults"))[1] == {"faults": []}
    assert (await ask(http, sim, "GET", "/__emu/clock"))[1]["offset_s"] == 0


async def test_the_overview_says_where_everybody_is_and_what_can_go_wrong(sim, bare):
    status, answer = await ask(bare, sim, "GET", "/__emu")
    foreign = answer.pop("foreign")
    assert (status, foreign["asks"]) == (200, 0)
    assert answer == {
        "url": sim.url,
        "seed": 7,
        "mistakes": [],
        "faults": KINDS,
        "vendors": [
            {
                "name": "easel",
                "base_url": f"{sim.url}/easel/v1/",
                "key": "easel-emu",
                "routes": [
                    "POST /easel/v1/paint/{model}",
                    "POST /easel/v1/form",
                    "POST /easel/v1/stream",
                    "POST /easel/v1/conflict",
                    "POST /easel/v1/clumsy",
                    "GET /easel/v1/jobs/{id}",
                    "GET /easel/v1/ws",
                    "GET /easel/cdn/{file}",
                ],
            }
        ],
    }


async def test_the_page_is_for_people(sim, bare):
    async with bare.get(sim.url + "/") as answer:
        text = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert f"<tr><td>easel<td>{sim.url}/easel/v1/<td>easel-emu</table>" in text
    assert [kind for kind in KINDS if f"<dt>{kind}<dd>{KINDS[kind]}" not in text] == []


def test_a_fault_survives_its_own_json():
    fault = Fault(kind="slow", vendor="easel", after_s=2)
    assert Fault.model_validate_json(fault.model_dump_json(by_alias=True)) == fault
