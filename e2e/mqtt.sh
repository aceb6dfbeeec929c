#!/bin/sh
# End-to-end test of a running gateway's MQTT with clients that are not ours: mosquitto's and Eclipse Paho's.
#
# Needs, in the environment:
#   HEDGEROW_MQTT      host:port of the gateway's MQTT over TCP
#   HEDGEROW_HTTP      URL of the gateway's HTTP
#   HEDGEROW_NETWORK   the network's number (chain id)
#   HEDGEROW_KEY_FILE  secret of a registered Ed25519 device: 64 hexadecimal digits
# or, with --fake, nothing: a gateway on a network in memory is built and started.
#
# Installs what it needs (mosquitto-clients, python3-venv with apt-get; paho-mqtt and cryptography in a virtual
# environment under $HEDGEROW_E2E_VENV) and fails loudly when it can't.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/install.sh"

command -v mosquitto_pub >/dev/null && command -v mosquitto_sub >/dev/null || install mosquitto-clients
python_in_venv
"$venv/bin/python" -c 'import paho.mqtt, cryptography; assert paho.mqtt.__version__ == "2.2.0"' 2>/dev/null \
    || "$venv/bin/pip" install --quiet --disable-pip-version-check 'paho-mqtt==2.2.0' 'cryptography==50.0.2' \
    || fail "can't install paho-mqtt and cryptography into $venv"

if [ "${1:-}" = --fake ]; then
    work=$(mktemp -d)
    mkfifo "$work/stdin"
    HEDGEROW_KEY_FILE=$work/device.key
    (cd "$here/.." && cargo build --quiet --locked -p hedgerow-gateway --example gateway_on_a_fake_network) \
        || fail "the example gateway does not build"
    target=${CARGO_TARGET_DIR:-$here/../target}
    "$target/debug/examples/gateway_on_a_fake_network" "$HEDGEROW_KEY_FILE" <"$work/stdin" >"$work/env" &
    gateway=$!
    exec 9>"$work/stdin"
    trap 'exec 9>&-; wait $gateway 2>/dev/null || true; rm -rf "$work"' EXIT
    tries=0
    until [ "$(wc -l <"$work/env")" -ge 3 ]; do
        kill -0 $gateway 2>/dev/null || fail "the example gateway ended"
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "the example gateway did not say where it listens"
        sleep 0.1
    done
    . "$work/env"
fi

for name in HEDGEROW_MQTT HEDGEROW_HTTP HEDGEROW_NETWORK HEDGEROW_KEY_FILE; do
    eval "[ -n \"\${$name:-}\" ]" || fail "$name is not set: see the head of this script"
done
export HEDGEROW_MQTT HEDGEROW_HTTP HEDGEROW_NETWORK HEDGEROW_KEY_FILE
"$venv/bin/python" "$here/mqtt.py"
