// The TypeScript SDK's client against `/mcp` at the address in the first argument; prints what it saw as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const client = new Client({ name: "typescript", version: "1.0.0" });
const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
await client.connect(transport);
const { tools } = await client.listTools();
const progress = [];
const order = { prompt: "a red fox", model: "oil" };
const asked = await client.callTool({ name: "generate", arguments: order });
const drawn = await client.callTool(
  {
    name: "generate",
    arguments: { ...order, confirm: true, quote: asked.structuredContent.quote.quote },
  },
  undefined,
  { onprogress: (step) => progress.push(step.progress) },
);
const link = drawn.content.find((block) => block.type === "resource_link");
const read = await client.readResource({ uri: link.uri });
const wrong = await client.callTool({ name: "generate", arguments: {} });
console.log(
  JSON.stringify({
    server: client.getServerVersion().name,
    tools: tools.map((tool) => tool.name),
    asked: asked.structuredContent.status,
    drawn: drawn.structuredContent.status,
    spent: drawn.structuredContent.session.spent_usd,
    blocks: drawn.content.map((block) => block.type),
    progress: progress.length > 0,
    type: read.contents[0].mimeType,
    begins: Buffer.from(read.contents[0].blob, "base64").subarray(1, 4).toString(),
    wrong: wrong.isError,
  }),
);
await transport.terminateSession();
await client.close();
