"""Submits an article over a WebSocket and follows its job with `websockets`, and prints an event a line.

    python connect.py ADDRESS TOKEN PROJECT
"""

import asyncio
import json
import sys

import websockets

address, token, project = sys.argv[1:]


async def main():
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(address, additional_headers=headers) as socket:
        message = {
            "type": "submit",
            "requestId": "1",
            "projectId": project,
            "article": {"text": "The bridge opens."},
            "follow": True,
        }
        await socket.send(json.dumps(message))
        async for text in socket:
            message = json.loads(text)
            if message["type"] != "events":
                assert message["type"] == "submitted", message
                continue
            for event in message["items"]:
                print(json.dumps(event))
            if message["items"][-1]["type"] in ("job.succeeded", "job.failed", "job.cancelled"):
                return


asyncio.run(main())
