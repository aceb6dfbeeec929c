// ethers: JsonRpcProvider, which batches by itself, and WebSocketProvider.
import {
    Contract, ContractFactory, decodeRlp, encodeRlp, HDNodeWallet, JsonRpcProvider, keccak256, Mnemonic,
    NonceManager, toBeHex, toQuantity, version, WebSocketProvider, ZeroHash,
} from "ethers";
import { ACCOUNT, Arrivals, check, COUNTER, failure, HTTP, MANY, MNEMONIC, REASON, run, same, WS } from "./common.js";

const requests = { made: 0, batched: 0 };
// Blocks come faster than ethers expects: by default it repeats an answer for 250 ms, such as a nonce used up since.
const provider = new JsonRpcProvider(HTTP, undefined, { pollingInterval: 250, cacheTimeout: -1 });
const wallet = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(MNEMONIC), `m/44'/60'/0'/0/${ACCOUNT.ethers}`)
    .connect(provider);
let ws, counter, address, network, deployment, receipt;

provider.on("debug", ({ action, payload }) => {
    if (action === "sendRpcPayload") {
        requests.made += 1;
        requests.batched += Array.isArray(payload) ? 1 : 0;
    }
});

/// What a proof's nodes say is stored under a key: the RLP of the value, or null where there is none.
function proven(root, key, proof) {
    let expected = root;
    let path = keccak256(key).slice(2);
    for (const node of proof) {
        same("a node of the proof", keccak256(node), expected);
        let items = decodeRlp(node);
        for (;;) {
            let next;
            if (items.length === 17) {
                next = items[Number.parseInt(path[0], 16)];
                path = path.slice(1);
            } else {
                const odd = Number.parseInt(items[0][2], 16) & 1;
                const part = items[0].slice(odd ? 3 : 4);
                if (!path.startsWith(part)) {
                    return null;
                }
                path = path.slice(part.length);
                next = items[1];
            }
            if (path === "" || next === "0x") {
                return next === "0x" ? null : next;
            }
            if (!Array.isArray(next)) {
                expected = next;
                break;
            }
            items = next; // a small node, inside the one above
        }
    }
    throw new Error("the proof ends too early");
}

async function reads_the_network(seen) {
    network = await provider.getNetwork();
    same("chain id", toQuantity(network.chainId), await provider.send("eth_chainId", []));
    check("balance", await provider.getBalance(wallet.address) > 0n);
    seen.network = network.chainId;
}

async function deploys(seen) {
    const contract = await new ContractFactory(COUNTER.abi, COUNTER.bytecode, wallet).deploy();
    deployment = await contract.deploymentTransaction().wait();
    address = await contract.getAddress();
    same("address in the receipt", deployment.contractAddress, address);
    counter = new Contract(address, COUNTER.abi, wallet);
    same("count at first", await counter.count(), 0n);
    seen.contract = address;
}

async function sends_and_sees_by_subscription(seen) {
    ws = new WebSocketProvider(WS);
    const [heads, events] = [new Arrivals(), new Arrivals()];
    await ws.on("block", (height) => heads.add(height));
    await counter.connect(ws).on("Incremented", (caller, count, event) => events.add({ caller, count, event }));
    // Subscriptions that were asked for are there when the next answer is.
    await ws.getBlockNumber();

    receipt = await (await counter.increment()).wait();
    same("status", receipt.status, 1);
    const [event] = receipt.logs.map((log) => counter.interface.parseLog(log));
    same("event in the receipt", event.name, "Incremented");
    same("its caller", event.args.caller, wallet.address);
    same("its count", event.args.count, 1n);
    same("count", await counter.count(), 1n);

    const arrived = await events.find(() => true);
    same("caller over WebSocket", arrived.caller, wallet.address);
    same("count over WebSocket", arrived.count, 1n);
    same("transaction over WebSocket", arrived.event.log.transactionHash, receipt.hash);
    await heads.find((height) => height >= receipt.blockNumber);
    await ws.destroy();
    seen["event by subscription in block"] = receipt.blockNumber;
}

async function sends_without_waiting(seen) {
    const manager = new NonceManager(wallet);
    const sender = counter.connect(manager);
    const sent = await Promise.all(Array.from({ length: MANY }, () => sender.increment()));
    const receipts = await Promise.all(sent.map((transaction) => transaction.wait()));
    check("all succeed", receipts.every((each) => each.status === 1), receipts);
    same("different nonces", new Set(sent.map((each) => each.nonce)).size, MANY);
    same("count", await counter.count(), BigInt(MANY + 1));
    same("nonce", await wallet.getNonce("latest"), await wallet.getNonce("pending"));
    seen["at once"] = `${MANY} transactions`;
}

async function finds_events(seen) {
    const found = await counter.queryFilter(counter.filters.Incremented(wallet.address), deployment.blockNumber);
    same("events", found.length, MANY + 1);
    found.forEach((event, at) => same("their order", event.args.count, BigInt(at + 1)));
    const others = counter.filters.Incremented(address);
    same("another's events", (await counter.queryFilter(others, deployment.blockNumber)).length, 0);
    const logs = await provider.getLogs({ address, blockHash: receipt.blockHash });
    same("events by block hash", logs.filter((log) => log.transactionHash === receipt.hash).length, 1);
    seen.events = found.length;
}

