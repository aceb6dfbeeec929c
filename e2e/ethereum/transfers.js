// How many transfers a second become final, sent as they are by eth_sendRawTransaction: at HEDGEROW_RPC, then at single nodes of
// anvil and Hardhat, which nobody has to agree with. Started by `ethereum.sh transfers [COUNT]`.
import { spawn } from "node:child_process";
import http from "node:http";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Transaction, Wallet, hexlify, randomBytes } from "ethers";

const COUNT = Number(process.argv[2] ?? 10_000);
const SENDERS = 50;
const BATCH = 100;
const LANES = 4;
const PATIENCE = 120_000;
const FUNDED = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const LIMIT = {
    hedgerow: "all validators and the gateway share this machine; each of them recovers every sender's signature",
    anvil: "one process, blocks of one second, with room for all transfers",
    hardhat: "one process in JavaScript, a block for each transaction",
};
if (!(COUNT >= SENDERS)) {
    throw new Error(`COUNT must be at least ${SENDERS}`);
}

class Node {
    #agent = new http.Agent({ keepAlive: true });

    constructor(url) {
        this.url = url;
    }

    /// Servers hang up on connections that were idle for some seconds.
    reconnect() {
        this.#agent.destroy();
        this.#agent = new http.Agent({ keepAlive: true });
    }

    post(body) {
        const text = JSON.stringify(body);
        const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
        return new Promise((resolve, reject) => {
            const request = http.request(this.url, { method: "POST", agent: this.#agent, headers, timeout: PATIENCE }, (response) => {
                const parts = [];
                response.on("data", (part) => parts.push(part));
                response.on("end", () => {
                    try {
                        resolve(JSON.parse(Buffer.concat(parts)));
                    } catch (error) {
                        reject(error);
                    }
                });
            });
            request.on("timeout", () => request.destroy(new Error(`${this.url} does not answer`)));
            request.on("error", reject);
            request.end(text);
        });
    }

    async ask(method, ...params) {
        const { result, error } = await this.post({ jsonrpc: "2.0", id: 1, method, params });
        if (error) {
            throw new Error(`${method}: ${error.message}`);
        }
        return result;
    }

    /// How many of the senders' transactions are executed, as far as the newest block knows.
    async executed(senders) {
        const ask = ({ address }, id) => ({ jsonrpc: "2.0", id, method: "eth_getTransactionCount", params: [address, "latest"] });
        const answers = await this.post(senders.map(ask));
        return answers.reduce((sum, { result }) => sum + Number(result), 0);
    }
}

async function until(what, done) {
    const end = performance.now() + PATIENCE;
    while (!(await done())) {
        if (performance.now() > end) {
            throw new Error(`not within ${PATIENCE / 1000} s: ${what}`);
        }
        await sleep(10);
    }
}

async function measure(node) {
    const chainId = BigInt(await node.ask("eth_chainId"));
    const price = BigInt(await node.ask("eth_gasPrice")) * 2n;
    const plain = { chainId, gasLimit: 21_000n, type: 2, maxFeePerGas: price, maxPriorityFeePerGas: 0n, value: 1n };
    const senders = Array.from({ length: SENDERS }, () => new Wallet(hexlify(randomBytes(32))));
    const funded = new Wallet(FUNDED);
    let nonce = Number(await node.ask("eth_getTransactionCount", funded.address, "pending"));
    for (const { address } of senders) {
        const gift = { ...plain, to: address, value: 10n ** 18n, nonce: nonce++ };
        await node.ask("eth_sendRawTransaction", await funded.signTransaction(gift));
    }
    await until("the senders are funded", async () => Number(await node.ask("eth_getTransactionCount", funded.address, "latest")) >= nonce);
    // Signed beforehand: what is measured is the node.
    const signed = [];
    for (let number = 0; signed.length < COUNT; number++) {
        for (const sender of senders.slice(0, COUNT - signed.length)) {
            const transfer = Transaction.from({ ...plain, to: funded.address, nonce: number });
            transfer.signature = sender.signingKey.sign(transfer.unsignedHash);
            signed.push(transfer.serialized);
        }
    }
    node.reconnect();
    const bodies = [];
    for (let first = 0; first < COUNT; first += BATCH) {
        bodies.push(signed.slice(first, first + BATCH).map((transfer, id) => ({ jsonrpc: "2.0", id, method: "eth_sendRawTransaction", params: [transfer] })));
    }
    const began = performance.now();
    const lane = async () => {
        for (let body = bodies.shift(); body; body = bodies.shift()) {
            const refused = (await node.post(body)).find(({ error }) => error);
            if (refused) {
                throw new Error(`a transfer was refused: ${refused.error.message}`);
            }
        }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const taken = performance.now();
    await until("all transfers are executed", async () => (await node.executed(senders)) === COUNT);
    const rate = (end) => Math.round((COUNT / (end - began)) * 1000);
    return { taken: rate(taken), final: rate(performance.now()) };
}

function freePort() {
    return new Promise((resolve) => {
        const server = createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

/// Measures a node that a command starts.
async function other(command) {
    const port = await freePort();
    const [file, ...args] = command(port);
    // A group of its own: npm's programs start others.
    const child = spawn(file, args, { stdio: "ignore", detached: true });
    try {
        const node = new Node(`http://127.0.0.1:${port}`);
        await until(`${file} answers`, () => node.ask("eth_chainId").catch(() => false));
        return await measure(node);
    } finally {
        process.kill(-child.pid, "SIGKILL");
    }
}

const bin = "node_modules/.bin";
const rows = {
    hedgerow: await measure(new Node(process.env.HEDGEROW_RPC)),
    anvil: await other((port) => [`${bin}/anvil`, "--port", port, "--block-time", "1", "--gas-limit", "1000000000", "--silent", "--order", "fifo"]),
    hardhat: await other((port) => [`${bin}/hardhat`, "node", "--port", port]),
};
console.log(`${COUNT} transfers of ${SENDERS} senders, in batches of ${BATCH}, ${LANES} at a time`);
for (const [name, { taken, final }] of Object.entries(rows)) {
    const ratio = (rows.hedgerow.final / final).toFixed(2);
    console.log(`${name.padEnd(9)} ${String(final).padStart(6)} final/s  ${String(taken).padStart(6)} taken/s  hedgerow is ${ratio} times as fast; ${LIMIT[name]}`);
}
process.exit(0);
