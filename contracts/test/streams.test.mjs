import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AbiCoder, Contract, ZeroAddress, ZeroHash, hexlify, id, keccak256, parseEther } from "ethers";
import { Stream, device, deviceName, get, network } from "./device.mjs";
import { LIMIT, accounts, artifact, deploy, events, provider, receiptOf, refused, send } from "./support.mjs";

const [ann, bob] = accounts;
const STREAMS = "0x0000000000000000000000000000000000004847";
const READING = "(uint64,uint64,string,bytes,uint64,uint64,uint64,bytes32)";
const MODE = { count: 0, revert: 1, revertLong: 2, loop: 3, invalid: 4 };
const MOST_GAS = 16_777_216n;
const GAS = 400_000n;
const PREPAID = 4_000_000n;
const streams = new Contract(STREAMS, artifact("streams/IStreams").abi, ann);
const coder = AbiCoder.defaultAbiCoder();

/** A result as plain lists. */
const plain = (result) => result.toArray(true);

/** A probe, subscribed to a stream if one is given. */
async function probeOf(stream, { gas = GAS, prepaid = PREPAID, mode = MODE.count } = {}) {
  const probe = await deploy("mocks/StreamProbe", ann);
  if (mode !== MODE.count) await send(probe, "behave", [mode]);
  if (stream) await send(probe, "subscribe", [stream.id, gas, prepaid]);
  return probe;
}

/** A log of the streams or of a probe, as [address, name, ...arguments]. */
function parsed(log, probe) {
  const { name, args } = (log.address === STREAMS ? streams : probe).interface.parseLog(log);
  return [log.address, name, ...plain(args)];
}

/** What a record's callbacks logged: all logs of its transaction, in order; none when it called nobody. */
async function logsOf(stream, { block }) {
  const range = { fromBlock: block, toBlock: block };
  const topics = streams.interface.encodeFilterTopics("Recorded", [stream.id]);
  const [first] = await provider.getLogs({ ...range, address: STREAMS, topics });
  if (!first) return [];
  return (await provider.getLogs(range)).filter(({ transactionHash }) => transactionHash === first.transactionHash);
}

/** The same, parsed. */
async function toldOf(stream, published, probe) {
  return (await logsOf(stream, published)).map((log) => parsed(log, probe));
}

/** The reason in a {Failed} of a probe. */
function reasonOf(told, probe) {
  const failed = told.find(([, name, , who]) => name === "Failed" && who === probe.target);
  assert.ok(failed, "the callback failed");
  return failed[5];
}

/** The gas that is left of a subscription. */
async function gasLeft(stream, subscriber) {
  return (await streams.subscription(stream.id, subscriber))[1];
}

/** What a probe's call of the streams came to: what it returned, or the error's name and arguments. */
async function outcome(probe, how, ...args) {
  const [success, answer] = await probe.getFunction(how).staticCall(...args);
  if (success) return answer;
  const error = streams.interface.parseError(answer);
  return [error.name, ...plain(error.args)];
}

const encode = (name, ...args) => streams.interface.encodeFunctionData(name, args);

test("there is code at the streams' address, or Solidity would not call it", LIMIT, async () => {
  assert.notEqual(await provider.getCode(STREAMS), "0x");
});

test("streams are found by their names", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  for (const contract of [streams, probe]) {
    assert.equal(await contract.find(deviceName, stream.name), stream.id);
    assert.equal(await contract.idOf(device, stream.name), stream.id);
    assert.equal(await contract.idOf(ZeroAddress, "a"), keccak256(`0x${"00".repeat(20)}61`));
  }
  await refused(streams, "find", ["no-such-device", "a"], ["UnknownDevice", "no-such-device"]);
  await refused(probe, "find", ["no-such-device", "a"], ["UnknownDevice", "no-such-device"], { errors: streams });
  for (const name of ["", "A", "-a", ".a", "_a", "a b", "a/b", "ü", "a\0", "a".repeat(65), "a".repeat(1000)]) {
    await refused(streams, "find", [name, "a"], ["BadName", name]);
    await refused(streams, "find", [deviceName, name], ["BadName", name]);
    await refused(streams, "idOf", [device, name], ["BadName", name]);
  }
  for (const name of ["a", "0", "a.b_c-d", "a".repeat(64)]) await streams.idOf(device, name);
});

