import assert from "node:assert/strict";
import { test } from "node:test";
import { ZeroAddress } from "ethers";
import {
  LIMIT,
  accounts,
  deploy,
  events,
  provider,
  receiptOf,
  refused,
  refusedDeployment,
  send,
} from "./support.mjs";

const [admin, ann, bob, cem, stranger] = accounts;
const OPTIONS = ["pear", "apple", "plum"];

const registryOf = (adminAddress = admin.address) => deploy("VoteRegistry", ann, OPTIONS, adminAddress);

test("a vote begins with its options, its admin, and no votes", LIMIT, async () => {
  const registry = await registryOf();
  assert.equal(await registry.admin(), admin.address);
  assert.deepEqual((await registry.options()).toArray(), OPTIONS);
  assert.deepEqual((await registry.counts()).toArray(), [0n, 0n, 0n]);
  assert.equal(await registry.countOf(2), 0n);
  assert.deepEqual((await registry.ballotOf(ann.address)).toArray(), [false, 0n]);
  assert.equal(await registry.MAX_OPTIONS(), 256n);
});

test("a vote has an admin, and between one and 256 options", LIMIT, async () => {
  await refusedDeployment("VoteRegistry", ann, [OPTIONS, ZeroAddress], ["ZeroAdmin"]);
  await refusedDeployment("VoteRegistry", ann, [[], admin.address], ["BadOptionCount", 0n]);
  const tooMany = Array(257).fill("");
  await refusedDeployment("VoteRegistry", ann, [tooMany, admin.address], ["BadOptionCount", 257n]);
  const most = await deploy("VoteRegistry", ann, Array(256).fill(""), admin.address);
  await send(most, "vote", [255]);
  assert.equal((await most.counts()).length, 256);
  assert.equal(await most.countOf(255), 1n);
});

test("votes are counted, and the ether sent along is kept", LIMIT, async () => {
  const registry = await registryOf();
  for (const [voter, option, value] of [
    [ann, 1n, 0n],
    [bob, 0n, 7n],
    [cem, 1n, 10n ** 18n],
    [admin, 2n, 0n],
  ]) {
    const receipt = await send(registry.connect(voter), "vote", [option], { value });
    assert.deepEqual(events(receipt, registry), [["Voted", voter.address, option, value]]);
    assert.deepEqual((await registry.ballotOf(voter.address)).toArray(), [true, option]);
  }
  assert.deepEqual((await registry.connect(stranger).counts()).toArray(), [1n, 2n, 1n]);
  assert.equal(await registry.countOf(1), 2n);
  assert.equal(await provider.getBalance(registry.target), 10n ** 18n + 7n);
});

test("nobody votes twice, for the same option or another one", LIMIT, async () => {
  const registry = await registryOf();
  await send(registry, "vote", [0], { value: 3n });
  await refused(registry, "vote", [0], ["AlreadyVoted", ann.address, 0n]);
  await refused(registry, "vote", [1], ["AlreadyVoted", ann.address, 0n], { value: 5n });
  assert.deepEqual((await registry.counts()).toArray(), [1n, 0n, 0n]);
  assert.equal(await provider.getBalance(registry.target), 3n);
});

test("two votes of one account in a row: the first one counts", LIMIT, async () => {
  const registry = await registryOf();
  const nonce = await bob.getNonce();
  const votes = await Promise.all(
    [2, 1].map((option, index) => registry.connect(bob).vote(option, { nonce: nonce + index, gasLimit: 200_000n })),
  );
  const receipts = await Promise.all(votes.map(receiptOf));
  assert.deepEqual(receipts.map(({ status }) => status), [1, 0]);
  assert.deepEqual((await registry.counts()).toArray(), [0n, 0n, 1n]);
});

test("what is no option can't be voted for or asked about", LIMIT, async () => {
  const registry = await registryOf();
  await refused(registry, "vote", [3], ["UnknownOption", 3n], { value: 1n });
  await refused(registry, "vote", [2n ** 256n - 1n], ["UnknownOption", 2n ** 256n - 1n]);
  await refused(registry, "countOf", [3], ["UnknownOption", 3n]);
  assert.deepEqual((await registry.ballotOf(ann.address)).toArray(), [false, 0n]);
});

