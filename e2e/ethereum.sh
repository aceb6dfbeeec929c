#!/bin/sh
# End-to-end test of a running gateway's JSON-RPC with Ethereum clients that are not ours: ethers, viem, web3.py, cast,
# forge and Hardhat, one after another; with web3.py and Eclipse Paho's MQTT client, that a device's reading calls a
# contract; and the tests of ../contracts.
#
# Needs, in the environment:
#   HEDGEROW_RPC       http URL of the gateway's JSON-RPC; its WebSocket is at the same address with ws://
#   HEDGEROW_MQTT      host:port of the gateway's MQTT over TCP
#   HEDGEROW_HTTP      URL of the gateway's HTTP
#   HEDGEROW_NETWORK   the network's number (chain id)
#   HEDGEROW_KEY_FILE  secret of a registered Ed25519 device: 64 hexadecimal digits
# on a network whose accounts of the mnemonic "test test ... junk" have ether, and where gas costs nothing: a devnet's.
#
# With `transfers [COUNT]` it measures transfers per second there, and at single nodes of anvil and Hardhat, instead;
# then HEDGEROW_RPC is enough.
#
# Installs what it needs (nodejs, npm and python3-venv with apt-get; the locked packages of e2e/ethereum with npm, and
# with them a newer Node where the installed one is too old for Hardhat; web3.py and paho-mqtt in a virtual environment
# under $HEDGEROW_E2E_VENV) and fails loudly when it can't.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
programs=$here/ethereum
. "$here/install.sh"

# Installs the locked packages of a folder, unless they are installed already.
locked() {
    if ! cmp -s "$1/package-lock.json" "$1/node_modules/installed-lock.json"; then
        (cd "$1" && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error >/dev/null) \
            || fail "npm can't install what $1/package-lock.json names"
        cp "$1/package-lock.json" "$1/node_modules/installed-lock.json"
    fi
}

new_enough() {
    node -e 'const [major, minor] = process.versions.node.split(".").map(Number)
        process.exit(major > 22 || (major === 22 && minor >= 13) ? 0 : 1)'
}

needed=HEDGEROW_RPC
[ "${1:-}" = transfers ] || needed="$needed HEDGEROW_MQTT HEDGEROW_HTTP HEDGEROW_NETWORK HEDGEROW_KEY_FILE"
for name in $needed; do
    eval "[ -n \"\${$name:-}\" ]" || fail "$name is not set: see the head of this script"
    export "$name"
done
case ${HEDGEROW_KEY_FILE:-/} in /*) ;; *) HEDGEROW_KEY_FILE=$PWD/$HEDGEROW_KEY_FILE ;; esac
case $HEDGEROW_RPC in http://* | https://*) ;; *) fail "HEDGEROW_RPC is no http URL: $HEDGEROW_RPC" ;; esac

command -v node >/dev/null && command -v npm >/dev/null || install nodejs npm
if ! new_enough; then
    locked "$programs/node"
    for bin in "$programs"/node/node_modules/node-*/bin; do PATH=$bin:$PATH; done
    export PATH
    new_enough || fail "$(node --version) is too old for Hardhat, and npm has no newer Node for this machine"
fi
locked "$programs"

python_in_venv
"$venv/bin/python" -c 'import importlib.metadata as m, cryptography, trie
assert (m.version("web3"), m.version("paho-mqtt")) == ("7.16.0", "2.2.0")' 2>/dev/null \
    || "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$programs/requirements.txt" \
    || fail "can't install web3.py and paho-mqtt into $venv"

# forge and Hardhat write beside their sources: they get a project of their own.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/contracts" "$work/script"
cp "$programs"/*.js "$programs/package.json" "$programs/foundry.toml" "$work"
cp "$programs/Counter.sol" "$work/contracts"
cp "$programs/Deploy.s.sol" "$work/script"
ln -s "$programs/node_modules" "$work/node_modules"
cd "$work"

HEDGEROW_E2E_COUNTER=$work/counter.json
HEDGEROW_E2E_THERMOSTAT=$work/thermostat.json
HARDHAT_DISABLE_TELEMETRY_PROMPT=true
export HEDGEROW_E2E_COUNTER HEDGEROW_E2E_THERMOSTAT HARDHAT_DISABLE_TELEMETRY_PROMPT
node --input-type=module -e '
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId" })
    const request = { method: "POST", headers: { "content-type": "application/json" }, body }
    const answer = await fetch(process.env.HEDGEROW_RPC, { ...request, signal: AbortSignal.timeout(30_000) })
    BigInt((await answer.json()).result)
' || fail "no JSON-RPC answers at $HEDGEROW_RPC"
node compile.js contracts/Counter.sol "$HEDGEROW_E2E_COUNTER" || fail "Counter.sol does not compile"

if [ "${1:-}" = transfers ]; then
    shift
    node transfers.js "$@" || fail "the transfers were not measured"
    exit
fi

# Where it is: it imports ../../contracts.
node compile.js "$programs/Thermostat.sol" "$HEDGEROW_E2E_THERMOSTAT" || fail "Thermostat.sol does not compile"

failed=
client() {
    name=$1
    shift
    "$@" || failed="$failed $name"
}
client ethers node ethers.js
client viem node viem.js
client web3.py env PYTHONPATH="$here" "$venv/bin/python" "$programs/web3_py.py"
client streams "$venv/bin/python" "$here/streams.py"
client cast node cast.js
client forge node forge.js
client Hardhat timeout 120 sh -c 'node_modules/.bin/hardhat build --quiet >/dev/null \
    && node_modules/.bin/hardhat run --no-compile hardhat.js --network hedgerow'

contracts=$here/../contracts
locked "$contracts"
client contracts sh -c 'cd "$1" && npm run --silent check && { npm test --silent >"$2" || { cat "$2"; false; }; } \
    && tail -n 8 "$2"' sh "$contracts" "$work/contracts.log"
[ -z "$failed" ] || fail "failed:$failed"
