// What the programs share. Started by ethereum.sh, which says what they need.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const HTTP = process.env.HEDGEROW_RPC;
export const WS = HTTP.replace(/^http/, "ws");
export const COUNTER = JSON.parse(readFileSync(process.env.HEDGEROW_E2E_COUNTER));
export const MNEMONIC = "test test test test test test test test test test test junk";
/// Whose account is whose: the clients do not disturb each other.
export const ACCOUNT = { ethers: 0, viem: 1, web3: 2, cast: 3, forge: 4, hardhat: 5 };
/// What Counter.sol says when it fails.
export const REASON = "the counter refuses";
export const MANY = 20;
export const PATIENCE = 30_000;

export function check(what, condition, detail = "") {
    if (!condition) {
        throw new Error(`${what}: ${show(detail)}`);
    }
}

export function same(what, got, expected) {
    check(what, got === expected, `got ${show(got)}, not ${show(expected)}`);
}

function show(value) {
    if (typeof value === "string") {
        return value;
    }
    return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? each.toString() : each)) ?? String(value);
}

/// What an action fails with, where it must fail.
export async function failure(action) {
    let result;
    try {
        result = await action();
    } catch (error) {
        return error;
    }
    throw new Error(`this should have failed, and gave ${show(result)}`);
}

/// Values that come one by one: what was awaited and what was not yet.
export class Arrivals {
    #values = [];
    #waiting = [];

    add(value) {
        this.#values.push(value);
        this.#waiting.forEach((look) => look());
    }

    fail(error) {
        this.#waiting.forEach((look) => look(error));
    }

    /// The first value, come or still to come, that is as wanted.
    find(wanted) {
        return new Promise((resolve, reject) => {
            const look = (error) => {
                const found = this.#values.find(wanted);
                if (error) {
                    reject(error);
                } else if (found !== undefined) {
                    resolve(found);
                }
            };
            this.#waiting.push(look);
            look();
        });
    }
}

/// A client's steps, one after another, each in bounded time; at the end one line of what was seen.
export async function run(client, steps) {
    let name;
    try {
        const seen = {};
        for (const step of steps) {
            name = step.name;
            let timer;
            const late = new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error(`not done within ${PATIENCE / 1000} s`)), PATIENCE);
            });
            await Promise.race([step(seen), late]);
            clearTimeout(timer);
        }
        console.log(`ok: ${client}: ${Object.entries(seen).map(([what, value]) => `${what} ${value}`).join(", ")}`);
        process.exit(0);
    } catch (error) {
        console.error(`FAILED: ${client}: ${name}: ${error.stack ?? error}`);
        process.exit(1);
    }
}

/// Runs another program; gives its output, or an error with what it said.
export async function program(file, args, options = {}) {
    try {
        const { stdout } = await promisify(execFile)(file, args, { timeout: PATIENCE, maxBuffer: 1 << 26, ...options });
        return stdout.trim();
    } catch (error) {
        throw new Error(`${error.message.trim()}\n${error.stdout}${error.killed ? "\nit did not end in time" : ""}`);
    }
}

/// The version of a package that is installed.
export function version(name) {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
}

/// Foundry's program itself: what npm puts around it ends with 0 also where the program fails.
export function foundry(tool) {
    const arch = process.arch === "x64" ? "amd64" : process.arch;
    const platform = `@foundry-rs/${tool}-${process.platform}-${arch}`;
    return fileURLToPath(new URL(`node_modules/${platform}/bin/${tool}`, import.meta.url));
}
