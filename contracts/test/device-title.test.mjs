import assert from "node:assert/strict";
import { test } from "node:test";
import { ZeroAddress, hexlify, randomBytes } from "ethers";
import {
  LIMIT,
  accounts,
  deploy,
  events,
  refused,
  refusedDeployment,
  send,
  tick,
  tickPast,
} from "./support.mjs";

const [issuer, owner, renter, operator, stranger] = accounts;
const FAR = 2n ** 64n - 1n;

/** A contract of titles, and the title to some device, which belongs to the owner. */
async function titled() {
  const titles = await deploy("DeviceTitle", issuer, issuer.address);
  const device = BigInt(hexlify(randomBytes(32)));
  await send(titles, "mint", [owner.address, device]);
  return { titles, device, asOwner: titles.connect(owner) };
}

/** Who of the accounts may command the device: exactly one, or nobody. */
async function commanders(titles, device) {
  const asked = [...accounts.map(({ address }) => address), ZeroAddress, titles.target];
  const answers = await Promise.all(asked.map((who) => titles.mayCommand(device, who)));
  return asked.filter((_, index) => answers[index]);
}

test("the contract says what it is", LIMIT, async () => {
  const { titles, device } = await titled();
  assert.equal(await titles.issuer(), issuer.address);
  assert.equal(await titles.name(), "Hedgerow Device Title");
  assert.equal(await titles.symbol(), "DEVICE");
  assert.equal(await titles.tokenURI(device), "");
  for (const [id, has] of [
    ["0x01ffc9a7", true], // ERC-165
    ["0x80ac58cd", true], // ERC-721
    ["0x5b5e139f", true], // its metadata
    ["0xad092b5c", true], // ERC-4907
    ["0x780e9d63", false], // ERC-721's enumeration
    ["0xffffffff", false],
  ]) {
    assert.equal(await titles.supportsInterface(id), has, id);
  }
  await refusedDeployment("DeviceTitle", issuer, [ZeroAddress], ["ZeroIssuer"]);
});

test("the issuer mints one title for each device", LIMIT, async () => {
  const titles = await deploy("DeviceTitle", owner, issuer.address);
  const asIssuer = titles.connect(issuer);
  for (const device of [0n, 2n ** 160n - 1n, 2n ** 256n - 1n]) {
    const receipt = await send(asIssuer, "mint", [owner.address, device]);
    assert.deepEqual(events(receipt, titles), [["Transfer", ZeroAddress, owner.address, device]]);
    assert.equal(await titles.ownerOf(device), owner.address);
    await refused(asIssuer, "mint", [stranger.address, device], ["ERC721InvalidSender", ZeroAddress]);
  }
  assert.equal(await titles.balanceOf(owner.address), 3n);
  assert.equal(await titles.balanceOf(stranger.address), 0n);
});

test("nobody else mints, not even the deployer or an owner", LIMIT, async () => {
  const titles = await deploy("DeviceTitle", stranger, issuer.address);
  await send(titles.connect(issuer), "mint", [owner.address, 1n]);
  for (const other of [stranger, owner]) {
    await refused(titles.connect(other), "mint", [other.address, 2n], ["NotIssuer", other.address]);
  }
  await refused(titles, "ownerOf", [2n], ["ERC721NonexistentToken", 2n]);
});

test("a title does not go where it would be lost", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  await refused(titles, "mint", [ZeroAddress, 1n], ["ERC721InvalidReceiver", ZeroAddress]);
  await refused(titles, "mint", [titles.target, 1n], ["ERC721InvalidReceiver", titles.target]);
  await refused(
    asOwner,
    "safeTransferFrom(address,address,uint256)",
    [owner.address, titles.target, device],
    ["ERC721InvalidReceiver", titles.target],
  );
  await refused(
    asOwner,
    "transferFrom",
    [owner.address, ZeroAddress, device],
    ["ERC721InvalidReceiver", ZeroAddress],
  );
  assert.equal(await titles.ownerOf(device), owner.address);
});