test("a stream without readings", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  for (const contract of [streams, probe]) {
    assert.equal(await contract.length(stream.id), 0n);
    assert.equal(await contract.ownerOf(stream.id), ZeroAddress);
    assert.equal(await contract.length(ZeroHash), 0n);
    for (const [name, ...args] of [["latest"], ["reading", 0n]]) {
      await refused(contract, name, [stream.id, ...args], ["UnknownStream", stream.id], { errors: streams });
    }
    assert.deepEqual(plain(await contract.range(stream.id, 0n, 10n)), []);
  }
});

test("readings are read as the device sent them", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  const first = await stream.publish(
    stream.reading('{"t":21.5}'),
    stream.reading("", { contentType: "", time: 0 }),
    stream.reading("-12.50", { contentType: "text/plain", time: 2n ** 64n - 1n }),
  );
  stream.next = 1000n;
  const long = { contentType: "a/".padEnd(64, "b") };
  const second = await stream.publish(stream.reading(new Uint8Array(1000).fill(0xff), long));
  stream.next = 500n;
  const third = await stream.publish(stream.reading(Uint8Array.from({ length: 33 }, (_, index) => index)));
  const [a, b, c] = first.readings;
  const [d] = second.readings;
  const [e] = third.readings;
  assert.deepEqual([a, b, c, d, e].map((reading) => reading[4]), [0n, 1n, 2n, 3n, 4n]);
  for (const contract of [streams, probe]) {
    assert.equal(await contract.length(stream.id), 5n);
    assert.equal(await contract.ownerOf(stream.id), device);
    for (const reading of [a, b, c, d, e]) {
      assert.deepEqual(plain(await contract.reading(stream.id, reading[0])), reading);
    }
    // The greatest number, not the last that came.
    assert.deepEqual(plain(await contract.latest(stream.id)), d);
    for (const [from, limit, expected] of [
      [0n, 0n, []],
      [0n, 1n, [a]],
      [0n, 256n, [a, b, c, e, d]],
      [0n, 2n ** 64n - 1n, [a, b, c, e, d]],
      [1n, 2n, [b, c]],
      [3n, 1n, [e]],
      [500n, 9n, [e, d]],
      [501n, 9n, [d]],
      [1001n, 9n, []],
      [2n ** 64n - 1n, 1n, []],
    ]) {
      assert.deepEqual(plain(await contract.range(stream.id, from, limit)), expected, `${limit} from ${from}`);
    }
    for (const sequence of [3n, 999n, 1001n, 2n ** 64n - 1n]) {
      const expected = ["UnknownReading", stream.id, sequence];
      await refused(contract, "reading", [stream.id, sequence], expected, { errors: streams });
    }
  }
  assert.equal((await provider.getBlock(first.block)).timestamp, Number(a[6] / 1000n));
});

test("a range ends with 256 readings, or 128 KiB of payloads", LIMIT, async () => {
  const many = new Stream();
  const { readings } = await many.publish(...Array.from({ length: 300 }, (_, index) => many.reading(`${index}`)));
  assert.deepEqual(plain(await streams.range(many.id, 0n, 300n)), readings.slice(0, 256));
  assert.deepEqual(plain(await streams.range(many.id, 256n, 300n)), readings.slice(256));
  assert.deepEqual(plain(await (await probeOf()).range(many.id, 10n, 200n)), readings.slice(10, 210));
  const big = new Stream();
  const payload = new Uint8Array(60 * 1024).fill(7);
  const published = await big.publish(...[0, 1, 2].map(() => big.reading(payload)));
  assert.deepEqual(plain(await streams.range(big.id, 0n, 3n)), published.readings.slice(0, 2));
  assert.deepEqual(plain(await streams.range(big.id, 2n, 3n)), published.readings.slice(2));
});

