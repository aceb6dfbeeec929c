// Compiles Counter.sol, the first file that is named; writes its ABI and code to the second.
import { readFileSync, writeFileSync } from "node:fs";
import solc from "solc";

const [source, target] = process.argv.slice(2);
const { contracts, errors = [] } = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { "Counter.sol": { content: readFileSync(source, "utf8") } },
    settings: {
        evmVersion: "osaka",
        optimizer: { enabled: true },
        outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
})));
if (errors.length) {
    console.error(errors.map((error) => error.formattedMessage).join("\n"));
    process.exit(1);
}
const { abi, evm } = contracts["Counter.sol"].Counter;
writeFileSync(target, JSON.stringify({ abi, bytecode: `0x${evm.bytecode.object}` }));
