# What the end-to-end scripts have in common: failing loudly, and installing what they need. They source it.

# Where Python's packages are, for all of them.
venv=${HEDGEROW_E2E_VENV:-${TMPDIR:-/tmp}/hedgerow-e2e-venv}

fail() {
    echo "e2e/$(basename "$0"): $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
    as_root apt-get update -qq && as_root apt-get install -qq -y --no-install-recommends "$@" >/dev/null \
        || fail "can't install $*: install it by hand and try again"
}

python_in_venv() {
    command -v python3 >/dev/null || install python3
    if [ ! -x "$venv/bin/python" ]; then
        python3 -m venv "$venv" || { install python3-venv; python3 -m venv --clear "$venv"; } || fail "can't make $venv"
    fi
}