test("proofs of this network are checked, and of others where that network is given", LIMIT, async (t) => {
  const stream = new Stream();
  const probe = await probeOf();
  const { readings } = await stream.publish(stream.reading('{"t":21.5}'), stream.reading("x"));
  const proof = await stream.proof(1n);
  const expected = [stream.id, device, readings[1]];
  const wrong = [];
  for (const place of [0, 8, 100, proof.length >> 1, proof.length - 1]) {
    const changed = proof.slice();
    changed[place] ^= 1;
    wrong.push(changed);
  }
  wrong.push(new Uint8Array(), proof.slice(0, -1), Uint8Array.of(...proof, 0));
  const isInvalid = async (contract, name, ...args) => {
    await assert.rejects(contract.getFunction(name).staticCall(...args), ({ data }) => {
      const { name: error, args: [reason] } = streams.interface.parseError(data);
      assert.equal(error, "InvalidProof");
      assert.notEqual(reason, "");
      return true;
    });
  };
  const genesis = await provider.getBlock(0);
  const file = process.env.HEDGEROW_GENESIS;
  const validators = file && JSON.parse(readFileSync(file, "utf8")).validators;
  const keys = validators?.map(({ key }) => `0x${key.replace(/^0x/, "")}`);
  if (!keys) t.diagnostic("HEDGEROW_GENESIS is not set: proofs are checked against this network only");
  for (const contract of [streams, probe]) {
    assert.deepEqual(plain(await contract.verify(proof)), expected);
    for (const bytes of wrong) await isInvalid(contract, "verify", bytes);
    const nobody = [network, genesis.hash, []];
    await isInvalid(contract, "verifyFrom", nobody, proof);
    if (!keys) continue;
    const trusted = [network, genesis.hash, keys];
    assert.deepEqual(plain(await contract.verifyFrom(trusted, proof)), expected);
    for (const bytes of wrong) await isInvalid(contract, "verifyFrom", trusted, bytes);
    for (const other of [
      [network, id("another"), keys],
      [network, genesis.hash, keys.map(() => id("another"))],
      [network, genesis.hash, Array(200).fill(keys[0])],
    ]) {
      await isInvalid(contract, "verifyFrom", other, proof);
    }
  }
  // In a transaction, too.
  const receipt = await receiptOf(
    await ann.sendTransaction({ to: STREAMS, data: encode("verify", proof), gasLimit: 10_000_000n }),
  );
  assert.equal(receipt.status, 1);
});

test("a subscription begins, can be read, and ends", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  const begun = await send(probe, "subscribe", [stream.id, GAS, PREPAID]);
  assert.deepEqual(events(begun, streams), [["Subscribed", stream.id, probe.target, GAS, PREPAID]]);
  for (const contract of [streams, probe]) {
    assert.deepEqual(plain(await contract.subscription(stream.id, probe.target)), [GAS, PREPAID]);
  }
  const again = ["AlreadySubscribed", stream.id, probe.target];
  await refused(probe, "subscribe", [stream.id, GAS, PREPAID], again, { errors: streams });
  const funded = await send(streams.connect(bob), "fund", [stream.id, probe.target, 5n]);
  assert.deepEqual(events(funded, streams), [["Funded", stream.id, probe.target, 5n]]);
  await send(probe, "fund", [stream.id, probe.target, 7n]);
  assert.equal(await gasLeft(stream, probe.target), PREPAID + 12n);
  const ended = await send(probe, "unsubscribe", [stream.id]);
  assert.deepEqual(events(ended, streams), [["Unsubscribed", stream.id, probe.target, PREPAID + 12n]]);
  const none = ["NotSubscribed", stream.id, probe.target];
  await refused(probe, "unsubscribe", [stream.id], none, { errors: streams });
  await refused(streams, "fund", [stream.id, probe.target, 5n], none);
  await refused(streams, "unsubscribe", [stream.id], ["NotSubscribed", stream.id, ann.address]);
  // It may begin again.
  await send(probe, "subscribe", [stream.id, GAS, GAS]);
  assert.equal(await gasLeft(stream, probe.target), GAS);
});

