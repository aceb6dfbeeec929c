import assert from "node:assert/strict";
import { test } from "node:test";
import { AbiCoder, MaxUint256, ZeroAddress, ZeroHash, keccak256 } from "ethers";
import {
  LIMIT,
  accounts,
  deploy,
  events,
  provider,
  receiptOf,
  refused,
  send,
  tick,
  tickPast,
} from "./support.mjs";

const [maker, taker, stranger, other] = accounts;
const FAR = 2n ** 64n - 1n;
const STATUS = { none: 0n, open: 1n, accepted: 2n, cancelled: 3n };

/** What the maker gives and the taker gives, and what both own more than that. */
const [X, Y, SPARE] = [30n, 70n, 1000n];

/** An exchange, token A of which the maker owns X + SPARE, and B of which the taker and others own Y + SPARE. */
async function market({ tokenA = "PlainToken", tokenB = "PlainToken", approved = true } = {}) {
  const exchange = await deploy("AssetExchange", maker);
  const a = await deploy(`mocks/${tokenA}`, maker);
  const b = await deploy(`mocks/${tokenB}`, maker);
  await send(a, "mint", [maker.address, X + SPARE]);
  for (const account of [taker, stranger]) await send(b, "mint", [account.address, Y + SPARE]);
  if (approved) {
    await send(a, "approve", [exchange.target, X]);
    await send(b.connect(taker), "approve", [exchange.target, Y]);
  }
  return { exchange, a, b, asTaker: exchange.connect(taker) };
}

/** What an offer of X of A for Y of B is called with. */
function terms({ a, b }, { to = taker.address, expires = FAR } = {}) {
  return [to, a.target, X, b.target, Y, expires];
}

/** Makes such an offer, and gives its identifier. */
async function offered(market, more) {
  const receipt = await send(market.exchange, "offer", terms(market, more));
  const [[name, id]] = events(receipt, market.exchange);
  assert.equal(name, "Offered");
  return id;
}

/** What everybody owns of A and B: maker, taker, stranger, the exchange. */
async function holdings({ exchange, a, b }) {
  const owners = [maker.address, taker.address, stranger.address, exchange.target];
  return Promise.all([a, b].map((token) => Promise.all(owners.map((owner) => token.balanceOf(owner)))));
}

const BEFORE = [
  [X + SPARE, 0n, 0n, 0n],
  [0n, Y + SPARE, Y + SPARE, 0n],
];
const AFTER = [
  [SPARE, X, 0n, 0n],
  [Y, SPARE, Y + SPARE, 0n],
];

/** What became of an offer. */
async function status({ exchange }, id) {
  return (await exchange.offerOf(id)).status;
}

test("an offer can be read, and nothing moves by it", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b } = m;
  assert.equal(await exchange.offerCount(), 0n);
  const foreseen = await exchange.offer.staticCall(...terms(m));
  const receipt = await send(exchange, "offer", terms(m));
  assert.deepEqual(events(receipt, exchange), [
    ["Offered", foreseen, maker.address, taker.address, a.target, X, b.target, Y, FAR],
  ]);
  const offer = [maker.address, FAR, STATUS.open, taker.address, a.target, X, b.target, Y];
  assert.deepEqual((await exchange.offerOf(foreseen)).toArray(), offer);
  const types = ["address", "uint64", "uint8", "address", "address", "uint256", "address", "uint256", "uint256"];
  assert.equal(foreseen, keccak256(AbiCoder.defaultAbiCoder().encode(types, [...offer, 0n])));
  assert.equal(await exchange.isOpen(foreseen), true);
  assert.equal(await exchange.offerCount(), 1n);
  assert.notEqual(await offered(m), foreseen);
  assert.deepEqual(await holdings(m), BEFORE);
  assert.equal(await exchange.isOpen(ZeroHash), false);
  assert.equal(await status(m, ZeroHash), STATUS.none);
});

