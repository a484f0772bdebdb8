"""The HTTP door: OpenAI's images API and Limner's own, over the same verbs. Thin: parse, one verb, answer."""