test("gas has its bounds, and costs nothing here", LIMIT, async () => {
  const stream = new Stream();
  for (const [gas, prepaid] of [
    [0n, 0n],
    [20_999n, PREPAID],
    [MOST_GAS + 1n, 2n ** 47n],
    [2n ** 64n - 1n, 2n ** 64n - 1n],
    [GAS, GAS - 1n],
    [GAS, 0n],
    [GAS, 2n ** 48n],
  ]) {
    await refused(streams, "subscribe", [stream.id, gas, prepaid], ["BadGas", gas, prepaid]);
  }
  await refused(streams, "subscribe", [stream.id, GAS, PREPAID], ["WrongValue", 1n, 0n], { value: 1n });
  const probe = await probeOf(stream, { gas: 21_000n, prepaid: 2n ** 48n - 1n });
  await refused(streams, "fund", [stream.id, probe.target, 5n], ["WrongValue", 9n, 0n], { value: 9n });
  await assert.rejects(streams.fund.staticCall(stream.id, probe.target, 1n), ({ data }) => {
    assert.equal(streams.interface.parseError(data).name, "BadGas");
    return true;
  });
  // All subscribers of a stream together.
  const rest = MOST_GAS - 21_000n;
  await refused(streams, "subscribe", [stream.id, rest + 1n, 2n ** 40n], ["BadGas", rest + 1n, 2n ** 40n]);
  await probeOf(stream, { gas: rest, prepaid: rest });
});

test("a stream has 16 subscribers", LIMIT, async () => {
  const stream = new Stream();
  const probes = [];
  for (let index = 0; index < 16; ++index) probes.push(await probeOf(stream, { gas: 300_000n }));
  await refused(streams, "subscribe", [stream.id, GAS, PREPAID], ["TooManySubscribers", stream.id]);
  await stream.publish(stream.reading("1"));
  assert.deepEqual(await Promise.all(probes.map((probe) => probe.records())), Array(16).fill(1n));
  await send(probes[3], "unsubscribe", [stream.id]);
  await probeOf(stream);
});

test("a subscriber gets each record, in its block, from the ledger", LIMIT, async () => {
  const stream = new Stream();
  const before = await stream.publish(stream.reading("0"));
  assert.deepEqual(await logsOf(stream, before), [], "nobody had subscribed");
  const probe = await probeOf(stream);
  let left = PREPAID;
  for (const payloads of [['{"t":21.5}'], ["", "x", "y".repeat(100)]]) {
    const published = await stream.publish(...payloads.map((payload) => stream.reading(payload)));
    const [recorded, got, ...more] = await toldOf(stream, published, probe);
    const count = BigInt(payloads.length);
    assert.deepEqual(recorded, [STREAMS, "Recorded", stream.id, device, BigInt(published.position), count]);
    assert.deepEqual(more, []);
    const { timestamp } = await provider.getBlock(published.block);
    assert.deepEqual(got.slice(0, 8), [
      probe.target, "Got", stream.id, published.readings, STREAMS, 0n, BigInt(published.block), BigInt(timestamp),
    ]);
    assert.ok(got[8] > 0n && got[8] < GAS - 21_000n, `${got[8]} gas was left`);
    const encoded = coder.encode(["bytes32", `${READING}[]`], [stream.id, published.readings]);
    assert.equal(await probe.lastHash(), keccak256(encoded));
    const used = left - (await gasLeft(stream, probe.target));
    assert.ok(used > 21_000n && used <= GAS, `${used} gas was used`);
    left -= used;
  }
  assert.equal(await probe.records(), 2n);
  assert.equal(await probe.readingCount(), 4n);
  await send(probe, "unsubscribe", [stream.id]);
  assert.deepEqual(await logsOf(stream, await stream.publish(stream.reading("9"))), []);
  assert.equal(await probe.records(), 2n);
});