async function tells_why_it_fails(seen) {
    for (const way of ["staticCall", "estimateGas"]) {
        let error = await failure(() => counter.failWithReason[way]());
        same(`${way}: code`, error.code, "CALL_EXCEPTION");
        same(`${way}: reason`, error.reason, REASON);
        error = await failure(() => counter.failWithCustomError[way]());
        // An estimate's error is decoded by hand: ethers does so for calls only.
        const custom = error.revert ?? counter.interface.parseError(error.data);
        same(`${way}: custom error`, custom.name, "TooMany");
        same(`${way}: its arguments`, custom.args.join(), "7,3");
        error = await failure(() => counter.failWithoutMessage[way]());
        same(`${way}: code without message`, error.code, "CALL_EXCEPTION");
        same(`${way}: reason without message`, error.reason, "require(false)");
        same(`${way}: data without message`, error.data, "0x");
    }
    const transaction = await counter.failWithReason({ gasLimit: 100_000 });
    const error = await failure(() => transaction.wait());
    same("failed transaction", error.code, "CALL_EXCEPTION");
    same("its status", error.receipt.status, 0);
    same("status when asked again", (await provider.getTransactionReceipt(transaction.hash)).status, 0);
    seen.reasons = "told";
}

async function gets_ether_back() {
    const value = 10n ** 18n;
    const before = await provider.getBalance(wallet.address);
    await (await counter.sendBack({ value })).wait();
    same("contract's balance", await provider.getBalance(address), 0n);
    same("balance", await provider.getBalance(wallet.address), before); // gas costs nothing
}

async function reads_the_rest(seen) {
    const block = await provider.getBlock(receipt.blockNumber, true);
    same("block", block.hash, receipt.blockHash);
    const inside = block.prefetchedTransactions.find((each) => each.hash === receipt.hash);
    same("sender of the block's transaction", inside?.from, wallet.address);
    same("block by hash", (await provider.getBlock(block.hash)).number, block.number);
    same("transaction", (await provider.getTransaction(receipt.hash)).blockHash, block.hash);
    check("code", (await provider.getCode(address)).length > 100);
    same("slot", await provider.getStorage(address, 0), toBeHex(MANY + 1, 32));
    const fees = await provider.getFeeData();
    same("gas price", fees.gasPrice, 0n);
    const history = await provider.send("eth_feeHistory", ["0x5", "latest", [25, 75]]);
    same("fee history", history.gasUsedRatio.length, 5);
    same("rewards", history.reward.flat().join(), Array(10).fill("0x0").join());
    seen["gas price"] = fees.gasPrice;
}

async function verifies_a_proof(seen) {
    const { number, stateRoot } = await provider.getBlock("latest");
    const slots = [ZeroHash, toBeHex(1, 32)];
    const proof = await provider.send("eth_getProof", [address, slots, toQuantity(number)]);
    const account = proven(stateRoot, address, proof.accountProof);
    const amount = (quantity) => (BigInt(quantity) === 0n ? "0x" : toBeHex(quantity));
    const fields = [amount(proof.nonce), amount(proof.balance), proof.storageHash, proof.codeHash];
    same("account", account, encodeRlp(fields));
    same("code's hash", proof.codeHash, keccak256(await provider.getCode(address)));
    const [zero, one] = proof.storageProof;
    same("slot 0", BigInt(zero.value), BigInt(MANY + 1));
    same("slot 0, proven", proven(proof.storageHash, slots[0], zero.proof), encodeRlp(amount(zero.value)));
    same("slot 1", BigInt(one.value), 0n);
    same("slot 1, proven", proven(proof.storageHash, slots[1], one.proof), null);
    seen["proof in block"] = number;
}

async function batches(seen) {
    const before = { ...requests };
    const accounts = Array.from({ length: 10 }, (_, at) => toBeHex(at + 1, 20));
    const balances = await Promise.all([wallet.address, ...accounts].map((each) => provider.getBalance(each)));
    check("balances", balances.every((each) => typeof each === "bigint"), balances);
    same("requests", requests.made - before.made, 1);
    same("batches", requests.batched - before.batched, 1);
    seen.batches = requests.batched;
}

async function sends_raw_and_gets_the_receipt(seen) {
    const call = await counter.increment.populateTransaction();
    const signed = await wallet.signTransaction(await wallet.populateTransaction(call));
    const answer = await provider.send("eth_sendRawTransactionSync", [signed]);
    same("status", answer.status, "0x1");
    same("hash", answer.transactionHash, keccak256(signed));
    seen["receipt at once in block"] = Number(answer.blockNumber);
}

await run(`ethers ${version}`, [
    reads_the_network, deploys, sends_and_sees_by_subscription, sends_without_waiting, finds_events,
    tells_why_it_fails, gets_ether_back, reads_the_rest, verifies_a_proof, batches, sends_raw_and_gets_the_receipt,
]);
