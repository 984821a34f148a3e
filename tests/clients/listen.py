"""Follows a job with httpx-sse, and prints an event a line: its id, its type and its data.

    python listen.py ADDRESS TOKEN

The library leaves it to its user to come again after a stream has ended, with the last event's id.
"""

import json
import sys
import time

import httpx
from httpx_sse import connect_sse

address, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}"}
pause = 0.0
opened = 0
with httpx.Client(timeout=60) as client:
    while True:
        with connect_sse(client, "GET", address, headers=headers) as source:
            if source.response.status_code == 204:
                break
            source.response.raise_for_status()
            opened += 1
            for event in source.iter_sse():
                if event.retry is not None:
                    pause = event.retry / 1000
                if event.data:
                    headers["Last-Event-ID"] = event.id
                    data = json.loads(event.data)
                    # At once: whoever started this waits for the first line.
                    print(json.dumps({"id": event.id, "type": event.event, "data": data}), flush=True)
        time.sleep(pause)
print(f"opened {opened} times", file=sys.stderr)