test("the logs of callbacks are in a receipt of the record", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf(stream);
  const published = await stream.publish(stream.reading("1"));
  const logs = await logsOf(stream, published);
  assert.equal(logs.length, 2);
  const [{ transactionHash }] = logs;
  const receipt = await provider.send("eth_getTransactionReceipt", [transactionHash]);
  assert.equal(receipt.type, "0x71");
  assert.equal(receipt.status, "0x1");
  assert.equal(receipt.from, device.toLowerCase());
  assert.equal(receipt.to, STREAMS);
  assert.equal(BigInt(receipt.blockNumber), BigInt(published.block));
  assert.equal(receipt.transactionHash, transactionHash);
  assert.deepEqual(
    receipt.logs.map(({ address, topics, data, logIndex }) => [address, topics, data, Number(logIndex)]),
    logs.map(({ address, topics, data, index }) => [address.toLowerCase(), [...topics], data, index]),
  );
  for (const { blockHash, blockNumber } of [receipt, ...receipt.logs]) {
    assert.equal(blockHash, logs[0].blockHash);
    assert.equal(BigInt(blockNumber), BigInt(published.block));
  }
  const { hash, logsBloom } = await provider.send("eth_getBlockByNumber", [receipt.blockNumber, false]);
  assert.equal(hash, receipt.blockHash);
  assert.notEqual(BigInt(logsBloom), 0n);
  // ethers and its like find the logs by the block's hash and by topics, too.
  const byHash = await provider.getLogs({ blockHash: hash, address: probe.target });
  assert.deepEqual(byHash.map(({ index }) => index), [logs[1].index]);
  const byTopic = await streams.queryFilter(streams.filters.Recorded(stream.id), published.block, published.block);
  assert.deepEqual(byTopic.map(({ index }) => index), [logs[0].index]);
  // A record that called nobody has logged nothing.
  assert.deepEqual(await logsOf(new Stream(), published), []);
});

test("several subscribers are called, and one that fails leaves the record and the others", LIMIT, async () => {
  const stream = new Stream();
  const modes = [MODE.count, MODE.revert, MODE.count, MODE.loop, MODE.invalid, MODE.revertLong, MODE.count];
  const probes = [];
  for (const mode of modes) probes.push(await probeOf(stream, { mode, gas: 1_000_000n }));
  const published = await stream.publish(stream.reading("1"), stream.reading("2"));
  const told = await toldOf(stream, published, probes[0]);
  assert.deepEqual(told[0], [STREAMS, "Recorded", stream.id, device, 0n, 2n]);
  assert.equal(told.length, 1 + modes.length);
  for (const [index, probe] of probes.entries()) {
    const good = modes[index] === MODE.count;
    assert.equal(await probe.records(), good ? 1n : 0n);
    const about = told.slice(1).filter(([address, , , who]) => address === probe.target || who === probe.target);
    assert.deepEqual(about.map(([, name]) => name), [good ? "Got" : "Failed"]);
    if (!good) assert.deepEqual(about[0].slice(0, 5), [STREAMS, "Failed", stream.id, probe.target, published.record]);
  }
  const refusedWith = probes[1].interface.parseError(reasonOf(told, probes[1]));
  assert.deepEqual([refusedWith.name, ...plain(refusedWith.args)], ["Refused", stream.id, 2n]);
  for (const probe of [probes[3], probes[4]]) {
    const halted = streams.interface.parseError(reasonOf(told, probe));
    assert.equal(halted.name, "Halted");
    assert.notEqual(halted.args[0], "");
    assert.equal(await gasLeft(stream, probe.target), PREPAID - 1_000_000n, "all of its gas was used");
  }
  const long = reasonOf(told, probes[5]);
  assert.equal(long.length, 2 + 2 * 1024, "the beginning of what it reverted with");
  assert.equal(await streams.length(stream.id), 2n);
  const shown = await stream.shown(0n);
  assert.equal(shown.block, published.block);
  // They are called again.
  await send(probes[1], "behave", [MODE.count]);
  await stream.publish(stream.reading("3"));
  assert.equal(await probes[0].records(), 2n);
  assert.equal(await probes[1].records(), 1n);
});

test("a subscriber without code, or without that function, harms nobody", LIMIT, async () => {
  const stream = new Stream();
  await send(streams, "subscribe", [stream.id, GAS, PREPAID]);
  const probe = await probeOf(stream);
  const published = await stream.publish(stream.reading("1"));
  assert.equal(published.appended, 1);
  assert.equal(await probe.records(), 1n);
  await send(streams, "unsubscribe", [stream.id]);
});

test("too little gas for what it does is a failure; too little for the input, too", LIMIT, async () => {
  const stream = new Stream();
  const [little, least, enough] = [
    await probeOf(stream, { gas: 40_000n }),
    await probeOf(stream, { gas: 21_000n }),
    await probeOf(stream),
  ];
  const told = await toldOf(stream, await stream.publish(stream.reading("1")), enough);
  for (const probe of [little, least]) {
    assert.equal(streams.interface.parseError(reasonOf(told, probe)).name, "Halted");
    assert.equal(await probe.records(), 0n);
  }
  assert.equal(await enough.records(), 1n);
});

