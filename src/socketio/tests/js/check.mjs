// Runs the npm client against `socketio-echo`, in all four transport settings and two namespaces.
//
//   npm ci --ignore-scripts && npm run check
//
// PROGRAM is the built example; by default it is looked for in the release folder of CARGO_TARGET_DIR or of the
// workspace. The program is started and stopped on a port of its own, once more to see clients reconnect.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";

const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../../../target", import.meta.url));
const program = process.env.PROGRAM ?? `${target}/release/examples/socketio-echo`;
const port = process.env.PORT ?? "3456";
const url = `http://localhost:${port}`;

const settings = {
  "websocket": { transports: ["websocket"] },
  "polling, then websocket": { transports: ["polling", "websocket"] },
  "websocket, then polling": { transports: ["websocket", "polling"], tryAllTransports: true },
  "polling": { transports: ["polling"] },
};

// A busy machine is not what is checked.
const times = { PING_INTERVAL: "300", PING_TIMEOUT: "5000" };

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function once(emitter, event) {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`no ${event} within 5 s`)), 5000);
    emitter.once(event, (...args) => {
      clearTimeout(timer);
      done(args);
    });
  });
}

async function start() {
  const server = spawn(program, { env: { ...process.env, ...times, PORT: port, ENGINE_ONLY: "0", WORKERS: "2" }, stdio: "inherit" });
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`${url}/socket.io/?EIO=4&transport=polling`).catch(() => null);
    if (answer?.ok) return server;
    assert(tries < 100, "the server does not answer");
    await sleep(50);
  }
}

async function stop(server, signal) {
  const exited = once(server, "exit");
  server.kill(signal);
  await exited;
}

function connect(namespace, setting, auth = {}) {
  return io(`${url}${namespace}`, { ...setting, auth, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
}

const checks = {
  async "connects with auth"(namespace, setting) {
    const socket = connect(namespace, setting, { token: "t", nested: { b: 1, a: 2 } });
    const auth = once(socket, "auth");
    await once(socket, "connect");
    assert.equal(socket.id.length, 20);
    assert.equal(JSON.stringify(await auth), '[{"token":"t","nested":{"b":1,"a":2}}]');
    return socket;
  },
  async "uses the transport"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    const wanted = setting.transports.includes("websocket") ? "websocket" : "polling";
    for (let tries = 0; socket.io.engine.transport.name !== wanted; tries += 1) {
      assert(tries < 100, `still ${socket.io.engine.transport.name}`);
      await sleep(20);
    }
    return socket;
  },
  async "gets messages back"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    socket.emit("message", 1, "2", { 3: [true] }, null, "ünï 😀");
    assert.deepEqual(await once(socket, "message-back"), [1, "2", { 3: [true] }, null, "ünï 😀"]);
    return socket;
  },
  async "gets bytes back"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    socket.emit("message", Buffer.from([1, 2, 3]), { in: [Buffer.from([4])] });
    const [first, second] = await once(socket, "message-back");
    assert.deepEqual([...first], [1, 2, 3]);
    assert.deepEqual([...second.in[0]], [4]);
    return socket;
  },
  async "gets acknowledgements"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    const ack = (...args) =>
      new Promise((done, fail) => {
        socket.timeout(5000).emit("message-with-ack", ...args, (error, ...got) => (error ? fail(error) : done(got)));
      });
    assert.deepEqual(await ack(), []);
    assert.deepEqual(await ack("a", { b: null }), ["a", { b: null }]);
    const [bytes] = await ack(Buffer.alloc(1000, 7));
    assert.deepEqual([...bytes], Array(1000).fill(7));
    assert.equal(await socket.timeout(5000).emitWithAck("message-with-ack", 5), 5);
    return socket;
  },
  async "gets a large payload back"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    const text = "x".repeat(600_000);
    socket.emit("message", text);
    assert((await once(socket, "message-back"))[0] === text);
    return socket;
  },
  async "keeps the order"(namespace, setting) {
    const socket = connect(namespace, setting);
    const got = [];
    socket.on("message-back", (number) => got.push(number));
    for (let number = 0; number < 500; number += 1) socket.emit("message", number);
    await once(socket, "connect");
    for (let number = 500; number < 1000; number += 1) socket.emit("message", number);
    await socket.timeout(5000).emitWithAck("message-with-ack");
    assert.deepEqual(got, [...Array(1000).keys()]);
    return socket;
  },
  async "outlives heartbeats"(namespace, setting) {
    const socket = connect(namespace, setting);
    await once(socket, "connect");
    let lost = null;
    socket.on("disconnect", (reason) => (lost = reason));
    await sleep(1500);
    assert.equal(lost, null);
    return socket;
  },
  async "is refused by an unknown namespace"(_, setting) {
    const socket = connect("/unknown", setting);
    const [error] = await once(socket, "connect_error");
    assert.equal(error.message, "Invalid namespace");
    return socket;
  },
  async "shares one connection"(namespace, setting) {
    const first = connect("/", setting);
    const second = first.io.socket("/custom").connect();
    await Promise.all([first, second].map((socket) => socket.connected || once(socket, "connect")));
    const echo = (socket) => socket.timeout(5000).emitWithAck("message-with-ack", socket.nsp);
    assert.deepEqual(await Promise.all([echo(first), echo(second)]), ["/", "/custom"]);
    first.disconnect();
    assert.equal(await echo(second), "/custom");
    first.connect();
    await once(first, "connect");
    assert.equal(await echo(first), "/");
    first.disconnect();
    return second;
  },
};

let [passed, failed] = [0, 0];
async function check(name, run) {
  try {
    (await run())?.disconnect();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.error(`FAILED ${name}: ${error.stack}`);
  }
}

let server = await start();
for (const [setting, options] of Object.entries(settings)) {
  for (const namespace of ["/", "/custom"]) {
    for (const [name, run] of Object.entries(checks)) {
      await check(`${setting}, ${namespace}: ${name}`, () => run(namespace, options));
    }
  }
}
for (const [name, signal] of [["a crash", "SIGKILL"], ["a graceful stop", "SIGTERM"]]) {
  const sockets = Object.values(settings).flatMap((options) => ["/", "/custom"].map((name) => connect(name, options)));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const ids = sockets.map((socket) => socket.id);
  const again = sockets.map((socket) => once(socket, "connect"));
  await stop(server, signal);
  server = await start();
  await check(`${sockets.length} sockets reconnect after ${name}`, async () => {
    await Promise.all(again);
    for (const [index, socket] of sockets.entries()) {
      assert.notEqual(socket.id, ids[index]);
      assert.equal(await socket.timeout(5000).emitWithAck("message-with-ack", index), index);
    }
    for (const socket of sockets) socket.disconnect();
  });
}
await stop(server, "SIGTERM");
console.log(`${passed} checks passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
