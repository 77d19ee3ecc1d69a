"""A daemon's outline for the tests of the harness: ready, a socket, one subscription."""
import json, os, socket, sys

path = os.path.join(os.environ["XDG_RUNTIME_DIR"], "copex")
os.makedirs(path, exist_ok=True)
path = os.path.join(path, "copexd.sock")
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1\nSTATUS=up", os.environ["NOTIFY_SOCKET"])
print("stand-in is up", file=sys.stderr, flush=True)
while True:
    connection, _ = server.accept()
    stream = connection.makefile("rw")
    for line in stream:
        request = json.loads(line)
        replies = [{"jsonrpc": "2.0", "id": request["id"], "result": request["params"]}]
        if request["method"] == "bad":
            replies = [{"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601}}]
        if request["method"] == "run.watch":
            event = lambda n, kind: {"jsonrpc": "2.0", "method": "run.watched", "params": {
                "subscription": 7, "result": {"seq": n, "type": kind}}}
            replies = [event(1, "accepted"), {"jsonrpc": "2.0", "id": request["id"], "result": 7},
                       event(2, "message"), event(3, "done")]
        for reply in replies:
            stream.write(json.dumps(reply) + "\n")
            stream.flush()