test("when the prepaid gas does not suffice any more the subscription ends", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf(stream, { prepaid: GAS + 25_000n });
  const staying = await probeOf(stream);
  // The first record leaves less than a call may take.
  const told = await toldOf(stream, await stream.publish(stream.reading("1")), probe);
  const ended = told.find(([, name]) => name === "Unsubscribed");
  assert.deepEqual(ended.slice(0, 4), [STREAMS, "Unsubscribed", stream.id, probe.target]);
  assert.ok(ended[4] > 0n && ended[4] < GAS, `${ended[4]} gas is left`);
  assert.equal(await probe.records(), 1n);
  await refused(probe, "unsubscribe", [stream.id], ["NotSubscribed", stream.id, probe.target], { errors: streams });
  await stream.publish(stream.reading("2"));
  assert.equal(await probe.records(), 1n);
  assert.equal(await staying.records(), 2n);
  // More gas in time prevents it.
  const other = await probeOf(stream, { prepaid: GAS });
  await send(streams, "fund", [stream.id, other.target, GAS]);
  await stream.publish(stream.reading("3"));
  assert.ok((await gasLeft(stream, other.target)) >= GAS);
});

test("what a record repeats is not told again", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf(stream);
  const [a, b, c] = ["1", "2", "3"].map((payload) => stream.reading(payload));
  const first = await stream.publish(a, b);
  const second = await stream.publish(b, c, a);
  assert.deepEqual([second.appended, second.duplicates], [1, 2]);
  const [recorded, got] = await toldOf(stream, second, probe);
  assert.deepEqual(recorded.slice(4), [2n, 1n]);
  const expected = [c.sequence, c.time, c.contentType, hexlify(c.payload), 2n, BigInt(second.block)];
  assert.deepEqual(got[3].map((reading) => reading.slice(0, 6)), [expected]);
  assert.equal(got[3][0][7], second.record);
  assert.deepEqual(plain(await streams.reading(stream.id, a.sequence)), first.readings[0]);
  // Within one record.
  const d = stream.reading("4");
  const third = await stream.publish(d, d);
  assert.deepEqual([third.appended, third.duplicates], [1, 1]);
  assert.equal(await probe.readingCount(), 4n);
  // One that only repeats costs the subscriber nothing: a device may send again what it likes.
  const left = await gasLeft(stream, probe.target);
  const again = await stream.publish(c, b);
  assert.equal(again.appended, 0);
  assert.deepEqual(await logsOf(stream, again), []);
  assert.equal(await gasLeft(stream, probe.target), left);
  assert.equal(await probe.records(), 3n);
});

test("a record that is refused calls nobody", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf(stream);
  const reading = stream.reading("1");
  await stream.publish(reading);
  await assert.rejects(stream.publish({ ...reading, payload: Buffer.from("2") }, stream.reading("3")), /409/);
  assert.equal(await probe.records(), 1n);
  assert.equal(await streams.length(stream.id), 1n);
});

test("a record with many readings comes as a whole", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf(stream, { gas: 12_000_000n, prepaid: 24_000_000n });
  const readings = Array.from({ length: 500 }, (_, index) => stream.reading(`{"t":${index}.5}`));
  const published = await stream.publish(...readings);
  const [, got] = await toldOf(stream, published, probe);
  assert.deepEqual(got[3], published.readings);
  assert.equal(await probe.readingCount(), 500n);
});

test("two streams, one subscriber", LIMIT, async () => {
  const [a, b] = [new Stream(), new Stream()];
  const probe = await probeOf(a);
  await send(probe, "subscribe", [b.id, GAS, PREPAID]);
  for (const stream of [a, b]) {
    const [, got] = await toldOf(stream, await stream.publish(stream.reading("1")), probe);
    assert.equal(got[2], stream.id);
  }
  await send(probe, "unsubscribe", [a.id]);
  await a.publish(a.reading("2"));
  await b.publish(b.reading("2"));
  assert.equal(await probe.records(), 3n);
});

