"""WaveSpeedAI's MCP server, used by a real MCP client; run as `SCRIPT URL KEY PICTURE`."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

MODEL = "bytedance/uso"
QUICK = {"model": MODEL, "prompt": "Make it look like winter, with a lot of snow"}


async def main(url: str, key: str, picture: str) -> None:
    for mode in ("url", "base64", "local"):
        folder = str(Path(picture).parent / "out")
        server = StdioServerParameters(
            command=sys.executable,
            args=["-c", "from wavespeed_mcp.server import mcp; mcp.run()"],
            env={
                **os.environ,
                "WAVESPEED_API_KEY": key,
                "WAVESPEED_API_HOST": url,
                "WAVESPEED_API_RESOURCE_MODE": mode,
                "WAVESPEED_MCP_BASE_PATH": folder,
            },
        )
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            await uses(session, mode, picture, folder)
        print("ok", mode)


async def uses(session: ClientSession, mode: str, picture: str, folder: str) -> None:
    async def call(tool: str, **given: Any) -> Any:
        if mode == "local":
            given["output_directory"] = folder
        answer = await session.call_tool(tool, {**QUICK, **given})
        return json.loads(answer.content[0].text)

    result = await call("image_to_image", image=picture, images=[])
    assert result["status"] == "success", result
    assert result["model"] == MODEL
    assert len(result["urls"]) == 1, result
    if mode == "base64":
        (inline,) = result["base64"]
        assert inline["mime_type"] == "image/png", inline["mime_type"]
        assert base64.b64decode(inline["data"]).startswith(b"\x89PNG")
    if mode == "local":
        (file,) = result["local_files"]
        assert Path(file["path"]).read_bytes().startswith(b"\x89PNG")
    if mode == "url":
        both = await call("image_to_image", image="", images=[picture, picture])
        assert both["status"] == "success", both
        refused = await call("text_to_image", size="32*32")  # it cannot send a style
        assert "reference_images: give 1 to 4" in refused["error"], refused


asyncio.run(main(*sys.argv[1:]))