test("ether without a vote is not taken", LIMIT, async () => {
  const registry = await registryOf();
  const request = { to: registry.target, value: 1n };
  await assert.rejects(ann.call(request), { code: "CALL_EXCEPTION" });
  const sent = await ann.sendTransaction({ ...request, gasLimit: 100_000n });
  assert.equal((await receiptOf(sent)).status, 0);
  assert.equal(await provider.getBalance(registry.target), 0n);
});

test("the admin collects everything, again and again, and can't collect nothing", LIMIT, async () => {
  const registry = await registryOf();
  const asAdmin = registry.connect(admin);
  await refused(asAdmin, "collect", [], ["NothingToCollect"]);
  for (const [voter, value] of [
    [ann, 11n],
    [bob, 12n],
  ]) {
    await send(registry.connect(voter), "vote", [0], { value });
    const before = await provider.getBalance(admin.address);
    const receipt = await send(asAdmin, "collect");
    assert.deepEqual(events(receipt, registry), [["Collected", admin.address, value]]);
    assert.equal(await provider.getBalance(admin.address), before + value - receipt.fee);
    assert.equal(await provider.getBalance(registry.target), 0n);
    await refused(asAdmin, "collect", [], ["NothingToCollect"]);
  }
  assert.deepEqual((await registry.counts()).toArray(), [2n, 0n, 0n]);
});

test("a stranger, a voter and the deployer collect nothing", LIMIT, async () => {
  const registry = await registryOf();
  await send(registry.connect(bob), "vote", [0], { value: 5n });
  for (const other of [stranger, bob, ann]) {
    await refused(registry.connect(other), "collect", [], ["NotAdmin", other.address]);
  }
  assert.equal(await provider.getBalance(registry.target), 5n);
});

test("an admin that collects again while it collects gets the ether once", LIMIT, async () => {
  const attacker = await deploy("mocks/CallbackAdmin", ann);
  const registry = await registryOf(attacker.target);
  await send(registry, "vote", [0], { value: 9n });
  await send(attacker, "arm", [registry.target, registry.interface.encodeFunctionData("collect")]);
  const receipt = await send(attacker, "collect", [registry.target]);
  assert.deepEqual(events(receipt, registry), [["Collected", attacker.target, 9n]]);
  assert.equal(await attacker.calls(), 1n);
  assert.equal(await attacker.succeeded(), false);
  assert.equal(registry.interface.parseError(await attacker.result()).name, "NothingToCollect");
  assert.equal(await provider.getBalance(attacker.target), 9n);
  assert.equal(await provider.getBalance(registry.target), 0n);
});

test("an admin that votes while it collects has one vote like anybody", LIMIT, async () => {
  const voter = await deploy("mocks/CallbackAdmin", ann);
  const registry = await registryOf(voter.target);
  const vote = registry.interface.encodeFunctionData("vote", [1]);
  await send(registry, "vote", [0], { value: 9n });
  await send(voter, "arm", [registry.target, vote]);
  const first = await send(voter, "collect", [registry.target]);
  assert.deepEqual(events(first, registry), [
    ["Collected", voter.target, 9n],
    ["Voted", voter.target, 1n, 0n],
  ]);
  await send(registry.connect(bob), "vote", [0], { value: 1n });
  await send(voter, "arm", [registry.target, vote]);
  await send(voter, "collect", [registry.target]);
  assert.equal(await voter.succeeded(), false);
  assert.deepEqual(registry.interface.parseError(await voter.result()).args.toArray(), [voter.target, 1n]);
  assert.deepEqual((await registry.counts()).toArray(), [2n, 1n, 0n]);
});

test("where the admin refuses ether, it stays", LIMIT, async () => {
  const refusing = await deploy("mocks/RefusingAdmin", ann);
  const registry = await registryOf(refusing.target);
  await send(registry, "vote", [0], { value: 4n });
  await refused(refusing, "collect", [registry.target], ["FailedCall"], { errors: registry });
  assert.equal(await provider.getBalance(registry.target), 4n);
});
