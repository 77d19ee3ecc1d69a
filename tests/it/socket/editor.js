// A client on the library that VS Code speaks with: Content-Length framing.
const fs = require('fs');
const net = require('net');
const rpc = require('vscode-jsonrpc/node');

const socket = net.connect(process.argv[1]);
const connection = rpc.createMessageConnection(
    new rpc.SocketMessageReader(socket), new rpc.SocketMessageWriter(socket));
const ends = ['done', 'failed', 'blocked', 'exhausted', 'cancelled'];

async function main() {
    const events = [];
    let finish;
    const finished = new Promise((resolve) => { finish = resolve; });
    connection.onNotification('run.event', ({ result }) => {
        events.push(result);
        if (ends.includes(result.type)) finish(result);
    });
    connection.listen();
    const hello = await connection.sendRequest('hello', {
        client: { name: 'editor', version: '0', protocol: 1 },
    });
    const request = JSON.parse(fs.readFileSync(0, 'utf8'));
    await connection.sendRequest('run.start', { request });
    const last = await finished;
    const refused = await connection.sendRequest('no.such', {}).catch((error) => error.code);

    // The library cancels a call with a notification.
    let source = new rpc.CancellationTokenSource();
    const { run } = await connection.sendRequest('run.submit', {
        request: { ...request, prompt: 'wait' },
    });
    let after = 0;
    let cancelled;
    // The model does not answer: soon there is no next event, and a poll waits.
    while (cancelled === undefined) {
        const poll = { run, after, wait_ms: 60000 };
        const waiting = connection.sendRequest('run.events', poll, source.token);
        source.cancel();
        try {
            after = (await waiting).next_after;
            source = new rpc.CancellationTokenSource();
        } catch (error) {
            cancelled = error.code;
        }
    }
    process.stdout.write(JSON.stringify({
        protocol: hello.protocol,
        types: events.map((event) => event.type),
        content: last.content,
        refused,
        cancelled,
    }));
    connection.dispose();
    socket.destroy();
}

main().catch((error) => { console.error(error); process.exit(1); });
