// Compiles src/ to artifacts/, or with --check compares what it would write with what is there.
//
// The same sources give the same bytes wherever the folder is: the compiler is of an exact version and sees paths
// relative to this folder only; the metadata's hash is left out of the bytecode ("none"), so that a comment does not
// change it; keys are sorted.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import solc from "solc";

const ROOT = dirname(fileURLToPath(import.meta.url));
const SOURCES = join(ROOT, "src");
const ARTIFACTS = join(ROOT, "artifacts");
const COMPILER = "0.8.37";

const SETTINGS = {
  evmVersion: "osaka",
  metadata: { bytecodeHash: "none", useLiteralContent: false },
  optimizer: { enabled: true, runs: 200 },
};

/** The files below a folder that end so, by paths with "/" from that folder, sorted. */
function filesBelow(folder, suffix) {
  return readdirSync(folder, { recursive: true })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(suffix))
    .sort();
}

/** Finds what a source imports: this folder's own files are known already, others are in installed packages. */
function findImport(path) {
  try {
    return { contents: readFileSync(createRequire(import.meta.url).resolve(path), "utf8") };
  } catch (error) {
    return { error: `${path}: ${error.code ?? error.message}; has \`npm ci\` run?` };
  }
}

/** The same value with all objects' keys in order. */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** Compiles everything. The artifacts' texts by their path below artifacts/: a folder below src/ has one there. */
function compile() {
  if (!solc.version().startsWith(`${COMPILER}+`)) {
    throw new Error(`the compiler is ${solc.version()}, not ${COMPILER}: run \`npm ci\``);
  }
  const paths = filesBelow(SOURCES, ".sol").map((path) => `src/${path}`);
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(paths.map((path) => [path, { content: readFileSync(join(ROOT, path), "utf8") }])),
    settings: {
      ...SETTINGS,
      outputSelection: {
        "*": { "": ["ast"], "*": ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object"] },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  // Warnings about our sources count as errors; those about installed packages are not ours to heed.
  const errors = (output.errors ?? []).filter(
    (error) => error.severity === "error" || !error.sourceLocation || error.sourceLocation.file.startsWith("src/"),
  );
  if (errors.length > 0) {
    throw new Error(errors.map((error) => error.formattedMessage ?? error.message).join("\n"));
  }
  const artifacts = new Map();
  for (const path of paths) {
    for (const [name, contract] of Object.entries(output.contracts[path] ?? {})) {
      const bytecode = contract.evm.bytecode.object;
      // An abstract contract is of use to Solidity only; so is a library of internal functions, which is but a stub. An
      // interface has an ABI to be called by.
      const { contractKind } = output.sources[path].ast.nodes.find((node) => node.name === name);
      if (contractKind === "library" || (contractKind === "contract" && bytecode === "")) continue;
      const metadata = JSON.parse(contract.metadata);
      const artifact = {
        abi: contract.abi,
        bytecode: `0x${bytecode}`,
        compiler: metadata.compiler.version,
        contractName: name,
        deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
        language: metadata.language,
        settings: SETTINGS,
        sourceName: path,
        // keccak256 of every source that went in, by path.
        sources: Object.fromEntries(
          Object.entries(metadata.sources).map(([source, { keccak256 }]) => [source, keccak256]),
        ),
      };
      const file = `${dirname(path.slice("src/".length))}/${name}.json`.replace(/^\.\//, "");
      artifacts.set(file, `${JSON.stringify(sorted(artifact), null, 2)}\n`);
    }
  }
  return artifacts;
}

/** What differs between an artifact's committed text and the compiled one, in words. */
function differences(committed, compiled) {
  if (committed === compiled) return [];
  let old;
  try {
    old = JSON.parse(committed);
  } catch {
    return ["is not JSON"];
  }
  const fresh = JSON.parse(compiled);
  const found = [];
  for (const key of Object.keys({ ...old, ...fresh }).sort()) {
    if (isDeepStrictEqual(old?.[key], fresh[key])) continue;
    if (key === "sources") {
      const changed = Object.keys({ ...old.sources, ...fresh.sources }).filter(
        (path) => old.sources?.[path] !== fresh.sources[path],
      );
      found.push(`sources: ${changed.sort().join(", ")}`);
    } else {
      found.push(key);
    }
  }
  return found.length > 0 ? found : ["the order of keys, or white space"];
}

/** Writes the artifacts, and removes those that no source makes any more. */
function write(artifacts) {
  rmSync(ARTIFACTS, { recursive: true, force: true });
  for (const [file, text] of artifacts) {
    mkdirSync(dirname(join(ARTIFACTS, file)), { recursive: true });
    writeFileSync(join(ARTIFACTS, file), text);
  }
  console.log(`${artifacts.size} artifacts written, by solc ${solc.version()}`);
}

/** Compares the artifacts with the committed ones. Whether they are the same. */
function check(artifacts) {
  const committed = new Set();
  try {
    filesBelow(ARTIFACTS, "").forEach((file) => file.endsWith(".json") && committed.add(file));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  let same = true;
  for (const file of [...new Set([...artifacts.keys(), ...committed])].sort()) {
    const found = !committed.has(file)
      ? ["is missing"]
      : !artifacts.has(file)
        ? ["has no source"]
        : differences(readFileSync(join(ARTIFACTS, file), "utf8"), artifacts.get(file));
    for (const difference of found) console.error(`artifacts/${file}: ${difference}`);
    same &&= found.length === 0;
  }
  if (same) console.log(`${artifacts.size} artifacts are what the sources give`);
  else console.error("`npm run build` writes them anew");
  return same;
}

try {
  const unknown = process.argv.slice(2).filter((argument) => argument !== "--check");
  if (unknown.length > 0) throw new Error(`unknown argument ${unknown[0]}; there is --check`);
  const artifacts = compile();
  if (!process.argv.includes("--check")) write(artifacts);
  else if (!check(artifacts)) process.exitCode = 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
