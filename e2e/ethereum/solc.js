#!/usr/bin/env node
// The compiler as forge calls it: `--version`, or `--standard-json` with everything on the standard input.
import { readFileSync } from "node:fs";
import solc from "solc";

console.log(process.argv.includes("--version") ? solc.version() : solc.compile(readFileSync(0, "utf8")));