test("without a rental the owner commands; without a title nobody does", LIMIT, async () => {
  const { titles, device } = await titled();
  assert.deepEqual(await commanders(titles, device), [owner.address]);
  assert.deepEqual(await commanders(titles, device ^ 1n), []);
  assert.equal(await titles.userOf(device), ZeroAddress);
  assert.equal(await titles.userExpires(device), 0n);
  assert.equal(await titles.userOf(device ^ 1n), ZeroAddress);
  assert.equal(await titles.userExpires(device ^ 1n), 0n);
});

test("while a rental runs the user commands, and the owner does not", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  const receipt = await send(asOwner, "setUser", [device, renter.address, FAR]);
  assert.deepEqual(events(receipt, titles), [["UpdateUser", device, renter.address, FAR]]);
  assert.equal(await titles.userOf(device), renter.address);
  assert.equal(await titles.userExpires(device), FAR);
  assert.deepEqual(await commanders(titles, device), [renter.address]);
  assert.equal(await titles.ownerOf(device), owner.address);
});

test("a rental ends with its last second", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  const probe = await deploy("mocks/TitleProbe", stranger);
  const expires = BigInt((await tick(stranger)).timestamp) + 4n;
  await send(asOwner, "setUser", [device, renter.address, expires]);
  const seen = [];
  const ask = async () => {
    const [answer, ...more] = events(await send(probe, "probe", [titles.target, device, renter.address]), probe);
    assert.deepEqual(more, []);
    const [, timestamp] = answer;
    const runs = timestamp <= expires;
    assert.deepEqual(answer, ["Probed", timestamp, !runs, runs, runs ? renter.address : ZeroAddress]);
    seen.push(timestamp);
  };
  await ask();
  await tickPast(Number(expires), stranger, ask);
  await ask();
  assert.ok(seen[0] <= expires && seen.at(-1) > expires, `${seen} are around ${expires}`);
  assert.deepEqual(await commanders(titles, device), [owner.address]);
  assert.equal(await titles.userOf(device), ZeroAddress);
  assert.equal(await titles.userExpires(device), expires);
  // A new rental can follow, and one that is over before it begins gives nothing.
  await send(asOwner, "setUser", [device, stranger.address, FAR]);
  assert.deepEqual(await commanders(titles, device), [stranger.address]);
  await send(asOwner, "setUser", [device, renter.address, expires]);
  assert.deepEqual(await commanders(titles, device), [owner.address]);
});

test("the owner changes and ends a rental", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  await send(asOwner, "setUser", [device, renter.address, FAR]);
  await send(asOwner, "setUser", [device, stranger.address, FAR - 1n]);
  assert.deepEqual(await commanders(titles, device), [stranger.address]);
  const receipt = await send(asOwner, "setUser", [device, ZeroAddress, FAR]);
  assert.deepEqual(events(receipt, titles), [["UpdateUser", device, ZeroAddress, 0n]]);
  assert.equal(await titles.userExpires(device), 0n);
  assert.deepEqual(await commanders(titles, device), [owner.address]);
});

test("who may not transfer a title can't rent it out", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  await send(asOwner, "setUser", [device, renter.address, FAR]);
  for (const other of [issuer, renter, stranger]) {
    await refused(
      titles.connect(other),
      "setUser",
      [device, other.address, FAR],
      ["ERC721InsufficientApproval", other.address, device],
    );
  }
  await refused(asOwner, "setUser", [device ^ 1n, owner.address, FAR], ["ERC721NonexistentToken", device ^ 1n]);
  assert.deepEqual(await commanders(titles, device), [renter.address]);
});

test("a transfer ends the rental, also one to the owner itself", LIMIT, async () => {
  for (const to of [stranger, owner, renter]) {
    const { titles, device, asOwner } = await titled();
    await send(asOwner, "setUser", [device, renter.address, FAR]);
    const receipt = await send(asOwner, "transferFrom", [owner.address, to.address, device]);
    assert.deepEqual(events(receipt, titles), [
      ["Transfer", owner.address, to.address, device],
      ["UpdateUser", device, ZeroAddress, 0n],
    ]);
    assert.equal(await titles.ownerOf(device), to.address);
    assert.equal(await titles.userOf(device), ZeroAddress);
    assert.equal(await titles.userExpires(device), 0n);
    assert.deepEqual(await commanders(titles, device), [to.address]);
  }
});

