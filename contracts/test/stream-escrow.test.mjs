import assert from "node:assert/strict";
import { test } from "node:test";
import { Contract, ZeroAddress, getCreateAddress, parseEther } from "ethers";
import { Stream, seen } from "./device.mjs";
import {
  LIMIT,
  accounts,
  artifact,
  deploy,
  events,
  provider,
  receiptOf,
  refused,
  refusedDeployment,
  send,
  tick,
  tickPast,
} from "./support.mjs";

const [buyer, seller, stranger, other] = accounts;
const STATUS = { open: 0n, released: 1n, takenBack: 2n };
const [AT_LEAST, AT_MOST] = [0, 1];
const PRICE = parseEther("0.25");
const GAS = 400_000n;
const PREPAID = 4_000_000n;
const STREAMS = "0x0000000000000000000000000000000000004847";
const streams = new Contract(STREAMS, artifact("streams/IStreams").abi, provider);

/** Terms: the number at "t" must be 8 at least, within ten minutes. */
async function terms(stream, more = {}) {
  const { timestamp } = await tick(other);
  return {
    seller: seller.address,
    stream: stream.id,
    key: "t",
    comparison: AT_LEAST,
    threshold: parseEther("8"),
    deadline: timestamp + 600,
    grace: 600,
    ...more,
  };
}

/** A deal about a new stream. */
async function deal(more = {}, { stream = new Stream(), gas = GAS, prepaid = PREPAID } = {}) {
  const escrow = await deploy("StreamEscrow", buyer, await terms(stream, more), gas, prepaid, { value: PRICE });
  return { escrow, stream, opened: await escrow.opened() };
}

/** The events of a deal in a block. */
async function eventsAt(escrow, block) {
  const logs = await provider.getLogs({ address: escrow.target, fromBlock: block, toBlock: block });
  return events({ logs }, escrow);
}

/** The streams' events about a stream in a block, by their names. */
async function toldAt(stream, block) {
  const topics = [null, stream.id];
  const logs = await provider.getLogs({ address: STREAMS, topics, fromBlock: block, toBlock: block });
  return logs.map((log) => streams.interface.parseLog(log).name);
}

/** The streams' events of a name about a deal, since it was opened. */
async function told(name, escrow, stream) {
  return streams.queryFilter(streams.filters[name](stream.id, escrow.target), Number(await escrow.openedAt()));
}

/** Whether a deal is subscribed. */
async function isSubscribed(escrow, stream) {
  const [began, ended] = await Promise.all(
    ["Subscribed", "Unsubscribed"].map((name) => told(name, escrow, stream)),
  );
  return began.length > ended.length;
}

/** That records decide nothing. */
async function staysOpen(escrow, stream, ...payloads) {
  for (const payload of payloads) {
    const { block } = await stream.publish(stream.reading(payload));
    assert.deepEqual(await eventsAt(escrow, block), [], payload);
    assert.deepEqual(await toldAt(stream, block), ["Recorded"], payload);
  }
  assert.equal(await escrow.status(), STATUS.open);
}

/** That the seller gets the price, once, and the buyer nothing. */
async function sellerIsPaid(escrow) {
  await refused(escrow.connect(buyer), "withdraw", [], ["NothingToWithdraw", buyer.address]);
  await refused(escrow.connect(stranger), "withdraw", [], ["NothingToWithdraw", stranger.address]);
  const before = await provider.getBalance(seller.address);
  const receipt = await send(escrow.connect(seller), "withdraw");
  assert.deepEqual(events(receipt, escrow), [["Withdrawn", seller.address, PRICE]]);
  assert.equal(await provider.getBalance(seller.address), before + PRICE - receipt.fee);
  assert.equal(await escrow.paid(), true);
  assert.equal(await provider.getBalance(escrow.target), 0n);
  await refused(escrow.connect(seller), "withdraw", [], ["NothingToWithdraw", seller.address]);
  await refused(escrow.connect(buyer), "withdraw", [], ["NothingToWithdraw", buyer.address]);
}

