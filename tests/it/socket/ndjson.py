# A client in Python's standard library: starts a run, prints its answer.
import json
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
call = {"jsonrpc": "2.0", "id": 1, "method": "run.start", "params": {"request": json.load(sys.stdin)}}
connection.sendall(json.dumps(call).encode() + b"\n")
frames = (json.loads(line) for line in connection.makefile("rb"))
subscription = next(frames)["result"]
expected = 1
text = ""
for frame in frames:
    assert frame["params"]["subscription"] == subscription, frame
    event = frame["params"]["result"]
    assert event["seq"] == expected, event
    expected += 1
    if event["type"] == "message_delta":
        text += event["text"]
    if event["type"] in ("done", "failed", "blocked", "exhausted", "cancelled"):
        assert event["type"] == "done", event
        assert event["content"] == text, (event, text)
        print(text)
        break
