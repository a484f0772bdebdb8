"""Any server that copies OpenAI's images API: LocalAI, vLLM-Omni, SGLang, another Limner."""

from limner.providers.base import Call
from limner.providers.openai import OpenAI
from limner.providers.orders import Fields


class OpenAICompatible(OpenAI):
    """Your own server, by its address. Gets the fields that all of them know, and the caller's options."""

    name = "openai-compatible"
    base_url = "http://127.0.0.1:8080/v1/"
    key_env = ()
    url_env = ()
    needs_key = False
    self_hosted = True
    timeout_s = 600.0
    marks = ()

    def fields(self, call: Call) -> Fields:
        """Nothing that one of them refuses; without a model's name the server takes its own."""
        wish = call.request
        model: Fields = {"model": call.model} if call.model else {}
        prompt = wish.prompt if wish.style is None else f"{wish.prompt}, {wish.style}"
        size = f"{wish.width}x{wish.height}"
        return {**model, "prompt": prompt, "n": wish.count, "size": size, **wish.options}