test("a deal says what it is about, and is subscribed", LIMIT, async () => {
  const stream = new Stream();
  const agreed = await terms(stream, { comparison: AT_MOST, threshold: -5n });
  const escrow = await deploy("StreamEscrow", buyer, agreed, GAS, PREPAID, { value: PRICE });
  const [begun] = await told("Subscribed", escrow, stream);
  assert.deepEqual(begun.args.toArray(), [stream.id, escrow.target, GAS, PREPAID]);
  assert.deepEqual(await eventsAt(escrow, begun.blockNumber), [
    ["Opened", buyer.address, seller.address, stream.id, PRICE],
  ]);
  const { timestamp } = await provider.getBlock(begun.blockNumber);
  for (const [name, expected] of Object.entries({
    buyer: buyer.address,
    seller: seller.address,
    stream: stream.id,
    key: "t",
    comparison: BigInt(AT_MOST),
    threshold: -5n,
    opened: BigInt(timestamp),
    openedAt: BigInt(begun.blockNumber),
    deadline: BigInt(agreed.deadline),
    grace: 600n,
    price: PRICE,
    status: STATUS.open,
    paid: false,
    DECIMALS: 18n,
    MAX_DURATION: 3650n * 86400n,
  })) {
    assert.equal(await escrow[name](), expected, name);
  }
  assert.deepEqual((await streams.subscription(stream.id, escrow.target)).toArray(), [GAS, PREPAID]);
});

test("a deal must be possible", LIMIT, async () => {
  const stream = new Stream();
  const { timestamp: now } = await tick(other);
  const tenYears = 3650 * 86400;
  const refuse = async (more, expected, { value = PRICE, gas = GAS, prepaid = PREPAID, errors } = {}) => {
    const args = [{ ...(await terms(stream)), ...more }, gas, prepaid, { value }];
    if (errors) {
      // The streams' own error is passed on.
      await assert.rejects(deploy("StreamEscrow", buyer, ...args), ({ data }) => {
        const parsed = errors.interface.parseError(data);
        assert.deepEqual([parsed.name, ...parsed.args.toArray()], expected);
        return true;
      });
    } else {
      await refusedDeployment("StreamEscrow", buyer, args, expected);
    }
  };
  await refuse({ seller: ZeroAddress }, ["BadSeller", ZeroAddress]);
  await refuse({ seller: buyer.address }, ["BadSeller", buyer.address]);
  await refuse({ deadline: now - 1 }, ["BadTime", BigInt(now - 1), 600n]);
  await refuse({ deadline: now + tenYears + 600 }, ["BadTime", BigInt(now + tenYears + 600), 600n]);
  await refuse({ deadline: now * 1000 }, ["BadTime", BigInt(now) * 1000n, 600n]);
  await refuse({ grace: tenYears, deadline: now + 600 }, ["BadTime", BigInt(now + 600), BigInt(tenYears)]);
  const most = 2n ** 64n - 1n;
  await refuse({ deadline: most, grace: most }, ["BadTime", most, most]);
  await refuse({}, ["NoPrice", 0n, 0n], { value: 0n });
  await refuse({}, ["BadGas", 20_999n, PREPAID], { gas: 20_999n, errors: streams });
  await refuse({}, ["BadGas", GAS, GAS - 1n], { prepaid: GAS - 1n, errors: streams });
});

test("the first reading that meets the condition releases the ether", LIMIT, async () => {
  const { escrow, stream } = await deal();
  await staysOpen(escrow, stream, '{"t":7.999999999999999999}', '{"t":-8}', '{"t":0}');
  await refused(escrow.connect(seller), "withdraw", [], ["NothingToWithdraw", seller.address]);
  // The second and the third of one record meet it.
  const readings = ['{"t":7}', '{"t":8,"n":3}', '{"t":9}'].map((payload) => stream.reading(payload));
  const { block, record } = await stream.publish(...readings);
  assert.deepEqual(await eventsAt(escrow, block), [["Released", readings[1].sequence, record, parseEther("8")]]);
  assert.deepEqual(await toldAt(stream, block), ["Recorded", "Unsubscribed"]);
  assert.equal(await escrow.status(), STATUS.released);
  await refused(escrow.connect(stranger), "check", [readings[1].sequence], ["NotOpen", STATUS.released]);
  await refused(escrow.connect(buyer), "takeBack", [], ["NotOpen", STATUS.released]);
  const next = await stream.publish(stream.reading('{"t":10}'));
  assert.deepEqual(await toldAt(stream, next.block), []);
  await sellerIsPaid(escrow);
});