test("an offer to one taker: both sides move at once", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  const id = await offered(m);
  const receipt = await send(asTaker, "accept", [id]);
  assert.deepEqual(events(receipt, exchange, a, b), [
    ["Accepted", id, maker.address, taker.address],
    ["Transfer", taker.address, maker.address, Y],
    ["Transfer", maker.address, taker.address, X],
  ]);
  assert.deepEqual(await holdings(m), AFTER);
  assert.equal(await status(m, id), STATUS.accepted);
  assert.equal(await exchange.isOpen(id), false);
  assert.equal(await a.allowance(maker.address, exchange.target), 0n);
  assert.equal(await b.allowance(taker.address, exchange.target), 0n);
});

test("an offer to anyone: whoever comes first", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  await send(b.connect(stranger), "approve", [exchange.target, Y]);
  const id = await offered(m, { to: ZeroAddress });
  const receipt = await send(exchange.connect(stranger), "accept", [id]);
  assert.deepEqual(events(receipt, exchange, a, b)[0], ["Accepted", id, maker.address, stranger.address]);
  await refused(asTaker, "accept", [id], ["NotOpen", id, STATUS.accepted]);
  assert.deepEqual(await holdings(m), [
    [SPARE, 0n, X, 0n],
    [Y, Y + SPARE, SPARE, 0n],
  ]);
});

test("an offer is accepted once, whatever else was approved", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  await send(a, "approve", [exchange.target, MaxUint256]);
  await send(b.connect(taker), "approve", [exchange.target, MaxUint256]);
  const id = await offered(m);
  await send(asTaker, "accept", [id]);
  await refused(asTaker, "accept", [id], ["NotOpen", id, STATUS.accepted]);
  await refused(exchange, "cancel", [id], ["NotOpen", id, STATUS.accepted]);
  assert.deepEqual(await holdings(m), AFTER);
});

test("strangers and the maker itself can't accept", LIMIT, async () => {
  const m = await market();
  const { exchange, b } = m;
  await send(b.connect(stranger), "approve", [exchange.target, Y]);
  await send(b, "mint", [maker.address, Y]);
  await send(b, "approve", [exchange.target, Y]);
  const toTaker = await offered(m);
  const toAnyone = await offered(m, { to: ZeroAddress });
  const toItself = await offered(m, { to: maker.address });
  const before = await holdings(m);
  await refused(exchange.connect(stranger), "accept", [toTaker], ["NotTaker", toTaker, stranger.address]);
  for (const id of [toTaker, toAnyone, toItself]) {
    await refused(exchange, "accept", [id], ["NotTaker", id, maker.address]);
  }
  assert.deepEqual(await holdings(m), before);
  assert.equal(await exchange.isOpen(toTaker), true);
});

test("an offer that is cancelled can't be accepted, and only its maker cancels it", LIMIT, async () => {
  const m = await market();
  const { exchange, asTaker } = m;
  const id = await offered(m);
  for (const account of [taker, stranger]) {
    await refused(exchange.connect(account), "cancel", [id], ["NotMaker", id, account.address]);
  }
  const receipt = await send(exchange, "cancel", [id]);
  assert.deepEqual(events(receipt, exchange), [["Cancelled", id, maker.address]]);
  assert.equal(await status(m, id), STATUS.cancelled);
  assert.equal(await exchange.isOpen(id), false);
  await refused(asTaker, "accept", [id], ["NotOpen", id, STATUS.cancelled]);
  await refused(exchange, "cancel", [id], ["NotOpen", id, STATUS.cancelled]);
  assert.deepEqual(await holdings(m), BEFORE);
});

test("what was never offered can't be accepted or cancelled", LIMIT, async () => {
  const m = await market();
  const id = keccak256("0x");
  await refused(m.asTaker, "accept", [id], ["NotOpen", id, STATUS.none]);
  await refused(m.exchange, "cancel", [id], ["NotOpen", id, STATUS.none]);
});

test("an offer ends with its last second, and can be cancelled afterwards", LIMIT, async () => {
  const m = await market();
  const { exchange, asTaker } = m;
  const expires = BigInt((await tick(other)).timestamp) + 4n;
  const id = await offered(m, { expires });
  assert.equal(await exchange.isOpen(id), true);
  await tickPast(Number(expires), other, async ({ number, timestamp }) => {
    assert.equal(await exchange.isOpen(id, { blockTag: number }), BigInt(timestamp) <= expires, `at ${timestamp}`);
  });
  assert.equal(await exchange.isOpen(id), false);
  await refused(asTaker, "accept", [id], ["Expired", expires]);
  assert.equal(await status(m, id), STATUS.open);
  assert.deepEqual(await holdings(m), BEFORE);
  await send(exchange, "cancel", [id]);
  assert.equal(await status(m, id), STATUS.cancelled);
});

