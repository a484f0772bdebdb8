#!/bin/sh
# Makes .venv as this clone needs it, and does nothing when it already is.
#
#   tools/setup.sh run    what drawing and serving need
#   tools/setup.sh dev    that, and what the tests need
#
# PYTHON names the interpreter to use; without it the newest known-good one on the PATH is taken.
set -eu
cd "$(dirname "$0")/.."

extent=${1:-run}
venv=.venv
needs="3.11 or newer"
# What decides whether .venv is still right: these settings, at this place (scripts hold absolute paths).
state="$(cksum < pyproject.toml) $PWD"

say() { printf '%s\n' "limner: $*" >&2; }
fail() { say "$@"; exit 1; }

current() { # is .venv complete for $1?
    [ -x $venv/bin/limner ] && [ -x $venv/bin/python ] && [ "$(cat "$venv/.limner-$1" 2>/dev/null)" = "$state" ]
}

new_enough() { # by running it: version managers leave names on the PATH that start nothing
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python $needs"
        printf '%s\n' "$PYTHON"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if new_enough "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    if found=$(python3 -c 'import sys; print(".".join(map(str, sys.version_info[:3])))' 2>/dev/null); then
        say "Limner needs Python $needs; python3 here is $found."
    else
        say "Limner needs Python $needs; there is none on the PATH."
    fi
    fail "Install one (apt install python3, brew install python, or python.org), or name it: make PYTHON=/path/to/python3"
}

system_package() { # install a Debian or Ubuntu package where that is allowed without asking
    command -v apt-get >/dev/null 2>&1 || return 1
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        sudo="sudo -n"
    fi
    say "installing the system package $1"
    { $sudo apt-get install -qq -y --no-install-recommends "$1" ||
        { $sudo apt-get update -qq && $sudo apt-get install -qq -y --no-install-recommends "$1"; }; } \
        </dev/null >/dev/null 2>&1
}

make_venv() {
    if new_enough $venv/bin/python && $venv/bin/python -m pip --version >/dev/null 2>&1; then
        return
    fi
    python=$(find_python)
    if ! mkdir -p $venv 2>/dev/null || [ ! -w $venv ]; then
        fail "$PWD/$venv cannot be written; give yourself the folder, or clone into one of your own"
    fi
    if said=$("$python" -m venv --clear $venv 2>&1); then
        return
    fi
    # Debian and Ubuntu ship Python without the part that puts pip into an environment.
    "$python" -c 'import ensurepip' 2>/dev/null && fail "$python -m venv $venv failed: $said"
    if pip_from_outside >/dev/null 2>&1; then
        return
    fi
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    system_package "$package" || fail "$python cannot make environments; run: sudo apt install $package"
    "$python" -m venv --clear $venv || fail "$python -m venv $venv failed"
}

pip_from_outside() { # an environment without pip, and the interpreter's own pip to put one into it
    "$python" -m venv --clear --without-pip $venv &&
        "$python" -m pip --python $venv/bin/python install --quiet --disable-pip-version-check pip
}

install() {
    # PIP_USER may be set for the whole machine; inside an environment it is an error.
    # Bytecode is compiled when a module is first used: most of what is installed never is.
    PIP_USER=0 $venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --prefer-binary "$@" ||
        fail "installing failed, see above. Behind a proxy or mirror, set HTTPS_PROXY or PIP_INDEX_URL and run again"
}

postgres() { # tests start servers of their own; the system's package starts one too, which nobody uses
    command -v initdb >/dev/null 2>&1 || [ -n "$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] ||
        system_package postgresql || say "PostgreSQL is missing, and with it the tests of the shared journal"
}

node() { # some clients whose tests run here are JavaScript
    { command -v node && command -v npm; } >/dev/null 2>&1 || system_package npm ||
        say "Node and npm are missing, and with them the tests of clients in JavaScript"
}

case $extent in run | dev) ;; *) fail "tools/setup.sh run|dev, not '$extent'" ;; esac
if [ "$extent" = dev ] && [ -n "${CI:-}" ]; then # elsewhere their tests are left out and named
    postgres
    node
fi
if current dev || { [ "$extent" = run ] && current run; }; then
    exit 0
fi

make_venv
rm -f $venv/.limner-run $venv/.limner-dev
if [ "$extent" = run ]; then
    say "installing into $PWD/$venv (only this once, about a minute) ..."
    install --editable .
else
    say "installing into $PWD/$venv what the tests need (only this once, about two minutes) ..."
    install 'pip>=25.1' # the first that reads dependency groups
    install --editable . --group dev
fi
printf '%s' "$state" > "$venv/.limner-$extent"