test("at most, below zero, and a payload that is the number", LIMIT, async () => {
  const { escrow, stream } = await deal({ key: "", comparison: AT_MOST, threshold: parseEther("-18.5") });
  await staysOpen(escrow, stream, "-18.499999999999999999", "0", "21.5", '{"t":-19}', '"-19"');
  const { block, record } = await stream.publish(stream.reading("-18.50", { contentType: "text/plain" }));
  assert.deepEqual(await eventsAt(escrow, block), [["Released", 5n, record, parseEther("-18.5")]]);
  await sellerIsPaid(escrow);
});

test("what has no number meets no condition, and stops nothing", LIMIT, async () => {
  const { escrow, stream } = await deal();
  await staysOpen(
    escrow,
    stream,
    "",
    "9",
    '{"t":"9"}',
    '{"t":9e0}',
    '{"t":9,"t":9}',
    '{"a":{"t":9}}',
    '{"a":"\\"t\\":9"}',
    '{"t":9',
    `{"t":9.${"0".repeat(18)}1}`,
    `{"t":${"9".repeat(80)}}`,
    new Uint8Array(300).fill(0xff),
  );
  // Longer than what is looked at: passed over with little gas.
  const long = await deal({}, { gas: 2_000_000n });
  await staysOpen(long.escrow, long.stream, `{"t":9,"a":"${"x".repeat(20_000)}"}`);
});

test("a reading is of the deal's time, by the device's clock", LIMIT, async () => {
  const { timestamp } = await tick(other);
  const deadline = BigInt(timestamp + 600);
  const { escrow, stream, opened } = await deal({ deadline });
  const of = (time) => stream.reading('{"t":9}', { time });
  const outside = [0n, opened * 1000n - 1n, (deadline + 1n) * 1000n, 2n ** 64n - 1n].map(of);
  for (const reading of outside) {
    const { block } = await stream.publish(reading);
    assert.deepEqual(await eventsAt(escrow, block), []);
    await refused(escrow.connect(seller), "check", [reading.sequence], ["NotMet", reading.sequence]);
  }
  const { block, record } = await stream.publish(of((deadline + 1n) * 1000n), of(deadline * 1000n + 999n));
  assert.deepEqual(await eventsAt(escrow, block), [["Released", 5n, record, parseEther("9")]]);
  const first = await deal({ deadline });
  const early = first.stream.reading('{"t":9}', { time: first.opened * 1000n });
  const published = await first.stream.publish(early);
  assert.deepEqual(await eventsAt(first.escrow, published.block), [
    ["Released", 0n, published.record, parseEther("9")],
  ]);
});

test("a reading that was recorded before the deal releases nothing, whatever its time", LIMIT, async () => {
  const stream = new Stream();
  const ahead = stream.reading('{"t":9}', { time: Date.now() + 300_000 });
  await stream.publish(ahead);
  const { escrow } = await deal({}, { stream });
  await refused(escrow.connect(seller), "check", [ahead.sequence], ["NotMet", ahead.sequence]);
  // Sent again it is a duplicate, and not among a record's new readings.
  const { block } = await stream.publish(ahead, stream.reading('{"t":1}'));
  assert.deepEqual(await eventsAt(escrow, block), []);
  assert.equal(await escrow.status(), STATUS.open);
});

test("without a subscription anybody has it decided", LIMIT, async () => {
  const { escrow, stream } = await deal({}, { prepaid: 0n });
  assert.equal(await isSubscribed(escrow, stream), false);
  const unknown = async (sequence, error) =>
    refused(escrow.connect(stranger), "check", [sequence], error, { errors: streams });
  await unknown(0n, ["UnknownStream", stream.id]);
  const [low, high] = ['{"t":7}', '{"t":9.5}'].map((payload) => stream.reading(payload));
  const { block, record } = await stream.publish(low, high);
  assert.deepEqual(await toldAt(stream, block), []);
  assert.equal(await escrow.status(), STATUS.open);
  await unknown(2n, ["UnknownReading", stream.id, 2n]);
  await refused(escrow.connect(stranger), "check", [low.sequence], ["NotMet", low.sequence]);
  const receipt = await send(escrow.connect(stranger), "check", [high.sequence]);
  assert.deepEqual(events(receipt, escrow), [["Released", high.sequence, record, parseEther("9.5")]]);
  await sellerIsPaid(escrow);
});

