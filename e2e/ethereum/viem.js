// viem: the http transport with batches, and the webSocket transport.
import {
    BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, encodeFunctionData,
    getAddress, getContract, http, keccak256, pad, parseEventLogs, toHex, webSocket,
} from "viem";
import { createNonceManager, mnemonicToAccount } from "viem/accounts";
import { jsonRpc } from "viem/nonce";
import {
    ACCOUNT, Arrivals, check, COUNTER, failure, HTTP, MANY, MNEMONIC, PATIENCE, REASON, run, same, version, WS,
} from "./common.js";

const { abi, bytecode } = COUNTER;
const options = { retryCount: 0, timeout: PATIENCE };
const nonceManager = createNonceManager({ source: jsonRpc() });
const account = mnemonicToAccount(MNEMONIC, { addressIndex: ACCOUNT.viem, nonceManager });
let batches = 0;
let client, wallet, counter, address, deployment, receipt;

async function reads_the_network(seen) {
    const id = await createPublicClient({ transport: http(HTTP, options) }).getChainId();
    const chain = defineChain({
        id,
        name: "Hedgerow",
        nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
        rpcUrls: { default: { http: [HTTP], webSocket: [WS] } },
    });
    const onFetchRequest = async (request) => {
        batches += Array.isArray(await request.clone().json()) ? 1 : 0;
    };
    const transport = http(HTTP, { ...options, batch: true, onFetchRequest });
    client = createPublicClient({ chain, transport, pollingInterval: 250, cacheTime: 0 });
    wallet = createWalletClient({ account, chain, transport, pollingInterval: 250 });
    check("balance", await client.getBalance({ address: account.address }) > 0n);
    seen.network = id;
}

const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: PATIENCE });

async function deploys(seen) {
    deployment = await mined(await wallet.deployContract({ abi, bytecode }));
    same("status", deployment.status, "success");
    address = getAddress(deployment.contractAddress);
    counter = getContract({ abi, address, client: { public: client, wallet } });
    same("count at first", await counter.read.count(), 0n);
    seen.contract = address;
}

async function sends_and_sees_by_subscription(seen) {
    const ws = createPublicClient({ chain: client.chain, transport: webSocket(WS, options) });
    const [heads, events] = [new Arrivals(), new Arrivals()];
    const unwatch = [
        ws.watchBlocks({ onBlock: (block) => heads.add(block), onError: (error) => heads.fail(error) }),
        ws.watchContractEvent({
            abi,
            address,
            eventName: "Incremented",
            args: { caller: account.address },
            onLogs: (logs) => logs.forEach((log) => events.add(log)),
            onError: (error) => events.fail(error),
        }),
    ];
    // Subscriptions that were asked for are there when the next answer is.
    await ws.getBlockNumber();

    receipt = await mined(await counter.write.increment());
    same("status", receipt.status, "success");
    const [event] = parseEventLogs({ abi, logs: receipt.logs, eventName: "Incremented" });
    same("caller in the receipt", event?.args.caller, account.address);
    same("count in the receipt", event.args.count, 1n);
    same("count", await counter.read.count(), 1n);

    const arrived = await events.find(() => true);
    same("count over WebSocket", arrived.args.count, 1n);
    same("transaction over WebSocket", arrived.transactionHash, receipt.transactionHash);
    const head = await heads.find((block) => block.number >= receipt.blockNumber);
    same("head over WebSocket", (await client.getBlock({ blockNumber: head.number })).hash, head.hash);
    unwatch.forEach((stop) => stop());
    (await ws.transport.getRpcClient()).close();
    seen["event by subscription in block"] = receipt.blockNumber;
}

async function sends_without_waiting(seen) {
    const sent = await Promise.all(Array.from({ length: MANY }, () => counter.write.increment()));
    const receipts = await Promise.all(sent.map(mined));
    check("all succeed", receipts.every((each) => each.status === "success"), receipts);
    same("count", await counter.read.count(), BigInt(MANY + 1));
    const nonces = await Promise.all(["latest", "pending"].map((blockTag) => (
        client.getTransactionCount({ address: account.address, blockTag })
    )));
    same("nonce", nonces[0], nonces[1]);
    seen["at once"] = `${MANY} transactions`;
}

async function finds_events(seen) {
    const fromBlock = deployment.blockNumber;
    const found = await counter.getEvents.Incremented({ caller: account.address }, { fromBlock });
    same("events", found.length, MANY + 1);
    found.forEach((event, at) => same("their order", event.args.count, BigInt(at + 1)));
    same("another's events", (await counter.getEvents.Incremented({ caller: address }, { fromBlock })).length, 0);
    const filter = await client.createContractEventFilter({ abi, address, eventName: "Incremented", fromBlock });
    same("events by a filter", (await client.getFilterLogs({ filter })).length, MANY + 1);
    await mined(await counter.write.increment());
    same("changes by a filter", (await client.getFilterChanges({ filter })).length, 1);
    check("the filter is forgotten", await client.uninstallFilter({ filter }));
    seen.events = found.length;
}