test("a subscriber may call the streams while it is called", LIMIT, async () => {
  const [stream, second] = [new Stream(), new Stream()];
  const probe = await probeOf(stream, { gas: 1_000_000n });
  const publish = async (name, ...args) => {
    await send(probe, "arm", [STREAMS, encode(name, ...args)]);
    const told = await toldOf(stream, await stream.publish(stream.reading("1")), probe);
    return told.filter(([address]) => address === STREAMS).map(([, ...rest]) => rest);
  };
  const names = (told) => told.map(([name]) => name);
  // It sees the reading that it is called for.
  await publish("length", stream.id);
  assert.equal(await probe.succeeded(), true);
  assert.equal(BigInt(await probe.result()), 1n);
  await publish("latest", stream.id);
  const [latest] = streams.interface.decodeFunctionResult("latest", await probe.result());
  assert.equal(latest.sequence, 1n);

  assert.deepEqual(names(await publish("subscribe", second.id, GAS, PREPAID)), ["Recorded", "Subscribed"]);
  assert.deepEqual(plain(await streams.subscription(second.id, probe.target)), [GAS, PREPAID]);

  assert.deepEqual(names(await publish("subscribe", stream.id, GAS, PREPAID)), ["Recorded"]);
  assert.equal(await probe.succeeded(), false);
  assert.equal(streams.interface.parseError(await probe.result()).name, "AlreadySubscribed");

  const before = await gasLeft(stream, probe.target);
  assert.deepEqual(names(await publish("fund", stream.id, probe.target, 1_000_000n)), ["Recorded", "Funded"]);
  const after = await gasLeft(stream, probe.target);
  assert.ok(after > before && after < before + 1_000_000n, "added, and the call paid for");

  // What a failing call did with its subscription is taken back, too.
  await send(probe, "behave", [MODE.revert]);
  assert.deepEqual(names(await publish("unsubscribe", stream.id)), ["Recorded", "Failed"]);
  assert.ok((await gasLeft(stream, probe.target)) < after);
  await send(probe, "behave", [MODE.count]);

  const calls = await probe.records();
  assert.deepEqual(names(await publish("unsubscribe", stream.id)), ["Recorded", "Unsubscribed"]);
  assert.equal(await probe.records(), calls + 1n);
  assert.equal(await probe.succeeded(), true);
  await refused(probe, "unsubscribe", [stream.id], ["NotSubscribed", stream.id, probe.target], { errors: streams });
  await stream.publish(stream.reading("1"));
  assert.equal(await probe.records(), calls + 1n);
});

test("nothing changes by a static call, and nothing is taken but CALL and STATICCALL", LIMIT, async () => {
  const stream = new Stream();
  await stream.publish(stream.reading("1"));
  const probe = await probeOf(stream);
  const changing = [
    encode("subscribe", stream.id, GAS, PREPAID),
    encode("unsubscribe", stream.id),
    encode("fund", stream.id, probe.target, 5n),
  ];
  const length = encode("length", stream.id);
  const refusal = ["NotAllowedHere"];
  assert.equal(BigInt(await outcome(probe, "statically", length)), 1n);
  for (const data of changing) assert.deepEqual(await outcome(probe, "statically", data), refusal);
  for (const how of ["delegated", "codeCalled"]) {
    for (const data of [...changing, length]) assert.deepEqual(await outcome(probe, how, data), refusal, how);
  }
  assert.equal(await gasLeft(stream, probe.target), PREPAID);
  // Ether with what takes none.
  for (const [name, ...args] of [
    ["length", stream.id],
    ["ownerOf", stream.id],
    ["latest", stream.id],
    ["reading", stream.id, 0n],
    ["range", stream.id, 0n, 1n],
    ["find", deviceName, stream.name],
    ["idOf", device, stream.name],
    ["subscription", stream.id, probe.target],
    ["unsubscribe", stream.id],
  ]) {
    await refused(streams, name, args, refusal, { value: 1n });
  }
});