test("a callback that failed is made good", LIMIT, async () => {
  const { escrow, stream } = await deal({}, { gas: 30_000n });
  const reading = stream.reading('{"t":9}');
  const { block, record } = await stream.publish(reading);
  assert.deepEqual(await toldAt(stream, block), ["Recorded", "Failed"]);
  assert.equal(await escrow.status(), STATUS.open);
  assert.equal(await isSubscribed(escrow, stream), true);
  const receipt = await send(escrow.connect(seller), "check", [reading.sequence]);
  assert.deepEqual(
    receipt.logs.map((log) => (log.address === STREAMS ? streams : escrow).interface.parseLog(log).name),
    ["Released", "Unsubscribed"],
  );
  assert.equal(escrow.interface.parseLog(receipt.logs[0]).args.record, record);
  assert.equal(await isSubscribed(escrow, stream), false);
  await sellerIsPaid(escrow);
});

test("with less gas than it needs a check decides nothing, rather than half", LIMIT, async () => {
  const { escrow, stream } = await deal({}, { gas: 30_000n });
  const reading = stream.reading('{"t":9}');
  await stream.publish(reading);
  const enough = await escrow.connect(stranger).check.estimateGas(reading.sequence);
  for (const share of [50n, 60n, 70n, 80n, 85n, 90n, 95n]) {
    const gasLimit = (enough * share) / 100n;
    const receipt = await receiptOf(await escrow.connect(stranger).check(reading.sequence, { gasLimit }));
    const released = (await escrow.status()) === STATUS.released;
    assert.equal(receipt.status === 1, released);
    assert.equal(await isSubscribed(escrow, stream), !released, `with ${share} of a hundred`);
    if (released) return; // Estimates may be generous.
  }
  await send(escrow.connect(stranger), "check", [reading.sequence]);
  assert.equal(await isSubscribed(escrow, stream), false);
});

test("when the prepaid gas is used up the deal goes on", LIMIT, async () => {
  const { escrow, stream } = await deal({}, { prepaid: GAS });
  const { block } = await stream.publish(stream.reading('{"t":1}'));
  assert.deepEqual(await toldAt(stream, block), ["Recorded", "Unsubscribed"]);
  const reading = stream.reading('{"t":9}');
  await stream.publish(reading);
  assert.equal(await escrow.status(), STATUS.open);
  const receipt = await send(escrow.connect(stranger), "check", [reading.sequence]);
  assert.deepEqual(events(receipt, escrow).map(([name]) => name), ["Released"]);
  await sellerIsPaid(escrow);
});

test("several deals about one stream do not disturb each other", LIMIT, async () => {
  const stream = new Stream();
  const thresholds = ["5", "6", "7"];
  const deals = [];
  for (const threshold of thresholds) deals.push(await deal({ threshold: parseEther(threshold) }, { stream }));
  const failing = await deal({}, { stream, gas: 30_000n });
  await stream.publish(stream.reading('{"t":6.5}'));
  const states = await Promise.all(deals.map(({ escrow }) => escrow.status()));
  assert.deepEqual(states, [STATUS.released, STATUS.released, STATUS.open]);
  await sellerIsPaid(deals[0].escrow);
  await stream.publish(stream.reading('{"t":7}'));
  assert.equal(await deals[2].escrow.status(), STATUS.released);
  assert.equal(await failing.escrow.status(), STATUS.open);
  for (const { escrow } of deals.slice(1)) await sellerIsPaid(escrow);
});

test("after the grace the buyer takes the ether back", LIMIT, async () => {
  const { timestamp } = await tick(other);
  const deadline = timestamp + 5;
  const { escrow, stream } = await deal({ deadline, grace: 5 });
  const until = BigInt(deadline + 5);
  for (const account of [seller, stranger]) {
    await refused(escrow.connect(account), "takeBack", [], ["NotBuyer", account.address]);
  }
  await refused(escrow.connect(buyer), "takeBack", [], ["TooEarly", until]);
  await refused(escrow.connect(buyer), "withdraw", [], ["NothingToWithdraw", buyer.address]);
  const reading = stream.reading('{"t":7}');
  await stream.publish(reading);
  await tickPast(Number(until), other);
  const before = await provider.getBalance(buyer.address);
  const receipt = await send(escrow.connect(buyer), "takeBack");
  assert.deepEqual(
    events({ logs: receipt.logs.filter(({ address }) => address === escrow.target) }, escrow),
    [["TakenBack"], ["Withdrawn", buyer.address, PRICE]],
  );
  assert.equal(await provider.getBalance(buyer.address), before + PRICE - receipt.fee);
  assert.equal(await isSubscribed(escrow, stream), false);
  assert.equal(await escrow.status(), STATUS.takenBack);
  await stream.publish(stream.reading('{"t":9}', { time: deadline * 1000 }));
  await refused(escrow.connect(seller), "check", [1n], ["NotOpen", STATUS.takenBack]);
  for (const account of [buyer, seller]) {
    await refused(escrow.connect(account), "withdraw", [], ["NothingToWithdraw", account.address]);
  }
  await refused(escrow.connect(buyer), "takeBack", [], ["NotOpen", STATUS.takenBack]);
});

