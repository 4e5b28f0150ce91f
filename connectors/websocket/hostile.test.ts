/** Servers that break RFC 6455, flood, or fall silent; and what is read and written by our own code, on random input. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { attemptOf, eventually, outgoing, startOutlet, startSource, toldBy } from "../testing/rig.ts";
import { rawFrame, rawServer } from "../testing/websocket-server.ts";
import { FrameTemplate, isUsable, stepsOf, textsAt } from "./frames.ts";
import { websocketOutlet } from "./outlet.ts";
import { websocketSource } from "./source.ts";

const fin = 0x80;
const [continuation, text, binary, close, ping, pong] = [0, 1, 2, 8, 9, 10];

describe("websocket: hostile servers", { timeout: 60_000 }, () => {
  for (const [what, bytes, code] of [
    ["a frame that claims eight exabytes", Buffer.from([fin | text, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]), "PROTOCOL"],
    ["a frame over the limit", Buffer.from([fin | text, 127, 0, 0, 0, 0, 0, 16, 0, 1]), "LIMIT"],
    ["invalid UTF-8", rawFrame(fin | text, Buffer.from([0xc3, 0x28])), "PROTOCOL"],
    ["a masked frame", Buffer.from([fin | text, 0x81, 1, 2, 3, 4, 5]), "PROTOCOL"],
    ["an opcode that is not there", rawFrame(fin | 3, Buffer.alloc(0)), "PROTOCOL"],
    ["a reserved bit", rawFrame(fin | 0x40 | text, Buffer.from("x")), "PROTOCOL"],
    ["a continuation of nothing", rawFrame(fin | continuation, Buffer.from("x")), "PROTOCOL"],
    ["a long ping", rawFrame(fin | ping, Buffer.alloc(126)), "PROTOCOL"],
    ["a close code that is not there", rawFrame(fin | close, Buffer.from([3, 0])), "PROTOCOL"],
    ["a close frame without a reason", rawFrame(fin | close, Buffer.alloc(0)), "CLOSED"],
    ["no close frame at all", undefined, "UNREACHABLE"],
  ] as const)
    test(`${what}: MF_WEBSOCKET_${code}`, async () => {
      const url = await rawServer((socket) => void (bytes === undefined ? socket.end() : socket.write(bytes)));
      await toldBy(websocketSource, { url }, `MF_WEBSOCKET_${code}`);
    });

  test("fragments without an end are ended by their number, and by their bytes", async () => {
    for (const [count, size] of [
      [4_097, 0],
      [1_100, 1_000],
    ] as const) {
      const pieces = Array.from({ length: count }, () => rawFrame(continuation, Buffer.alloc(size, "a")));
      const url = await rawServer((socket) => void socket.write(Buffer.concat([rawFrame(text, Buffer.alloc(0)), ...pieces])));
      await toldBy(websocketSource, { url }, "MF_WEBSOCKET_LIMIT");
    }
  });

  test("a message that decompresses to more than the limit ends the connection", async () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 2 ** 20), { finishFlush: 2 }).subarray(0, -4);
    const extension = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";
    const url = await rawServer((socket) => void socket.write(rawFrame(fin | 0x40 | text, bomb)), extension);
    await toldBy(websocketSource, { url, compression: true }, "MF_WEBSOCKET_LIMIT");
    await toldBy(websocketSource, { url }, "MF_WEBSOCKET_PROTOCOL"); // an extension that was not offered
  });

  test("a flood of pings whose pongs are not read ends the connection, and holds no memory", async () => {
    let written = 0;
    const flood = Buffer.concat(Array.from({ length: 1_000 }, () => rawFrame(fin | ping, Buffer.alloc(125))));
    const url = await rawServer((socket) => {
      socket.pause();
      const more = (): void => {
        while (!socket.destroyed && socket.write(flood)) written += flood.length;
      };
      socket.on("drain", more);
      more();
    });
    const { source, context } = await startSource(websocketSource, { url });
    await eventually("it is lost", () => source.health().detail.startsWith("MF_WEBSOCKET_UNREACHABLE: "));
    assert.ok(context.lines.some(({ text: line }) => line === "connected"));
    assert.ok(written > 0);
    await source.stop();
  });

  test("a server that answers no ping is lost; pongs that nobody asked for prove nothing", async () => {
    const silent = await rawServer((socket) => void socket.resume());
    const { source } = await startSource(websocketSource, { url: silent, heartbeat: "200ms" });
    await eventually("it is lost", () => /^MF_WEBSOCKET_UNREACHABLE: .*does not answer pings/.test(source.health().detail));
    await source.stop();
    const liar = await rawServer((socket) => {
      for (const said of ["", "0", "2", "1e0x", "-1", "99"]) socket.write(rawFrame(fin | pong, Buffer.from(said)));
      socket.on("data", () => void socket.write(rawFrame(fin | pong, Buffer.from("99"))));
    });
    const { outlet } = await startOutlet(websocketOutlet, { url: liar, heartbeat: "1m" });
    await assert.rejects(outlet.send(outgoing("x"), attemptOf(undefined, 300)), { code: "MF_OUTLET_TIMEOUT" });
    await outlet.stop();
  });

  test("frames that come together with the handshake are messages", async () => {
    const frames = Buffer.concat([rawFrame(fin | text, Buffer.from("1")), rawFrame(fin | binary, Buffer.from("2"))]);
    const url = await rawServer((socket) => {
      socket.write(frames);
      socket.on("data", () => {});
    });
    const { source, gateway } = await startSource(websocketSource, { url });
    await eventually("both came", () => gateway.received.length === 2);
    assert.deepEqual(gateway.texts(), ["1", "2"]);
    await source.stop();
  });
});

describe("websocket: frames", () => {
  test("an id changes nothing of a frame but its place, whatever it is", () => {
    const anyId = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constantFrom('"', "\\", "{lastId}", "$&", "$1", "\u2028"));
    fc.assert(
      fc.property(anyId, (id) => {
        const frame = new FrameTemplate({ after: "x{lastId}y", "{lastId}": 1, other: 9 }, "lastId");
        assert.ok(frame.fits(id));
        assert.deepEqual(JSON.parse(frame.fill(id)), Object.fromEntries([["after", `x${id}y`], [id, 1], ["other", 9]])); // biome-ignore format: one line
        const plain = new FrameTemplate("SUBSCRIBE after={lastId};\n", "lastId");
        if (plain.fits(id)) assert.match(plain.fill(id), /^SUBSCRIBE after=[^;\s]*;\n$/);
      }),
    );
    const fixed = new FrameTemplate("  { }", "lastId");
    assert.deepEqual([fixed.hasPlace, fixed.fits("\n"), fixed.fill("x")], [false, true, "  { }"]);
  });

  test("ids are read as JSON.parse and a walk along the pointer give them; damaged bodies have none", () => {
    const key = fc.constantFrom("a", "b~", "c/", "");
    fc.assert(
      fc.property(fc.json(), key, key, (body, first, second) => {
        const pointer = `json:/${[first, second].map((step) => step.replace(/~/g, "~0").replace(/\//g, "~1")).join("/")}`;
        assert.deepEqual(stepsOf(pointer), [first, second]);
        const value = { [first]: { [second]: "wanted" }, other: JSON.parse(body) as unknown };
        assert.deepEqual(textsAt(Buffer.from(JSON.stringify(value)), [stepsOf(pointer)]), ["wanted"]);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => textsAt(bytes, [["a"]]).length === 1));
    assert.deepEqual([isUsable("a b"), isUsable(""), isUsable("\u0000"), isUsable("\udc00"), isUsable("a".repeat(1_025))], [true, false, false, false, false]); // biome-ignore format: one line
  });
});
