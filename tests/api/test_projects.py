"""Projects over HTTP, and pictures that are put away."""

from uuid import UUID

import httpx
import pytest

from limner.api.app import create_app
from tests.api.test_unified import body
from tests.fakes import Desk, limner, vendor

NEW = str(UUID(int=7))


@pytest.fixture
async def http(home):
    house = limner(home, vendor(Desk()))
    transport = httpx.ASGITransport(create_app(house, max_body_bytes=64 << 10))
    async with house, httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        yield client


async def draw(http, project=NEW):
    return await http.post("/unified/generate", json=body(project_id=project))


async def test_a_project_is_made_read_listed_and_deleted(http):
    made = await http.post("/projects/", json={"name": "Zoo", "description": "All the animals"})
    project = made.json()
    assert made.status_code == 200
    assert set(project) == {"id", "name", "description", "created_at", "updated_at"}
    assert (project["name"], project["description"]) == ("Zoo", "All the animals")
    assert (await http.get(f"/projects/{project['id']}")).json() == project
    assert [one["name"] for one in (await http.get("/projects/")).json()] == ["default", "Zoo"]
    assert (await http.delete(f"/projects/{project['id']}")).json() == project
    assert (await http.get(f"/projects/{project['id']}")).status_code == 404
    assert [one["name"] for one in (await http.get("/projects/")).json()] == ["default"]


@pytest.mark.parametrize("end", ["", "/"])
async def test_every_address_is_taken_with_and_without_a_slash_at_its_end(http, end):
    project = (await http.post(f"/projects{end}", json={"name": "Zoo"})).json()
    assert (await http.get(f"/projects{end}")).json()[-1] == project
    assert (await http.get(f"/projects/{project['id']}{end}")).json() == project
    assert (await http.delete(f"/projects/{project['id']}{end}")).status_code == 200


async def test_an_unknown_project_comes_into_being_with_its_first_order(http):
    assert (await http.get(f"/projects/{NEW}")).status_code == 404
    assert (await draw(http)).json()["status"] == "completed"
    assert (await http.get(f"/projects/{NEW}")).json()["name"] == NEW


async def test_an_order_that_nobody_takes_leaves_no_project_behind(http):
    await http.post("/unified/generate", json=body(project_id=NEW, model_id="none-such"))
    assert (await http.get(f"/projects/{NEW}")).status_code == 404


async def test_a_deleted_project_keeps_its_pictures_and_takes_no_more_orders(http):
    (image,) = (await draw(http)).json()["images"]
    await http.delete(f"/projects/{NEW}")
    assert (await http.get(image["local_url"])).status_code == 200
    refused = await draw(http)
    assert (refused.status_code, refused.json()) == (404, {"detail": f"no project {NEW}"})


async def test_the_default_project_is_everybodys_and_stays(http):
    (default,) = (await http.get("/projects/")).json()
    (image,) = (await draw(http, default["id"])).json()["images"]
    assert image["local_path"].startswith("storage/images/default/")
    assert (await http.delete(f"/projects/{default['id']}")).status_code == 409


async def test_a_name_is_for_people_and_becomes_no_path(http, home):
    made = await http.post("/projects/", json={"name": "../../etc/\u202epasswd"})
    project = made.json()
    (image,) = (await draw(http, project["id"])).json()["images"]
    assert image["local_path"].startswith(f"storage/images/{project['id']}/")
    assert (home / image["local_path"]).is_file()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"{}",
        b'{"name": ""}',
        b'{"name": "  "}',
        b'{"name": 7}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\\ud800"}',
        b'{"name": "' + b"x" * 201 + b'"}',
        b'{"name": "a", "description": 7}',
    ],
)
async def test_a_project_that_is_none_is_422_with_findings(http, sent):
    answer = await http.post("/projects/", content=sent)
    assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "body")
    assert len((await http.get("/projects/")).json()) == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [("not-a-uuid", 422), ("..%2f..", 404), (str(UUID(int=3)), 404), ("x" * 300, 422), ("%00", 422)],
)
async def test_a_project_that_nobody_knows_is_refused(http, path, status):
    for method in ("GET", "DELETE"):
        answer = await http.request(method, f"/projects/{path}")
        assert (answer.status_code, len(answer.content) < 1000) == (status, True)


async def test_projects_of_others_are_not_seen(home):
    house = limner(home, vendor(Desk()), api_keys="ann=" + "a" * 16 + ",bob=" + "b" * 16)
    transport = httpx.ASGITransport(create_app(house))
    ann, bob = ({"authorization": f"Bearer {letter * 16}"} for letter in "ab")
    async with house, httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
        project = (await http.post("/projects/", json={"name": "Zoo"}, headers=ann)).json()
        path = f"/projects/{project['id']}"
        assert (await http.get(path, headers=ann)).json() == project
        for method in ("GET", "DELETE"):
            assert (await http.request(method, path, headers=bob)).status_code == 404
        assert [one["name"] for one in (await http.get("/projects/", headers=bob)).json()] == ["default"]
        assert (await http.get("/projects/")).status_code == 401


async def test_a_picture_is_put_away_and_served_no_more(http):
    (image,) = (await draw(http)).json()["images"]
    gone = await http.delete(f"/v1/images/{image['id']}")
    assert (gone.status_code, gone.json()["id"]) == (200, image["id"])
    for path in (image["local_url"], f"/v1/images/{image['id']}", f"/v1/images/{image['id']}/file"):
        assert (await http.get(path)).status_code == 404
    assert (await http.delete(f"/v1/images/{image['id']}")).status_code == 404