test("a reading in time that comes late counts until the buyer has taken the ether back", LIMIT, async () => {
  const { timestamp } = await tick(other);
  const deadline = timestamp + 2;
  const { escrow, stream } = await deal({ deadline, grace: 0 });
  await tickPast(deadline + 1, other);
  const { block, record } = await stream.publish(stream.reading('{"t":9}', { time: deadline * 1000 }));
  assert.deepEqual(await eventsAt(escrow, block), [["Released", 0n, record, parseEther("9")]]);
  await refused(escrow.connect(buyer), "takeBack", [], ["NotOpen", STATUS.released]);
  await sellerIsPaid(escrow);
});

test("nobody but the ledger says that there is a reading", LIMIT, async () => {
  const { escrow, stream } = await deal();
  const reading = [0n, BigInt(Date.now()), "text/plain", "0x39", 0n, 1n, 1n, stream.id];
  for (const account of [buyer, seller, stranger]) {
    await refused(escrow.connect(account), "onRecord", [stream.id, [reading]], ["NotStreams", account.address]);
  }
  assert.equal(await escrow.status(), STATUS.open);
});

test("what is here beyond the price is the buyer's, at any time", LIMIT, async () => {
  const stream = new Stream();
  const agreed = await terms(stream);
  const nonce = await buyer.getNonce();
  const to = getCreateAddress({ from: buyer.address, nonce });
  await receiptOf(await stranger.sendTransaction({ to, value: 5n }));
  const escrow = await deploy("StreamEscrow", buyer, agreed, GAS, PREPAID, { value: PRICE });
  assert.equal(escrow.target, to);
  const receipt = await send(escrow.connect(buyer), "withdraw");
  assert.deepEqual(events(receipt, escrow), [["Withdrawn", buyer.address, 5n]]);
  assert.equal(await provider.getBalance(to), PRICE);
  await stream.publish(stream.reading('{"t":9}'));
  await sellerIsPaid(escrow);
  // Ether that is sent plainly is not taken.
  const sent = await stranger.sendTransaction({ to, value: 1n, gasLimit: 100_000n });
  assert.equal((await receiptOf(sent)).status, 0);
});

test("who calls back while being paid is paid once", LIMIT, async () => {
  const party = await deploy("mocks/EscrowParty", stranger);
  const { escrow, stream } = await deal({ seller: party.target });
  const { block } = await stream.publish(stream.reading('{"t":9}'));
  await seen(block);
  await send(party, "arm", [escrow.target, escrow.interface.encodeFunctionData("withdraw")]);
  const receipt = await send(party, "withdraw", [escrow.target]);
  assert.deepEqual(events(receipt, escrow), [["Withdrawn", party.target, PRICE]]);
  assert.equal(await party.calls(), 1n);
  assert.equal(await party.succeeded(), false);
  assert.equal(escrow.interface.parseError(await party.result()).name, "NothingToWithdraw");
  assert.equal(await provider.getBalance(party.target), PRICE);

  const { timestamp } = await tick(other);
  const agreed = await terms(new Stream(), { deadline: timestamp + 3, grace: 0 });
  const opening = await send(party, "open", [agreed], { value: PRICE });
  const mine = opening.logs.filter(({ address }) => address === party.target);
  const [[, address]] = events({ logs: mine }, party);
  const own = escrow.attach(address);
  await tickPast(timestamp + 3, other);
  for (const name of ["takeBack", "withdraw"]) {
    await send(party, "arm", [address, escrow.interface.encodeFunctionData(name)]);
    if (name === "takeBack") {
      const back = await send(party, "takeBack", [address]);
      assert.deepEqual(events(back, own), [["TakenBack"], ["Withdrawn", party.target, PRICE]]);
      assert.equal(escrow.interface.parseError(await party.result()).name, "NotOpen");
    } else {
      await refused(party, "withdraw", [address], ["NothingToWithdraw", party.target], { errors: escrow });
    }
  }
  assert.equal(await provider.getBalance(party.target), 2n * PRICE);
});
