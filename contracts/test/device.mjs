// A device that the tests have records from: its key signs, the gateway at HEDGEROW_HTTP takes them in. The format is
// described in docs/records.md.

import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, randomBytes, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { concat, dataSlice, getAddress, getBytes, hexlify, keccak256, toUtf8Bytes } from "ethers";
import { provider } from "./support.mjs";

/** How long a record may take to become final, in milliseconds. */
const PATIENCE = 30_000;

/** What node:crypto wants in front of an Ed25519 seed. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** A variable that must be set. */
function setting(name, what) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be ${what}`);
  return value;
}

const url = setting("HEDGEROW_HTTP", "the URL of a gateway's HTTP").replace(/\/$/, "");
const keyFile = setting("HEDGEROW_KEY_FILE", "a file with a registered Ed25519 device's secret: 64 hexadecimal digits");

/** The network's number. */
export const network = BigInt(setting("HEDGEROW_NETWORK", "the network's number"));

const seed = Buffer.from(readFileSync(keyFile, "utf8").trim().replace(/^0x/, ""), "hex");
assert.equal(seed.length, 32, `${keyFile} has 64 hexadecimal digits`);
const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
const publicKey = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);

/** The device's identifier. */
export const device = getAddress(dataSlice(keccak256(concat(["0x00", publicKey])), 12));

/** Asks the gateway. */
function ask(path, init = {}) {
  return fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(PATIENCE) });
}

/** Asks the gateway for JSON, which must be there. */
export async function get(path) {
  const response = await ask(path);
  const text = await response.text();
  assert.equal(response.status, 200, `${path}: ${text}`);
  return JSON.parse(text);
}

/** The device's name. */
export const deviceName = (await get(`/devices/${device.toLowerCase()}`)).name;

/** A number as so many bytes, the lowest first. */
function number(value, size) {
  const bytes = Buffer.alloc(size);
  for (let index = 0, rest = BigInt(value); index < size; ++index, rest >>= 8n) bytes[index] = Number(rest & 0xffn);
  return bytes;
}

/** Bytes or a text, after their length. */
function blob(data) {
  const bytes = Buffer.from(data);
  return Buffer.concat([number(bytes.length, 4), bytes]);
}

/** A signed record. A reading is {sequence, time, contentType, payload}. */
export function signed(stream, readings) {
  const body = Buffer.concat([
    number(1, 1),
    number(network, 8),
    getBytes(device),
    blob(stream),
    number(readings.length, 4),
    ...readings.flatMap(({ sequence, time, contentType, payload }) => [
      number(sequence, 8),
      number(time, 8),
      blob(contentType),
      blob(payload),
    ]),
  ]);
  const message = Buffer.concat([Buffer.from("hedgerow/record/1\0"), body]);
  return Buffer.concat([blob(body), number(0, 1), sign(null, message, key)]);
}

/** Hands a signed record in, and waits until it is final: what the gateway answers then. */
export async function post(record) {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    const response = await ask("/records?wait=final", {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: record,
    });
    const text = await response.text();
    if (response.status === 200) return JSON.parse(text);
    // Not final yet, or no room: the same record may be sent as often as one likes.
    assert.ok([202, 429, 503].includes(response.status), `the record is taken: ${response.status} ${text}`);
    await sleep(200);
  }
  assert.fail(`a record is not final after ${PATIENCE} ms`);
}

/** Waits until the JSON-RPC shows a block. */
export async function seen(block) {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    if ((await provider.getBlockNumber()) >= block) return;
    await sleep(20);
  }
  assert.fail(`the JSON-RPC does not show block ${block} after ${PATIENCE} ms`);
}

/** A stream that no run has used before. */
export class Stream {
  constructor() {
    this.name = `test-${Date.now().toString(36)}-${randomBytes(6).toString("hex")}`;
    this.id = keccak256(concat([device, toUtf8Bytes(this.name)]));
    this.next = 0n;
  }

  /** A reading with the next number. */
  reading(payload, { time = BigInt(Date.now()), contentType = "application/json" } = {}) {
    return { sequence: this.next++, time: BigInt(time), contentType, payload: Buffer.from(payload) };
  }

  /**
   * Publishes readings in one record. The gateway's answer, with the record's hash and its readings as contracts see
   * them; `readings` are all of the record's, as if each were new.
   */
  async publish(...readings) {
    const record = signed(this.name, readings);
    const answer = await post(record);
    await seen(answer.block);
    const hash = keccak256(record);
    const { block_time_ms: time } = await this.shown(readings.at(-1).sequence);
    return {
      ...answer,
      record: hash,
      readings: readings.map((reading, index) => [
        reading.sequence,
        reading.time,
        reading.contentType,
        hexlify(reading.payload),
        BigInt(answer.position + index),
        BigInt(answer.block),
        BigInt(time),
        hash,
      ]),
    };
  }

  /** A reading as the gateway shows it. */
  shown(sequence) {
    return get(`/streams/${deviceName}/${this.name}/readings/${sequence}`);
  }

  /** The proof of a reading. */
  async proof(sequence) {
    const path = `/streams/${deviceName}/${this.name}/readings/${sequence}/proof`;
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      const response = await ask(path);
      if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
      const text = await response.text();
      assert.equal(response.status, 503, `${path}: ${text}`);
      await sleep(100);
    }
    assert.fail(`no proof after ${PATIENCE} ms`);
  }
}
