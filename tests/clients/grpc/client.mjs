// An ordinary Node client: node client.mjs PROTO ADDRESS. Prints what it saw as one JSON object.
import { createRequire } from "node:module";
import path from "node:path";

const [proto, address, modules] = process.argv.slice(2);
const require = createRequire(path.join(modules, "package.json"));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadSync(proto, { keepCase: true, longs: String, defaults: true });
const { ImageGenerationService } = grpc.loadPackageDefinition(definition).starweave;
const client = new ImageGenerationService(address, grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": 100 * 1024 * 1024,
});

const deadline = () => ({ deadline: Date.now() + 30_000 });
const call = (method, message) =>
  new Promise((resolve, reject) =>
    client[method](message, new grpc.Metadata(), deadline(), (error, answer) => (error ? reject(error) : resolve(answer))),
  );
const streamed = (message) =>
  new Promise((resolve, reject) => {
    const answers = [];
    client
      .GenerateImageVariations(message, new grpc.Metadata(), deadline())
      .on("data", (answer) => answers.push(answer))
      .on("error", reject)
      .on("end", () => resolve(answers));
  });

const shown = (answer) => ({
  id: answer.request_id,
  bytes: answer.image_data.subarray(0, 8).toString("hex"),
  format: answer.format,
  error: answer.error,
  seed: answer.metadata?.seed,
  model: answer.metadata?.model,
  at: Number(answer.metadata?.generated_at?.seconds ?? 0),
  width: answer.metadata?.debug_info?.width,
});

const picture = await call("GenerateImage", { prompt: "a fox", settings: { width: 256, height: 128, seed: 5 } });
const refused = await call("GenerateImage", { prompt: "a fox", settings: { width: 5 } });
const variations = await streamed({ base_request: { prompt: "a fox", settings: { seed: 40 } }, num_variations: 3 });
const models = await call("GetImageModels", {});
console.log(
  JSON.stringify({
    picture: shown(picture),
    refused: shown(refused),
    variations: variations.map(shown),
    models: models.models.map((model) => model.id),
  }),
);
client.close();
