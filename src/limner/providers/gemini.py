"""Google Gemini: one POST answers with the picture, or with words why there is none."""

from collections.abc import Mapping
from math import log
from typing import Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from limner.core.errors import Malformed, ProviderError, RateLimited, Refused, Rejected, Unauthorized
from limner.core.shapes import media_type, nearest_ratio
from limner.providers.answers import SHOWN, Encoded, IfReadable, readable
from limner.providers.base import Call, Done, Outcome, Provider, Recovery, Usage
from limner.providers.orders import Fields, base64
from limner.wire import by_status

_APOLOGIES = ("i can't", "i cannot", "i'm sorry", "i am sorry", "i'm unable", "i am unable", "sorry")
_RIGHTS = ("BLOCKLIST", "SPII", "RECITATION", "IMAGE_RECITATION", "MODEL_ARMOR")
_DECLINED = ("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", *_RIGHTS)
_NOTHING = ("NO_IMAGE", "IMAGE_OTHER", "OTHER", "MALFORMED_RESPONSE", "MAX_TOKENS", "LANGUAGE")


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    ratios: tuple[str, ...] = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
    image_sizes: tuple[Literal["1K", "2K", "4K"], ...] = ()
    """Empty: the model has one size and refuses to be told."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class _Part(_Said):
    text: str = ""
    mime: str = Field("", validation_alias=AliasPath("inlineData", "mimeType"))
    data: Encoded = Field(b"", validation_alias=AliasPath("inlineData", "data"))
    thought: bool = False


class _Count(_Said):
    modality: str = "TEXT"
    token_count: int = 0


class _Usage(_Said):
    prompt_token_count: int
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    prompt_tokens_details: tuple[_Count, ...] = ()
    candidates_tokens_details: tuple[_Count, ...]


class _Answer(_Said):
    parts: tuple[_Part, ...] = Field((), validation_alias=AliasPath("candidates", 0, "content", "parts"))
    finish_reason: str = Field("", validation_alias=AliasPath("candidates", 0, "finishReason"))
    """Any word: a picture that was drawn is taken whatever the reason is called."""
    finish_message: str = Field("", validation_alias=AliasPath("candidates", 0, "finishMessage"))
    block_reason: str = Field("", validation_alias=AliasPath("promptFeedback", "blockReason"))
    usage_metadata: IfReadable[_Usage] = None
    model_version: str | None = None


class _Detail(_Said):
    reason: str = ""
    retry_delay: str = Field("0s", pattern=r"^\d{1,9}(\.\d+)?s$")
    quota_id: str = Field("", validation_alias=AliasPath("violations", 0, "quotaId"))
    quota_value: str = Field("", validation_alias=AliasPath("violations", 0, "quotaValue"))


class _Trouble(_Said):
    message: str = Field(validation_alias=AliasPath("error", "message"))
    status: str = Field("", validation_alias=AliasPath("error", "status"))
    details: tuple[_Detail, ...] = Field((), validation_alias=AliasPath("error", "details"))


class Gemini(Provider):
    """The Gemini Developer API. Takes shapes and size classes instead of pixels; counts tokens."""

    name = "gemini"
    base_url = "https://generativelanguage.googleapis.com/"
    recovery = Recovery.BLIND
    key_env = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
    key_header, key_prefix = "x-goog-api-key", ""
    url_env = ("GOOGLE_GEMINI_BASE_URL",)
    timeout_s = 300.0  # 4K with much thinking takes minutes
    probe_path = "v1beta/models?pageSize=1"

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status and reason: a bad key is a 400, and an empty purse has been a 402 and a 429."""
        told = readable(body, _Trouble) if status >= 400 else None
        if told is None:
            return by_status(status, headers, body)
        said = f"{told.status}: {told.message[:SHOWN]}"
        if status in (401, 402, 403) or _is_the_accounts(told):
            return Unauthorized(said)
        return _over_quota(told, said) if status == 429 else by_status(status, headers, said.encode())

    async def submit(self, call: Call) -> Outcome:
        """Order one picture and read it from the answer."""
        path = f"v1beta/models/{call.model}:generateContent"
        answer = await self.wire.post(path, into=_Answer, json=_order(call))
        # A model that thinks may also show the drafts of its thoughts.
        shown = [part for part in answer.parts if part.mime.startswith("image/") and not part.thought]
        if not shown:
            raise _why_none(answer)
        images, usage = tuple(part.data for part in shown), _usage(answer.usage_metadata)
        return Done(images, usage=usage, engine=answer.model_version, marks=("synthid", "c2pa"))