test("what is no call of a function is refused", LIMIT, async () => {
  const stream = new Stream();
  await stream.publish(stream.reading("1"));
  const probe = await probeOf();
  const length = encode("length", stream.id);
  const word = (value) => BigInt(value).toString(16).padStart(64, "0");
  const find = encode("find", deviceName, stream.name).slice(0, 10);
  for (const data of [
    "0x",
    "0x00",
    length.slice(0, 8),
    "0xffffffff",
    length.slice(0, 10),
    length.slice(0, -2),
    // A number that is no uint64, an address that is none.
    encode("reading", stream.id, 0n).slice(0, -64) + word(2n ** 64n),
    encode("subscription", stream.id, ZeroAddress).slice(0, -64) + word(2n ** 160n),
    // Texts that are nowhere, or longer than what there is.
    find + word(64) + word(2n ** 255n),
    find + word(0x40) + word(0x40) + word(2n ** 64n),
    find + word(0x40) + word(0x40) + word(33) + word(0),
  ]) {
    assert.deepEqual(await outcome(probe, "plain", data), ["BadCall"], data);
    const receipt = await receiptOf(await ann.sendTransaction({ to: STREAMS, data, gasLimit: 200_000n }));
    assert.equal(receipt.status, 0, data);
  }
  // Ether alone is not taken either.
  const sent = await ann.sendTransaction({ to: STREAMS, value: parseEther("0.001"), gasLimit: 100_000n });
  assert.equal((await receiptOf(sent)).status, 0);
  assert.equal(await provider.getBalance(STREAMS), 0n);
});

test("a call with too little gas fails alone", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  const [success] = await probe.scanty.staticCall(encode("subscribe", stream.id, GAS, PREPAID), 100n);
  assert.equal(success, false);
  await send(probe, "scanty", [encode("subscribe", stream.id, GAS, PREPAID), 100n]);
  await assert.rejects(streams.fund.staticCall(stream.id, probe.target, 5n));
});

test("what is reverted has not been", LIMIT, async () => {
  const stream = new Stream();
  const probe = await probeOf();
  const receipt = await send(probe, "inVain", [encode("subscribe", stream.id, GAS, PREPAID)], { gasLimit: 2_000_000n });
  assert.deepEqual(receipt.logs, []);
  const none = ["NotSubscribed", stream.id, probe.target];
  await refused(probe, "unsubscribe", [stream.id], none, { errors: streams });
  assert.deepEqual(await logsOf(stream, await stream.publish(stream.reading("1"))), []);
});

test("subscribers have half of a block's gas, and no more", { timeout: 300_000 }, async (t) => {
  // Three calls of this gas exceed half of a block of 100,000,000. Whether records meet in one is the network's affair.
  const limit = BigInt((await provider.send("eth_getBlockByNumber", ["latest", false])).gasLimit);
  if (limit > 200_000_000n) return t.skip(`a block has ${limit} gas`);
  const count = Number(limit / 2n / MOST_GAS) + 5;
  const all = [];
  for (let index = 0; index < count; ++index) {
    const stream = new Stream();
    const probe = await probeOf(stream, { gas: MOST_GAS, prepaid: MOST_GAS * 20n, mode: MODE.loop });
    all.push({ stream, probe });
  }
  const first = await provider.getBlockNumber();
  for (let round = 0; round < 8; ++round) {
    const published = await Promise.all(all.map(({ stream }) => stream.publish(stream.reading("1"))));
    for (const [index, { stream, probe }] of all.entries()) {
      const told = await toldOf(stream, published[index], probe);
      const reason = streams.interface.parseError(reasonOf(told, probe));
      if (reason.name !== "BlockFull") continue;
      assert.ok(reason.args[0] < MOST_GAS, `${reason.args[0]} gas was left`);
      // Nothing was begun, so only the event is paid for.
      const failures = await streams.queryFilter(streams.filters.Failed(stream.id, probe.target), first);
      const begun = failures.filter(({ args }) => streams.interface.parseError(args.reason).name === "Halted").length;
      const spent = MOST_GAS * BigInt(begun) + 3_000n * BigInt(failures.length - begun);
      assert.equal(await gasLeft(stream, probe.target), MOST_GAS * 20n - spent);
      assert.equal(await streams.length(stream.id), BigInt(round + 1));
      return;
    }
  }
  assert.fail("no block was full");
});

test("the device is who it says", LIMIT, async () => {
  const shown = await get(`/devices/${deviceName}`);
  assert.equal(shown.device, device.toLowerCase());
  assert.equal((await provider.getNetwork()).chainId, network);
});
