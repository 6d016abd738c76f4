"""The official Python client against the service: does what the arguments say, prints one JSON document."""

import asyncio
import json
import sys

from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

PATIENCE = 60
# The tools in the order in which they answered.
finished = []


def connection(where):
    """A URL, or the command of a server that speaks over standard input and output."""
    if isinstance(where, str):
        return where
    return stdio_client(StdioServerParameters(command=where[0], args=where[1:]))


async def describe(client):
    tools = (await client.list_tools()).tools
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema)
    resources = (await client.list_resources()).resources
    read = {}
    for resource in resources:
        content = (await client.read_resource(resource.uri)).contents[0]
        assert content.mime_type == "application/json", content
        read[str(resource.uri)] = json.loads(content.text)
    prompts = (await client.list_prompts()).prompts
    prompt = await client.get_prompt(prompts[0].name)
    return {
        "protocol": client.protocol_version,
        "server": client.server_info.name,
        "tools": {tool.name: tool.model_dump(mode="json", by_alias=True) for tool in tools},
        "resources": read,
        "prompts": [prompt.name for prompt in prompts],
        "prompt": prompt.messages[0].content.text,
    }


async def call(client, step, schemas):
    progress = []

    async def on_progress(done, total, message):
        progress.append({"done": done, "total": total, "message": message})

    result = await client.call_tool(
        step["tool"],
        step.get("arguments", {}),
        progress_callback=on_progress if step.get("progress") else None,
    )
    finished.append(step["tool"])
    text = json.loads(result.content[0].text)
    if not result.is_error:
        # The client has done so already; that it did is not to be taken on trust.
        Draft202012Validator(schemas[step["tool"]]).validate(result.structured_content)
        assert text == result.structured_content
    return {"error": result.is_error, "answer": text, "progress": progress}


async def main(task):
    where = connection(task["where"])
    async with Client(where, mode=task["mode"], read_timeout_seconds=PATIENCE) as client:
        told = await describe(client)
        schemas = {name: tool["outputSchema"] for name, tool in told["tools"].items()}
        told["calls"] = [await call(client, step, schemas) for step in task["calls"]]
        at_once = [call(client, step, schemas) for step in task.get("at_once", [])]
        told["at_once"] = await asyncio.gather(*at_once)
        told["finished"] = finished
        print(json.dumps(told))


def words(error):
    """What went wrong, whatever groups it comes in."""
    inner = getattr(error, "exceptions", None)
    return words(inner[0]) if inner else f"{error}"


try:
    asyncio.run(main(json.loads(sys.argv[1])))
except BaseException as error:
    print(json.dumps({"failed": words(error)}))
    raise
