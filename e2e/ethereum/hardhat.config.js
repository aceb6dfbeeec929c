import hardhatEthers from "@nomicfoundation/hardhat-ethers";
import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";
import { ACCOUNT, HTTP, MNEMONIC } from "./common.js";

export default defineConfig({
    plugins: [hardhatEthers],
    solidity: {
        compilers: [{
            version: "0.8.37",
            path: createRequire(import.meta.url).resolve("solc/soljson.js"),
            settings: { evmVersion: "osaka", optimizer: { enabled: true } },
        }],
    },
    networks: {
        hedgerow: {
            type: "http",
            url: HTTP,
            accounts: { mnemonic: MNEMONIC, initialIndex: ACCOUNT.hardhat, count: 1 },
        },
    },
});
