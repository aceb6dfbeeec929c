// What the tests share: the network in HEDGEROW_RPC, the accounts, and how a refusal is checked.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Contract,
  ContractFactory,
  FetchRequest,
  HDNodeWallet,
  Interface,
  JsonRpcProvider,
  Network,
} from "ethers";

/** How long an answer or a receipt may take, in milliseconds. */
const PATIENCE = 20_000;

/** How long a whole test may take, in milliseconds. */
export const LIMIT = { timeout: 120_000 };

/** Enough gas for anything here; given where a transaction is to be executed although it fails. */
const GAS = 3_000_000n;

const MNEMONIC = "test test test test test test test test test test test junk";

const url = process.env.HEDGEROW_RPC;
if (!url) throw new Error("HEDGEROW_RPC must be the URL of a network's JSON-RPC");

/** The network's number, asked for before ethers starts, which would otherwise ask for ever. */
async function chainId() {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
    signal: AbortSignal.timeout(PATIENCE),
  });
  return BigInt((await response.json()).result);
}

function connect(network) {
  const request = new FetchRequest(url);
  request.timeout = PATIENCE;
  // No cache: an answer must not be older than the transaction before it.
  return new JsonRpcProvider(request, network, {
    batchMaxCount: 1,
    cacheTimeout: -1,
    staticNetwork: network,
  });
}

export const provider = connect(Network.from(await chainId()));
after(() => provider.destroy());

/** The accounts 5 to 9 of the mnemonic; others belong to other tests. */
export const accounts = [5, 6, 7, 8, 9].map((index) =>
  HDNodeWallet.fromPhrase(MNEMONIC, undefined, `m/44'/60'/0'/0/${index}`).connect(provider),
);

/** An artifact, such as "VoteRegistry" or "mocks/PlainToken". */
export function artifact(name) {
  return JSON.parse(readFileSync(new URL(`../artifacts/${name}.json`, import.meta.url), "utf8"));
}

/**
 * Waits for a transaction. Its receipt, also when it failed. Asks again and again: `wait` of ethers looks once and then
 * at new blocks only, so it would miss one that came in between, and there may be none afterwards.
 */
export async function receiptOf({ hash }) {
  const until = Date.now() + PATIENCE;
  while (Date.now() < until) {
    const receipt = await provider.getTransactionReceipt(hash);
    if (receipt) return receipt;
    await sleep(20);
  }
  assert.fail(`no receipt of ${hash} after ${PATIENCE} ms`);
}

/** Deploys an artifact. */
export async function deploy(name, signer, ...args) {
  const { abi, bytecode } = artifact(name);
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args);
  const receipt = await receiptOf(contract.deploymentTransaction());
  assert.equal(receipt.status, 1, `${name} is deployed`);
  return new Contract(receipt.contractAddress, abi, signer);
}

/** Sends a call of a contract's function, whose gas is estimated. Its receipt; it must succeed. */
export async function send(contract, name, args = [], overrides = {}) {
  const receipt = await receiptOf(await contract.getFunction(name).send(...args, overrides));
  assert.equal(receipt.status, 1, `${name} succeeds`);
  return receipt;
}

/** The events of the given contracts in a receipt, as [name, ...arguments]. All of its logs must be theirs. */
export function events(receipt, ...contracts) {
  return receipt.logs.map((log) => {
    const contract = contracts.find(({ target }) => target === log.address);
    assert.ok(contract, `a log of ${log.address}`);
    const { name, args } = contract.interface.parseLog(log);
    return [name, ...args.toArray()];
  });
}

/** That something is refused as a revert with this error, given as [name, ...arguments]. */
async function fails(what, asked, abi, expected) {
  let error;
  try {
    await asked();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `${what} is refused`);
  assert.equal(error.code, "CALL_EXCEPTION", `${what}: ${error.message}`);
  const parsed = abi.parseError(error.data ?? "0x");
  assert.deepEqual(parsed && [parsed.name, ...parsed.args.toArray()], expected, `${what}: ${error.data}`);
}

/** That a request fails three ways: called, estimated, and executed, where it leaves no event. */
async function refusedRequest(signer, request, abi, expected) {
  await fails("eth_call", () => signer.call(request), abi, expected);
  await fails("eth_estimateGas", () => signer.estimateGas(request), abi, expected);
  const receipt = await receiptOf(await signer.sendTransaction({ ...request, gasLimit: GAS }));
  assert.equal(receipt.status, 0, "executed, it fails");
  assert.deepEqual(receipt.logs, []);
  assert.ok(receipt.gasUsed < GAS, "by a revert, not for want of gas");
}

/**
 * That a contract refuses a call with this error, given as [name, ...arguments]. `errors` is the contract that declares
 * the error, when it is another one.
 */
export async function refused(contract, name, args, expected, { value = 0n, errors = contract } = {}) {
  const request = { ...(await contract.getFunction(name).populateTransaction(...args)), value };
  await refusedRequest(contract.runner, request, errors.interface, expected);
}

/** That an artifact can't be deployed with these arguments. */
export async function refusedDeployment(name, signer, args, expected) {
  const { abi, bytecode } = artifact(name);
  const request = await new ContractFactory(abi, bytecode, signer).getDeployTransaction(...args);
  await refusedRequest(signer, request, new Interface(abi), expected);
}

/** Makes a block happen, and gives its number and time: there may be none without a transaction. */
export async function tick(signer) {
  const receipt = await receiptOf(await signer.sendTransaction({ to: signer.address }));
  const { timestamp } = await provider.getBlock(receipt.blockNumber);
  return { number: receipt.blockNumber, timestamp };
}

/** Makes blocks until one is later than a second, and gives it. What `each` returns is awaited for each block. */
export async function tickPast(second, signer, each = () => {}) {
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    const block = await tick(signer);
    await each(block);
    if (block.timestamp > second) return block;
    await sleep(150);
  }
  assert.fail(`no block is later than ${second}`);
}
