// Hardhat 3 with its ethers, in a project that ethereum.sh made: `hardhat run hardhat.js --network hedgerow`.
import { network } from "hardhat";
import { check, failure, MANY, REASON, run, same, version } from "./common.js";

let ethers, provider, me, counter, address, deployment, receipt;

async function reads_the_network(seen) {
    ({ ethers, provider } = await network.create());
    [me] = await ethers.getSigners();
    seen.network = (await ethers.provider.getNetwork()).chainId;
    same("chain id", await provider.request({ method: "eth_chainId" }), ethers.toQuantity(seen.network));
    check("balance", await ethers.provider.getBalance(me) > 0n);
}

async function deploys(seen) {
    counter = await ethers.deployContract("Counter");
    await counter.waitForDeployment();
    deployment = await counter.deploymentTransaction().wait();
    address = await counter.getAddress();
    same("address in the receipt", deployment.contractAddress, address);
    same("count at first", await counter.count(), 0n);
    seen.contract = address;
}

async function sends() {
    receipt = await (await counter.increment()).wait();
    same("status", receipt.status, 1);
    const [event] = receipt.logs.map((log) => counter.interface.parseLog(log));
    same("caller in the receipt", event.args.caller, me.address);
    same("count in the receipt", event.args.count, 1n);
    same("count", await counter.count(), 1n);
}

async function sends_without_waiting(seen) {
    const first = await me.getNonce("pending");
    const sent = await Promise.all(Array.from({ length: MANY }, (_, at) => counter.increment({ nonce: first + at })));
    const receipts = await Promise.all(sent.map((transaction) => transaction.wait()));
    check("all succeed", receipts.every((each) => each.status === 1), receipts);
    same("count", await counter.count(), BigInt(MANY + 1));
    same("nonce", await me.getNonce(), first + MANY);
    seen["at once"] = `${MANY} transactions`;
}

async function finds_events(seen) {
    const found = await counter.queryFilter(counter.filters.Incremented(me.address), deployment.blockNumber);
    same("events", found.map((event) => event.args.count).join(), Array.from({ length: MANY + 1 }, (_, at) => at + 1).join());
    seen.events = found.length;
}

async function tells_why_it_fails(seen) {
    for (const way of ["staticCall", "estimateGas"]) {
        let error = await failure(() => counter.failWithReason[way]());
        check(`${way}: reason`, error.message.includes(`execution reverted: ${REASON}`), error.message);
        error = await failure(() => counter.failWithCustomError[way]());
        const custom = counter.interface.parseError(error.data);
        same(`${way}: custom error`, custom?.name, "TooMany");
        same(`${way}: its arguments`, custom.args.join(), "7,3");
        error = await failure(() => counter.failWithoutMessage[way]());
        check(`${way}: without message`, error.message.includes("execution reverted"), error.message);
    }
    const transaction = await counter.failWithReason({ gasLimit: 100_000 });
    const error = await failure(() => transaction.wait());
    same("failed transaction", error.code, "CALL_EXCEPTION");
    same("its status", error.receipt.status, 0);
    seen.reasons = "told";
}

async function gets_ether_back() {
    const before = await ethers.provider.getBalance(me);
    await (await counter.sendBack({ value: ethers.parseEther("1") })).wait();
    same("contract's balance", await ethers.provider.getBalance(address), 0n);
    same("balance", await ethers.provider.getBalance(me), before); // gas costs nothing
}

async function reads_the_rest(seen) {
    const block = await ethers.provider.getBlock(receipt.blockNumber, true);
    same("block", block.hash, receipt.blockHash);
    const inside = block.prefetchedTransactions.find((each) => each.hash === receipt.hash);
    same("sender of the block's transaction", inside?.from, me.address);
    check("code", (await ethers.provider.getCode(address)).length > 100);
    same("slot", BigInt(await ethers.provider.getStorage(address, 0)), BigInt(MANY + 1));
    seen["gas price"] = (await ethers.provider.getFeeData()).gasPrice;
    same("gas price", seen["gas price"], 0n);
    const history = await provider.request({ method: "eth_feeHistory", params: ["0x5", "latest", [25, 75]] });
    same("fee history", history.gasUsedRatio.length, 5);
    const height = ethers.toQuantity(block.number);
    const { stateRoot } = await provider.request({ method: "eth_getBlockByNumber", params: [height, false] });
    const proof = await provider.request({ method: "eth_getProof", params: [address, [ethers.ZeroHash], height] });
    same("root of the proof", ethers.keccak256(proof.accountProof[0]), stateRoot);
    seen["proof in block"] = block.number;
}

await run(`Hardhat ${version("hardhat")}`, [
    reads_the_network, deploys, sends, sends_without_waiting, finds_events, tells_why_it_fails, gets_ether_back,
    reads_the_rest,
]);
