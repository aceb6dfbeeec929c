// Compiles the first file that is named, and what it imports. Writes to the second the ABI and code of the contract
// that has the file's name, and the ABIs of what was imported.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import solc from "solc";

const [source, target] = process.argv.slice(2);
const path = resolve(source); // so that imports, which are relative to it, are paths of files as well
const { contracts, errors = [] } = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { [path]: { content: readFileSync(path, "utf8") } },
    settings: {
        evmVersion: "osaka",
        optimizer: { enabled: true },
        outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
}), {
    import(imported) {
        try {
            return { contents: readFileSync(imported, "utf8") };
        } catch (error) {
            return { error: error.message };
        }
    },
}));
// Warnings about the file count as errors; those about what it imports are for others to heed.
const heeded = errors.filter((error) => error.severity === "error" || (error.sourceLocation?.file ?? path) === path);
if (heeded.length) {
    console.error(heeded.map((error) => error.formattedMessage).join("\n"));
    process.exit(1);
}
const { [path]: own, ...others } = contracts;
const { abi, evm } = own[basename(path, ".sol")];
const imported = Object.fromEntries(
    Object.values(others).flatMap(Object.entries).map(([name, { abi }]) => [name, abi]),
);
writeFileSync(target, JSON.stringify({ abi, bytecode: `0x${evm.bytecode.object}`, imported }));