test("a transfer without a rental says nothing of users", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  const name = "safeTransferFrom(address,address,uint256,bytes)";
  const receipt = await send(asOwner, name, [owner.address, stranger.address, device, "0x01"]);
  assert.deepEqual(events(receipt, titles), [["Transfer", owner.address, stranger.address, device]]);
  await refused(
    asOwner,
    "setUser",
    [device, owner.address, FAR],
    ["ERC721InsufficientApproval", owner.address, device],
  );
});

test("nobody but the owner and those it approved transfers a title", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  await send(asOwner, "setUser", [device, renter.address, FAR]);
  for (const other of [issuer, renter, stranger]) {
    await refused(
      titles.connect(other),
      "transferFrom",
      [owner.address, other.address, device],
      ["ERC721InsufficientApproval", other.address, device],
    );
  }
  await refused(
    asOwner,
    "transferFrom",
    [stranger.address, renter.address, device],
    ["ERC721IncorrectOwner", stranger.address, device, owner.address],
  );
  assert.deepEqual(await commanders(titles, device), [renter.address]);
});

test("an operator of the owner rents out and transfers, but does not command", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  const asOperator = titles.connect(operator);
  const approval = await send(asOwner, "setApprovalForAll", [operator.address, true]);
  assert.deepEqual(events(approval, titles), [["ApprovalForAll", owner.address, operator.address, true]]);
  assert.equal(await titles.isApprovedForAll(owner.address, operator.address), true);
  assert.deepEqual(await commanders(titles, device), [owner.address]);
  await send(asOperator, "setUser", [device, renter.address, FAR]);
  assert.deepEqual(await commanders(titles, device), [renter.address]);
  await send(asOwner, "setApprovalForAll", [operator.address, false]);
  await refused(
    asOperator,
    "setUser",
    [device, operator.address, FAR],
    ["ERC721InsufficientApproval", operator.address, device],
  );
  await send(asOwner, "setApprovalForAll", [operator.address, true]);
  await send(asOperator, "transferFrom", [owner.address, stranger.address, device]);
  assert.deepEqual(await commanders(titles, device), [stranger.address]);
  await refused(
    asOperator,
    "setUser",
    [device, operator.address, FAR],
    ["ERC721InsufficientApproval", operator.address, device],
  );
  await refused(asOwner, "setApprovalForAll", [ZeroAddress, true], ["ERC721InvalidOperator", ZeroAddress]);
});

test("who is approved for one title rents it out until it is transferred, but does not command", LIMIT, async () => {
  const { titles, device, asOwner } = await titled();
  const asApproved = titles.connect(operator);
  const approval = await send(asOwner, "approve", [operator.address, device]);
  assert.deepEqual(events(approval, titles), [["Approval", owner.address, operator.address, device]]);
  assert.equal(await titles.getApproved(device), operator.address);
  await send(asApproved, "setUser", [device, renter.address, FAR]);
  assert.deepEqual(await commanders(titles, device), [renter.address]);
  await send(asOwner, "transferFrom", [owner.address, stranger.address, device]);
  assert.equal(await titles.getApproved(device), ZeroAddress);
  await refused(
    asApproved,
    "setUser",
    [device, operator.address, FAR],
    ["ERC721InsufficientApproval", operator.address, device],
  );
  await refused(
    titles.connect(renter),
    "approve",
    [renter.address, device],
    ["ERC721InvalidApprover", renter.address],
  );
  await refused(titles, "balanceOf", [ZeroAddress], ["ERC721InvalidOwner", ZeroAddress]);
  await refused(titles, "getApproved", [device ^ 1n], ["ERC721NonexistentToken", device ^ 1n]);
  await refused(titles, "tokenURI", [device ^ 1n], ["ERC721NonexistentToken", device ^ 1n]);
});
