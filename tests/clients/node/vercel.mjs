// Vercel's AI SDK at Limner, unmodified: `node vercel.mjs <Limner's url>`.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage } from "ai";
import { check, finish, png, sizeOf, URL } from "./checks.mjs";

const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: "unused" });
const compatible = createOpenAICompatible({ name: "limner", baseURL: `${URL}/v1`, apiKey: "unused" });
const size = "1024x1024";
const sizes = (made) => made.images.map((one) => sizeOf(Buffer.from(one.uint8Array)));

let made = await generateImage({ model: openai.image("gpt-image-2"), prompt: "a red fox", n: 2, size });
check("openai: generate", sizes(made), [[1024, 1024], [1024, 1024]]);
made = await generateImage({ model: openai.image("dall-e-3"), prompt: "a red fox", size });
check("openai: dall-e-3", sizes(made), [[1024, 1024]]);
made = await generateImage({
  model: openai.image("gpt-image-2"),
  prompt: { text: "a hat", images: [png()], mask: png(0) },
  size,
});
check("openai: edit with a mask", sizes(made), [[1024, 1024]]);
made = await generateImage({ model: openai.image("gpt-image-2"), prompt: { text: "a hat", images: [png(), png()] } });
check("openai: edit of several", sizes(made), [[1024, 1024]]);

made = await generateImage({ model: compatible.imageModel("gpt-image-2"), prompt: "a red fox", size });
check("compatible: generate", sizes(made), [[1024, 1024]]);
made = await generateImage({ model: compatible.imageModel("gpt-image-2"), prompt: { text: "a hat", images: [png()] }, size });
check("compatible: edit", sizes(made), [[1024, 1024]]);

try {
  await generateImage({ model: openai.image("nobody"), prompt: "a red fox" });
  throw new Error("no error");
} catch (error) {
  check("errors", [error.statusCode, error.isRetryable], [404, false]);
}
finish();