test("an offer must be possible: its time, its amounts, its tokens", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b } = m;
  const past = BigInt((await tick(other)).timestamp) - 1n;
  const [A, B] = [a.target, b.target];
  for (const [args, expected] of [
    [[taker.address, A, X, B, Y, past], ["Expired", past]],
    [[taker.address, A, X, B, Y, 0n], ["Expired", 0n]],
    [[taker.address, A, 0n, B, Y, FAR], ["ZeroAmount"]],
    [[taker.address, A, X, B, 0n, FAR], ["ZeroAmount"]],
    [[taker.address, stranger.address, X, B, Y, FAR], ["NotAToken", stranger.address]],
    [[taker.address, A, X, ZeroAddress, Y, FAR], ["NotAToken", ZeroAddress]],
  ]) {
    await refused(exchange, "offer", args, expected);
  }
  assert.equal(await exchange.offerCount(), 0n);
});

test("with too small an allowance, or too few tokens, on either side nothing moves", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  const id = await offered(m);
  const short = (allowance, needed) => ["ERC20InsufficientAllowance", exchange.target, allowance, needed];
  const fails = async (expected) => {
    await refused(asTaker, "accept", [id], expected, { errors: a });
    assert.equal(await exchange.isOpen(id), true);
  };
  await send(a, "approve", [exchange.target, X - 1n]);
  await fails(short(X - 1n, X));
  await send(a, "approve", [exchange.target, 0n]);
  await fails(short(0n, X));
  await send(a, "approve", [exchange.target, X]);
  await send(b.connect(taker), "approve", [exchange.target, Y - 1n]);
  await fails(short(Y - 1n, Y));
  await send(b.connect(taker), "approve", [exchange.target, Y]);
  assert.deepEqual(await holdings(m), BEFORE);
  await send(a, "transfer", [other.address, SPARE + 1n]);
  await fails(["ERC20InsufficientBalance", maker.address, X - 1n, X]);
  await send(a, "mint", [maker.address, SPARE + 1n]);
  await send(b.connect(taker), "transfer", [other.address, SPARE + 1n]);
  await fails(["ERC20InsufficientBalance", taker.address, Y - 1n, Y]);
  await send(b, "mint", [taker.address, SPARE + 1n]);
  assert.deepEqual(await holdings(m), BEFORE);
  await send(asTaker, "accept", [id]);
  assert.deepEqual(await holdings(m), AFTER);
});

test("an allowance is nobody else's to spend", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b } = m;
  await send(b.connect(taker), "approve", [exchange.target, MaxUint256]);
  // The stranger offers worthless tokens for the taker's; only the taker could accept that, and does not.
  const worthless = await deploy("mocks/PlainToken", stranger);
  const args = [taker.address, worthless.target, 1n, b.target, Y, FAR];
  const receipt = await send(exchange.connect(stranger), "offer", args);
  const [[, id]] = events(receipt, exchange);
  await refused(exchange.connect(stranger), "accept", [id], ["NotTaker", id, stranger.address]);
  await refused(exchange.connect(other), "accept", [id], ["NotTaker", id, other.address]);
  assert.deepEqual(await holdings({ ...m, a }), BEFORE);
});

test("one holding may be offered twice: the first acceptance gets it", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  await send(b.connect(taker), "approve", [exchange.target, 2n * Y]);
  const first = await offered(m);
  const second = await offered(m);
  await send(asTaker, "accept", [second]);
  const expected = ["ERC20InsufficientAllowance", exchange.target, 0n, X];
  await refused(asTaker, "accept", [first], expected, { errors: a });
  assert.deepEqual(await holdings(m), AFTER);
  assert.equal(await exchange.isOpen(first), true);
});

