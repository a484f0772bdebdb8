from decimal import Decimal

import aiohttp
import pytest

from limner.simulator.journal import Bill, Line, body_shown, carries_key, hide, texts


def line(vendor, usd, images=1):
    return Line(1.5, vendor, "a", Decimal(usd), images)


def test_a_bill_adds_up_per_vendor_and_in_all():
    bill = Bill()
    bill.lines += [line("a", "0.1"), line("b", "0.2", 3), line("a", "0.2", 0)]
    assert (bill.usd(), bill.images(), bill.orders()) == (Decimal("0.5"), 4, 3)
    assert (bill.usd("a"), bill.images("a"), bill.orders("a")) == (Decimal("0.3"), 1, 2)
    assert (bill.usd("c"), bill.images("c"), bill.orders("c")) == (0, 0, 0)
    assert bill.as_json("b") == {
        "total_usd": "0.2",
        "vendors": {"b": {"orders": 1, "images": 3, "usd": "0.2"}},
        "lines": [{"at": 1.5, "vendor": "b", "id": "a", "usd": "0.2", "images": 3}],
    }


def test_a_key_is_hidden_by_its_headers_name_and_by_its_text():
    given = {
        "Authorization": "Bearer s3cret",
        "X-KEY": "s3cret",
        "Cookie": "session=1",
        "X-Trace": "about easel-emu-nocredit",
        "Accept": "*/*",
    }
    assert hide(given, ["easel-emu"]) == {
        "Authorization": "Bearer ***",
        "X-KEY": "***",
        "Cookie": "***",
        "X-Trace": "about ***-nocredit",
        "Accept": "*/*",
    }


def test_a_key_in_a_body_is_hidden_by_its_fields_name_and_by_its_text():
    body = b'[{"apiKey": "wrong", "key": 7, "text": "it is easel-emu", "n": [1, null, true]}]'
    assert body_shown(body, ["easel-emu"]) == [
        {"apiKey": "***", "key": 7, "text": "it is ***", "n": [1, None, True]}
    ]


def test_long_text_is_cut_without_cutting_a_key_in_two():
    text = "x" * 60 + "easel-emu" + "y" * 5000
    assert body_shown(f'"{text}"'.encode(), ["easel-emu"]) == "x" * 60 + "***y" + "... (5069 characters)"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", None),
        (b"\x89PNG", {"bytes": 4}),
        (b"--boundary", {"bytes": 10}),
        (b"[" * 99_999, {"bytes": 99_999}),
    ],
)
def test_what_is_no_json_is_told_by_its_size(body, shown):
    assert body_shown(body, []) == shown


def test_the_text_of_a_body_is_its_strings_or_all_of_it():
    assert texts(b'{"a": ["x", {"b": "\\u00e9"}], "c": 1}') == "x\n\u00e9"
    assert texts(b"--b\r\n\xffhi") == "--b\r\n\ufffdhi"


def test_a_request_carries_a_key_by_a_headers_name_or_by_any_value():
    assert carries_key({"X-Key": "anything"}, {}, [])
    assert carries_key({"X-Other": "my easel-emu"}, {}, ["easel-emu"])
    assert carries_key({}, {"sign": "easel-emu"}, ["easel-emu"])
    assert not carries_key({"Accept": "*/*", "Cookie": "a=b"}, {"key": "file-7"}, ["easel-emu"])


async def test_no_key_is_written_down_wherever_it_comes(sim, bare):
    for key in ("easel-emu", "wrong-secret"):
        headers = {"Authorization": f"Bearer {key}", "x-api-key": key}
        body = {"prompt": "a fox", "apiKey": key, "deep": [{"token": key}]}
        query = {"key": key}
        async with bare.post(
            sim.base("easel") + "paint/m1", json=body, headers=headers, params=query
        ) as answer:
            await answer.read()
    async with bare.get(f"{sim.url}/__emu/journal") as answer:
        text = await answer.text()
    assert "easel-emu" not in text
    assert "wrong-secret" not in text
    assert sim.requests()[0].body == {"prompt": "a fox", "apiKey": "***", "deep": [{"token": "***"}]}
    assert sim.requests()[0].query == {"key": "***"}


async def test_a_multipart_body_is_journalled_by_its_size(sim, http):
    form = aiohttp.FormData({"prompt": "a fox"})
    form.add_field("image", b"1234", filename="a.png")
    async with http.post(sim.base("easel") + "form", data=form) as answer:
        assert answer.status == 200
    (asked,) = sim.requests(path="/form")
    assert asked.body == {"bytes": int(asked.headers["Content-Length"])}