def _order(call: Call) -> Fields:
    wish = call.request
    words = wish.prompt if wish.style is None else f"{wish.prompt}, {wish.style} style"
    parts: list[JsonValue] = [*map(_inline, call.inputs), {"text": words}]
    shape = _shape(_Dialect.model_validate(call.dialect), *(wish.size or (1024, 1024)))
    config: Fields = {"responseModalities": ["IMAGE"], "imageConfig": shape}
    if wish.seed is not None:
        config["seed"] = wish.seed
    if "thinking" in wish.options:
        config["thinkingConfig"] = {"thinkingLevel": str(wish.options["thinking"]).upper()}
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def _shape(dialect: _Dialect, width: int, height: int) -> Fields:
    def distance(name: str) -> float:
        return abs(log(width * height) - 2 * log(1024 * int(name.removesuffix("K"))))

    shape: Fields = {"aspectRatio": nearest_ratio(width, height, dialect.ratios)}
    return shape | ({"imageSize": min(dialect.image_sizes, key=distance)} if dialect.image_sizes else {})


def _inline(data: bytes) -> JsonValue:
    return {"inlineData": {"mimeType": media_type(data), "data": base64(data)}}


def _why_none(answer: _Answer) -> ProviderError:
    if answer.block_reason:
        return Refused(f"Gemini declined the prompt: {answer.block_reason[:SHOWN]}")
    said = f"{answer.finish_reason} {answer.finish_message}".strip()[:SHOWN]
    words = " ".join(part.text for part in answer.parts if not part.thought).strip()[:SHOWN]
    match answer.finish_reason:
        case word if word in _DECLINED:
            return Refused(f"Gemini declined the picture: {said}")
        case word if word in _NOTHING:
            return Rejected(f"Gemini drew nothing this time: {said}")
        case "STOP" if words.lower().replace("\u2019", "'").startswith(_APOLOGIES):
            return Refused(f"Gemini declined: {words}")  # which this API then shows by no other sign
        case "STOP" if words:
            return Rejected(f"Gemini answered in words instead of a picture: {words}")
        case _:
            return Malformed(f"Gemini sent no picture, and a reason we do not know: {said or 'none'}")


def _usage(counted: _Usage | None) -> Usage | None:
    if counted is None:
        return None
    image_in = sum(one.token_count for one in counted.prompt_tokens_details if one.modality == "IMAGE")
    image_out = sum(one.token_count for one in counted.candidates_tokens_details if one.modality == "IMAGE")
    tokens = {"text_in": counted.prompt_token_count - image_in, "image_in": image_in, "image_out": image_out}
    words = max(0, counted.candidates_token_count - image_out) + counted.thoughts_token_count
    return Usage(tokens=tokens | {"text_out": words})


def _is_the_accounts(told: _Trouble) -> bool:
    """No billing, not offered in this country, a key that is wrong or barred, or no credit left."""
    barred = any(detail.reason.startswith("API_KEY_") for detail in told.details)
    return barred or told.status == "FAILED_PRECONDITION" or "credits are depleted" in told.message


def _over_quota(told: _Trouble, said: str) -> ProviderError:
    """A quota by the minute is waited for, one by the day or of 0 is not; Google sends no Retry-After."""
    if any("PerDay" in one.quota_id or one.quota_value == "0" for one in told.details):
        return Rejected(f"Gemini's quota for this model is used up: {said}")
    delays = [float(detail.retry_delay.removesuffix("s")) for detail in told.details]
    return RateLimited(said, after_s=max(delays, default=0.0) or 1.0)
