// cast, Foundry's command line.
import { Interface } from "ethers";
import { ACCOUNT, check, COUNTER, failure, foundry, HTTP, MANY, MNEMONIC, program, REASON, run, same } from "./common.js";

const CAST = foundry("cast");
const SIGNER = ["--mnemonic", MNEMONIC, "--mnemonic-index", String(ACCOUNT.cast)];
const env = { ...process.env, ETH_RPC_URL: HTTP };
const counter = new Interface(COUNTER.abi);
let me, address, deployment, receipt;

const cast = (...args) => program(CAST, args, { env });
const json = async (...args) => JSON.parse(await cast(...args, "--json"));
const send = (...args) => json("send", ...SIGNER, ...args);
const count = async () => BigInt(await cast("call", address, "count()", "--block", "latest"));

async function reads_the_network(seen) {
    me = await cast("wallet", "address", ...SIGNER);
    seen.network = await cast("chain-id");
    same("chain id", BigInt(await json("rpc", "eth_chainId")), BigInt(seen.network));
    check("client", (await cast("client")).startsWith("hedgerow/"));
    check("balance", BigInt(await cast("balance", me)) > 0n);
}

async function deploys(seen) {
    deployment = await send("--create", COUNTER.bytecode);
    same("status", deployment.status, "0x1");
    address = deployment.contractAddress;
    same("count at first", await count(), 0n);
    seen.contract = address;
}

async function sends() {
    receipt = await send(address, "increment()");
    same("status", receipt.status, "0x1");
    same("receipt when asked again", (await json("receipt", receipt.transactionHash)).blockHash, receipt.blockHash);
    const event = counter.parseLog(receipt.logs[0]);
    same("caller in the receipt", event.args.caller, me);
    same("count in the receipt", event.args.count, 1n);
    same("count", await count(), 1n);
}

async function sends_without_waiting(seen) {
    const first = Number(await cast("nonce", me, "--block", "pending"));
    const sent = await Promise.all(Array.from({ length: MANY }, (_, at) => cast(
        "send", ...SIGNER, "--async", "--nonce", String(first + at), "--gas-limit", "100000", address, "increment()",
    )));
    for (const transaction of sent) {
        same("status", (await json("receipt", transaction)).status, "0x1");
    }
    same("count", await count(), BigInt(MANY + 1));
    same("nonce", Number(await cast("nonce", me)), first + MANY);
    seen["at once"] = `${MANY} transactions`;
}

async function finds_events(seen) {
    const query = ["--from-block", String(BigInt(deployment.blockNumber)), "--address", address];
    const event = "Incremented(address indexed,uint256)";
    const found = await json("logs", ...query, event, me);
    same("events", found.length, MANY + 1);
    found.forEach((log, at) => same("their order", counter.parseLog(log).args.count, BigInt(at + 1)));
    same("another's events", (await json("logs", ...query, event, address)).length, 0);
    seen.events = found.length;
}

async function tells_why_it_fails(seen) {
    for (const way of ["call", "estimate"]) {
        let { message } = await failure(() => cast(way, "--from", me, address, "failWithReason()"));
        check(`${way}: reason`, message.includes(`execution reverted: ${REASON}`), message);
        ({ message } = await failure(() => cast(way, "--from", me, address, "failWithCustomError()")));
        const [data] = message.match(/0x[0-9a-f]{136}/) ?? [];
        check(`${way}: custom error`, data, message);
        const custom = await cast("decode-error", data, "--sig", "TooMany(uint256,uint256)");
        check(`${way}: its arguments`, /^7\s+3$/.test(custom), custom);
        ({ message } = await failure(() => cast(way, "--from", me, address, "failWithoutMessage()")));
        check(`${way}: without message`, message.includes("execution reverted"), message);
    }
    const failed = await send("--gas-limit", "100000", address, "failWithReason()");
    same("status of a failed transaction", failed.status, "0x0");
    seen.reasons = "told";
}

async function gets_ether_back() {
    const before = await cast("balance", me);
    same("status", (await send("--value", "1ether", address, "sendBack()")).status, "0x1");
    same("contract's balance", await cast("balance", address), "0");
    same("balance", await cast("balance", me), before); // gas costs nothing
}

async function reads_the_rest(seen) {
    const block = await json("block", String(BigInt(receipt.blockNumber)), "--full");
    same("block", block.hash, receipt.blockHash);
    const inside = block.transactions.find((each) => each.hash === receipt.transactionHash);
    same("sender of the block's transaction", inside?.from, me.toLowerCase());
    same("block by hash", (await json("block", block.hash)).number, block.number);
    same("transaction", (await json("tx", receipt.transactionHash)).blockHash, block.hash);
    check("code", (await cast("code", address)).length > 100);
    same("slot", BigInt(await cast("storage", address, "0")), BigInt(MANY + 1));
    seen["gas price"] = await cast("gas-price");
    same("gas price", seen["gas price"], "0");
    same("base fee", await cast("base-fee"), "0");
    const history = await json("rpc", "eth_feeHistory", "0x5", "latest", "[25, 75]");
    same("fee history", history.gasUsedRatio.length, 5);
    const newest = await cast("block-number");
    const proof = await json("proof", address, "0", "--block", newest);
    same("proven slot", BigInt(proof.storageProof[0].value), BigInt(MANY + 1));
    const root = await cast("keccak", proof.accountProof[0]);
    same("root of the proof", root, (await json("block", newest)).stateRoot);
    seen["proof in block"] = newest;
}

async function traces(seen) {
    const hash = receipt.transactionHash;
    const calls = await json("rpc", "debug_traceTransaction", hash, '{"tracer": "callTracer", "tracerConfig": {"withLog": true}}');
    same("who calls", calls.from, me.toLowerCase());
    same("what is called", calls.to, address.toLowerCase());
    same("gas", calls.gasUsed, receipt.gasUsed);
    same("event", calls.logs[0].data, receipt.logs[0].data);
    const changes = await json("rpc", "debug_traceTransaction", hash, '{"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}}');
    const [slot] = Object.values(changes.post[address.toLowerCase()].storage);
    same("count after it", BigInt(slot), 1n);
    const { structLogs } = await json("rpc", "debug_traceTransaction", hash, "{}");
    check("a step stores", structLogs.some((step) => step.op === "SSTORE"));
    const { accessList, error } = await json("access-list", "--from", me, address, "increment()");
    same("error of the access list", error, undefined);
    same("slots", accessList.map((item) => item.storageKeys.length).join(), "1");
    const overridden = ["--override-state-diff", `${address}:0:0x4d`];
    same("count if it were so", BigInt(await cast("call", address, "count()", ...overridden)), 77n);
    seen.steps = structLogs.length;
}

async function sends_raw_and_gets_the_receipt(seen) {
    const signed = await cast("mktx", ...SIGNER, address, "increment()");
    const answer = await json("rpc", "eth_sendRawTransactionSync", signed);
    same("status", answer.status, "0x1");
    same("hash", answer.transactionHash, await cast("keccak", signed));
    const published = await json("publish", await cast("mktx", ...SIGNER, address, "increment()"));
    same("status of a published transaction", published.status, "0x1");
    seen["receipt at once in block"] = Number(answer.blockNumber);
}

const release = (await cast("--version")).match(/\d+\.\d+\.\d+/)[0];
await run(`cast ${release}`, [
    reads_the_network, deploys, sends, sends_without_waiting, finds_events, tells_why_it_fails, gets_ether_back,
    reads_the_rest, traces, sends_raw_and_gets_the_receipt,
]);