test("two acceptances in a row: the first one counts", LIMIT, async () => {
  const m = await market();
  const { exchange, a, b, asTaker } = m;
  await send(a, "approve", [exchange.target, MaxUint256]);
  await send(b.connect(taker), "approve", [exchange.target, MaxUint256]);
  const id = await offered(m);
  const nonce = await taker.getNonce();
  const sent = await Promise.all(
    [0, 1].map((index) => asTaker.accept(id, { nonce: nonce + index, gasLimit: 500_000n })),
  );
  const receipts = await Promise.all(sent.map(receiptOf));
  assert.deepEqual(receipts.map(({ status }) => status), [1, 0]);
  assert.deepEqual(await holdings(m), AFTER);
});

test("tokens that return nothing can be exchanged", LIMIT, async () => {
  const m = await market({ tokenA: "NoReturnToken", tokenB: "NoReturnToken" });
  const id = await offered(m);
  await send(m.asTaker, "accept", [id]);
  assert.deepEqual(await holdings(m), AFTER);
});

test("tokens that return false, or take a fee, can't, and nothing moves", LIMIT, async () => {
  for (const [tokens, errorOf] of [
    [{ tokenA: "FalseToken" }, ({ a }) => ["SafeERC20FailedOperation", a.target]],
    [{ tokenB: "FalseToken" }, ({ b }) => ["SafeERC20FailedOperation", b.target]],
    [{ tokenA: "FeeToken" }, ({ a }) => ["ReceivedTooLittle", a.target, X, X - X / 10n]],
    [{ tokenB: "FeeToken" }, ({ b }) => ["ReceivedTooLittle", b.target, Y, Y - Y / 10n]],
  ]) {
    const m = await market(tokens);
    const id = await offered(m);
    await refused(m.asTaker, "accept", [id], errorOf(m));
    assert.deepEqual(await holdings(m), BEFORE);
    assert.equal(await m.exchange.isOpen(id), true);
  }
});

test("a token that calls back can't accept during an exchange", LIMIT, async () => {
  const m = await market({ tokenB: "CallbackToken" });
  const { exchange, a, b, asTaker } = m;
  await send(a, "approve", [exchange.target, MaxUint256]);
  const id = await offered(m);
  // Another offer, made to the token itself, so that nothing but the guard is in its way.
  const second = await offered(m, { to: b.target });
  await send(b, "mint", [b.target, Y]);
  for (const wanted of [id, second]) {
    await send(b, "arm", [exchange.target, exchange.interface.encodeFunctionData("accept", [wanted])]);
    if (wanted === id) {
      const receipt = await send(asTaker, "accept", [id]);
      assert.equal(events(receipt, exchange, a, b).filter(([name]) => name === "Accepted").length, 1);
    } else {
      await send(b.connect(taker), "approve", [exchange.target, Y]);
      await send(asTaker, "accept", [await offered(m)]);
    }
    assert.equal(await b.succeeded(), false);
    assert.equal(exchange.interface.parseError(await b.result()).name, "ReentrancyGuardReentrantCall");
  }
  assert.equal(await b.calls(), 2n);
  assert.equal(await exchange.isOpen(second), true);
});

test("an offer is no longer open to a call back while it is being accepted", LIMIT, async () => {
  const m = await market({ tokenB: "CallbackToken" });
  const { exchange, b, asTaker } = m;
  const id = await offered(m);
  await send(b, "arm", [exchange.target, exchange.interface.encodeFunctionData("cancel", [id])]);
  await send(asTaker, "accept", [id]);
  assert.equal(await b.succeeded(), false);
  const { name, args } = exchange.interface.parseError(await b.result());
  assert.deepEqual([name, ...args.toArray()], ["NotOpen", id, STATUS.accepted]);
  assert.deepEqual(await holdings(m), AFTER);
});

test("the exchange takes no ether and owns nothing", LIMIT, async () => {
  const m = await market();
  const id = await offered(m);
  await send(m.asTaker, "accept", [id]);
  await assert.rejects(maker.call({ to: m.exchange.target, value: 1n }), { code: "CALL_EXCEPTION" });
  assert.equal(await provider.getBalance(m.exchange.target), 0n);
  assert.deepEqual((await holdings(m)).map((owned) => owned[3]), [0n, 0n]);
});
