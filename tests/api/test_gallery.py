import pytest

from limner.core.job import Artifact
from tests.api.fakes import png

PATHS = ("/v1/images/image-0001-0/file", "/storage/images/default/local/job-0001-0.jpg")


@pytest.fixture
async def picture(http, limner) -> Artifact:
    await http.post("/v1/jobs", json={"prompt": "a red fox", "format": "jpeg", "width": 64, "height": 64})
    return await limner.image("image-0001-0")


async def test_a_picture_is_described_with_its_recipe(http, picture):
    answer = await http.get("/v1/images/image-0001-0")
    assert answer.status_code == 200
    assert Artifact.model_validate_json(answer.content) == picture
    assert answer.json()["path"] == "/storage/images/default/local/job-0001-0.jpg"
    assert answer.json()["recipe"]["prompt"] == "a red fox"


@pytest.mark.parametrize("path", PATHS)
async def test_a_file_comes_with_its_kind_name_and_digest(http, picture, path):
    answer = await http.get(path)
    assert (answer.status_code, answer.content) == (200, png(64, 64, 0))
    told = ("content-type", "etag", "cache-control", "content-disposition", "x-content-type-options")
    assert [answer.headers[name] for name in told] == [
        "image/jpeg",
        f'"{picture.digest}"',
        "private, max-age=31536000, immutable",
        'inline; filename="job-0001-0.jpg"',
        "nosniff",
    ]


@pytest.mark.parametrize("path", PATHS)
async def test_head_tells_the_size_and_reads_no_file(http, limner, picture, path):
    answer = await http.head(path)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (
        200,
        str(picture.size_bytes),
        b"",
    )
    assert limner.opened == 0


@pytest.mark.parametrize("given", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
async def test_a_client_that_holds_the_file_is_told_so(http, limner, picture, given):
    for path in PATHS:
        answer = await http.get(path, headers={"if-none-match": given.format(picture.digest)})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (
            304,
            b"",
            f'"{picture.digest}"',
        )
    assert limner.opened == 0


async def test_another_etag_gets_the_file(http, picture):
    answer = await http.get(PATHS[0], headers={"if-none-match": '"stale"'})
    assert answer.status_code == 200


async def test_a_thumbnail_is_webp_of_the_side_asked_for(http, picture):
    answer = await http.get("/v1/images/image-0001-0/thumbnail?side=64")
    assert answer.content == b"RIFF64 WEBP of " + picture.digest[:8].encode()
    assert (answer.headers["content-type"], answer.headers["etag"]) == (
        "image/webp",
        f'"{picture.digest}-64"',
    )
    again = await http.get(
        "/v1/images/image-0001-0/thumbnail?side=64", headers={"if-none-match": f'"{picture.digest}-64"'}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("side", ["15", "1025", "0", "-1", "big", ""])
async def test_a_thumbnail_of_an_odd_side_is_400(http, picture, side):
    answer = await http.get(f"/v1/images/image-0001-0/thumbnail?side={side}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "side")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/images/image-404",
        "/v1/images/image-404/file",
        "/v1/images/image-404/thumbnail",
        "/storage/images/default/local/image-404.png",
    ],
)
async def test_an_unknown_picture_is_404(http, path):
    answer = await http.get(path)
    assert (answer.status_code, set(answer.json())) == (404, {"detail" if "/storage/" in path else "error"})


@pytest.mark.parametrize(
    "path",
    [
        "/storage/images/default/local/..%2f..%2fetc%2fpasswd",
        "/storage/images/default/local/%2e%2e",
        "/storage/images/default/%2e%2e/x.png",
        "/storage/images/default/local/x%00.png",
        "/storage/images/default/local/x%0d%0a.png",
        "/storage/images/default/local/%ff.png",
        "/storage/images/default/local/" + "x" * 300,
        "/storage/images/default/local/a%5cb.png",
        "/v1/images/..%2f1",
        "/v1/images/" + "1" * 5_000,
    ],
)
async def test_a_path_that_is_no_name_of_ours_is_404(http, picture, path):
    answer = await http.get(path)
    assert (answer.status_code, set(answer.json())) == (404, {"detail" if "/storage/" in path else "error"})
    assert len(answer.content) < 700
