// The official TypeScript client against the service: does what the arguments say, prints one JSON document.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// The packages lie elsewhere than this file.
const require = createRequire(`${process.env.PEERS}/`);
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { AjvJsonSchemaValidator } = require("@modelcontextprotocol/sdk/validation/ajv");

const PATIENCE = 60_000;
// The tools in the order in which they answered.
const finished = [];

// A URL, or the command of a server that speaks over standard input and output.
function connection(where) {
  if (typeof where === "string") {
    return new StreamableHTTPClientTransport(new URL(where));
  }
  return new StdioClientTransport({ command: where[0], args: where.slice(1), stderr: "inherit" });
}

async function describe(client) {
  const { tools } = await client.listTools();
  const { resources } = await client.listResources();
  const read = {};
  for (const { uri } of resources) {
    const { contents } = await client.readResource({ uri });
    assert.equal(contents[0].mimeType, "application/json");
    read[uri] = JSON.parse(contents[0].text);
  }
  const { prompts } = await client.listPrompts();
  const prompt = await client.getPrompt({ name: prompts[0].name });
  return {
    protocol: client.transport.protocolVersion ?? null,
    server: client.getServerVersion().name,
    tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])),
    resources: read,
    prompts: prompts.map(({ name }) => name),
    prompt: prompt.messages[0].content.text,
  };
}

async function call(client, step, tools) {
  const progress = [];
  const onprogress = ({ progress: done, total, message }) => progress.push({ done, total, message });
  const parameters = { name: step.tool, arguments: step.arguments ?? {} };
  const options = { timeout: PATIENCE, ...(step.progress ? { onprogress } : {}) };
  const result = await client.callTool(parameters, undefined, options);
  finished.push(step.tool);
  const answer = JSON.parse(result.content[0].text);
  if (!result.isError) {
    // The client has done so already; that it did is not to be taken on trust.
    const validate = new AjvJsonSchemaValidator().getValidator(tools[step.tool].outputSchema);
    const { valid, errorMessage } = validate(result.structuredContent);
    assert(valid, errorMessage);
    assert.deepEqual(answer, result.structuredContent);
  }
  return { error: Boolean(result.isError), answer, progress };
}

async function main(task) {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(connection(task.where));
  const told = await describe(client);
  told.calls = [];
  for (const step of task.calls) {
    told.calls.push(await call(client, step, told.tools));
  }
  told.at_once = await Promise.all((task.at_once ?? []).map((step) => call(client, step, told.tools)));
  console.log(JSON.stringify({ ...told, finished }));
  await client.close();
}

try {
  await main(JSON.parse(process.argv[2]));
} catch (error) {
  console.log(JSON.stringify({ failed: error.message }));
  throw error;
}