/// What viem makes of a revert.
async function revert(what, action) {
    const error = await failure(action);
    const found = error instanceof BaseError && error.walk((each) => each instanceof ContractFunctionRevertedError);
    check(what, found, error.message);
    return found;
}

async function tells_why_it_fails(seen) {
    for (const way of ["simulate", "estimateGas"]) {
        const options = { account };
        const reasoned = await revert(way, () => counter[way].failWithReason(options));
        same(`${way}: reason`, reasoned.reason, REASON);
        const custom = await revert(way, () => counter[way].failWithCustomError(options));
        same(`${way}: custom error`, custom.data?.errorName, "TooMany");
        same(`${way}: its arguments`, custom.data.args.join(), "7,3");
        const silent = await revert(way, () => counter[way].failWithoutMessage(options));
        same(`${way}: reason without message`, silent.reason, "execution reverted");
        same(`${way}: data without message`, silent.data, undefined);
    }
    const failed = await mined(await counter.write.failWithReason({ gas: 100_000n }));
    same("failed transaction", failed.status, "reverted");
    seen.reasons = "told";
}

async function gets_ether_back() {
    const value = 10n ** 18n;
    const before = await client.getBalance({ address: account.address });
    same("status", (await mined(await counter.write.sendBack({ value }))).status, "success");
    same("contract's balance", await client.getBalance({ address }), 0n);
    same("balance", await client.getBalance({ address: account.address }), before); // gas costs nothing
}

async function reads_the_rest(seen) {
    const block = await client.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true });
    same("block", block.hash, receipt.blockHash);
    const inside = block.transactions.find((each) => each.hash === receipt.transactionHash);
    same("sender of the block's transaction", getAddress(inside?.from ?? address), account.address);
    same("block by hash", (await client.getBlock({ blockHash: block.hash })).number, block.number);
    same("transaction", (await client.getTransaction({ hash: receipt.transactionHash })).blockHash, block.hash);
    check("code", (await client.getCode({ address })).length > 100);
    same("slot", BigInt(await client.getStorageAt({ address, slot: "0x0" })), BigInt(MANY + 2));
    const fees = await client.estimateFeesPerGas();
    same("most per gas", fees.maxFeePerGas, 0n);
    same("tip", fees.maxPriorityFeePerGas, 0n);
    same("gas price", await client.getGasPrice(), 0n);
    const history = await client.getFeeHistory({ blockCount: 5, rewardPercentiles: [25, 75] });
    same("fee history", history.gasUsedRatio.length, 5);
    same("rewards", history.reward.flat().join(), Array(10).fill(0n).join());
    seen["gas price"] = fees.maxFeePerGas;
}

async function reads_a_proof(seen) {
    const block = await client.getBlock();
    const slot = pad("0x0");
    const proof = await client.getProof({ address, storageKeys: [slot], blockNumber: block.number });
    same("root of the proof", keccak256(proof.accountProof[0]), block.stateRoot);
    same("root of the storage's proof", keccak256(proof.storageProof[0].proof[0]), proof.storageHash);
    same("code's hash", proof.codeHash, keccak256(await client.getCode({ address })));
    same("nonce", proof.nonce, 1);
    same("slot", BigInt(proof.storageProof[0].key), BigInt(slot));
    same("its value", proof.storageProof[0].value, BigInt(MANY + 2));
    seen["proof in block"] = block.number;
}

async function batched(seen) {
    const before = batches;
    const accounts = Array.from({ length: 10 }, (_, at) => pad(toHex(at + 1), { size: 20 }));
    const balances = await Promise.all(accounts.map((each) => client.getBalance({ address: each })));
    same("balances", balances.length, 10);
    same("batches", batches - before, 1);
    seen.batches = batches;
}

async function sends_and_gets_the_receipt(seen) {
    const data = encodeFunctionData({ abi, functionName: "increment" });
    const request = await wallet.prepareTransactionRequest({ to: address, data });
    const serializedTransaction = await wallet.signTransaction(request);
    const answer = await wallet.sendRawTransactionSync({ serializedTransaction });
    same("status", answer.status, "success");
    same("hash", answer.transactionHash, keccak256(serializedTransaction));
    const again = await wallet.writeContractSync({ abi, address, functionName: "increment" });
    same("status of writeContractSync", again.status, "success");
    seen["receipt at once in block"] = answer.blockNumber;
}

await run(`viem ${version("viem")}`, [
    reads_the_network, deploys, sends_and_sees_by_subscription, sends_without_waiting, finds_events,
    tells_why_it_fails, gets_ether_back, reads_the_rest, reads_a_proof, batched, sends_and_gets_the_receipt,
]);
