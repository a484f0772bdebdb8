// OpenAI's Node SDK at Limner, unmodified: `node openai_node.mjs <Limner's url>`.
import OpenAI, { toFile } from "openai";
import { check, finish, png, sizeOf, URL } from "./checks.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "unused", maxRetries: 0 });
const small = { model: "gpt-image-2", size: "1024x1024", quality: "low" };
const sizes = (answer) => answer.data.map((one) => sizeOf(Buffer.from(one.b64_json, "base64")));
const fox = () => toFile(png(), "fox.png", { type: "image/png" });
const mask = () => toFile(png(0), "mask.png", { type: "image/png" });

check("generate", sizes(await client.images.generate({ prompt: "a red fox", n: 2, ...small })), [
  [1024, 1024],
  [1024, 1024],
]);
const linked = await client.images.generate({ prompt: "a red fox", model: "dall-e-3" });
check("generate: dall-e-3 answers an address", [typeof linked.data[0].url, linked.data[0].b64_json], [
  "string",
  undefined,
]);
const { data, response } = await client.images
  .generate({ prompt: "a red fox", model: "gpt-image-1" })
  .withResponse();
check("headers", [data.data.length, response.headers.get("x-limner-provider")], [1, "openai"]);

const told = [];
const stream = await client.images.generate({ prompt: "a red fox", stream: true, partial_images: 1, ...small });
for await (const event of stream) told.push(event.type);
check("stream: ends with the picture", told.at(-1), "image_generation.completed");

check("edit", sizes(await client.images.edit({ image: await fox(), prompt: "a hat", ...small })), [[1024, 1024]]);
const several = await client.images.edit({ image: [await fox(), await fox()], prompt: "both", ...small });
check("edit: several", sizes(several), [[1024, 1024]]);
const masked = await client.images.edit({ image: await fox(), mask: await mask(), prompt: "a hat", ...small });
check("edit: with a mask", sizes(masked), [[1024, 1024]]);
const edited = [];
const editing = await client.images.edit({ image: await fox(), prompt: "a hat", stream: true, ...small });
for await (const event of editing) edited.push(event.type);
check("edit stream", edited.at(-1), "image_edit.completed");
const varied = await client.images.createVariation({ image: await fox(), response_format: "b64_json" });
check("variation", varied.data.length, 1);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
check("models", names.includes("gpt-image-2"), true);
check("models: read", (await client.models.retrieve("gpt-image-2")).object, "model");
check("moderation", (await client.moderations.create({ input: ["a fox", "an owl"] })).results.length, 2);

async function fails(what, kind, told, act) {
  try {
    await act();
  } catch (error) {
    check(what, [error.constructor.name, error.status, error.param, error.code], [kind, ...told]);
    return;
  }
  throw new Error(`${what}: no error`);
}
await fails("no such model", "NotFoundError", [404, "model", "model_not_found"], () =>
  client.images.generate({ prompt: "a", model: "nobody" }),
);
await fails("declined", "BadRequestError", [400, null, "moderation_blocked"], () =>
  client.images.generate({ prompt: "[[emu:refused]] a fox", ...small }),
);

const patient = new OpenAI({ baseURL: `${URL}/v1`, apiKey: "unused", maxRetries: 2 });
const prompt = "[[emu:cut_after]] a fox from Node";
await fails("cut off", "InternalServerError", [504, null, "outcome_unknown"], () =>
  patient.images.generate({ prompt, ...small }),
);
const listed = await (await fetch(`${URL}/v1/jobs?limit=100`)).json();
check("cut off: ordered once", listed.data.filter((job) => job.request.prompt === prompt).length, 1);
finish();
