// forge script --broadcast, in a project that ethereum.sh made.
import { Interface, JsonRpcProvider } from "ethers";
import { readdirSync, readFileSync } from "node:fs";
import { ACCOUNT, check, COUNTER, failure, foundry, HTTP, MANY, MNEMONIC, program, REASON, run, same } from "./common.js";

const FORGE = foundry("forge");
const SIGNER = ["--mnemonics", MNEMONIC, "--mnemonic-indexes", String(ACCOUNT.forge)];
const counter = new Interface(COUNTER.abi);
let address;

const script = (name, args, ...options) => program(
    FORGE, ["script", "script/Deploy.s.sol", "--rpc-url", HTTP, "--broadcast", ...SIGNER, ...options, "--sig", name, ...args],
);

/// What forge keeps of the transactions it sent.
function kept(name) {
    const [chain] = readdirSync("broadcast/Deploy.s.sol");
    return JSON.parse(readFileSync(`broadcast/Deploy.s.sol/${chain}/${name}-latest.json`));
}

function counts(receipts) {
    const logs = receipts.flatMap((receipt) => receipt.logs);
    return logs.map((log) => counter.parseLog(log).args.count).join();
}

async function compiles() {
    await program(FORGE, ["build"]);
}

async function deploys_and_sends_without_waiting(seen) {
    await script("run(uint256)", [MANY]);
    const { chain, transactions, receipts } = kept("run");
    same("receipts", receipts.length, MANY + 2);
    check("all succeed", receipts.every((receipt) => receipt.status === "0x1"), receipts);
    same("events", counts(receipts), Array.from({ length: MANY }, (_, at) => at + 1).join());
    address = transactions[0].contractAddress;
    same("address in the receipt", receipts[0].contractAddress, address);
    seen.network = chain;
    seen.contract = address;
    seen["at once"] = `${receipts.length} transactions`;
}

async function goes_on_with_what_is_there(seen) {
    await script("again(address,uint256)", [address, MANY]);
    same("event", counts(kept("again").receipts), String(MANY + 1));
    seen.count = MANY + 1;
}

async function tells_why_it_fails(seen) {
    let { message } = await failure(() => script("failWithReason(address)", [address]));
    check("reason", message.includes(`script failed: ${REASON}`), message);
    ({ message } = await failure(() => script("failWithCustomError(address)", [address])));
    check("custom error", message.includes("script failed: TooMany(7, 3)"), message);
    ({ message } = await failure(() => script("send(address)", [address], "--skip-simulation")));
    const [, failed] = message.match(/Transaction Failure: (0x[0-9a-f]{64})/) ?? [];
    check("failed transaction", failed, message);
    same("its status", (await new JsonRpcProvider(HTTP).getTransactionReceipt(failed)).status, 0);
    seen.reasons = "told";
}

const release = (await program(FORGE, ["--version"])).match(/\d+\.\d+\.\d+/)[0];
await run(`forge ${release}`, [
    compiles, deploys_and_sends_without_waiting, goes_on_with_what_is_there, tells_why_it_fails,
]);
