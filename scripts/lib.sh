# shellcheck shell=bash
# Functions that the scripts share: finding or installing server programs and running private instances of them.
#
# Source it, call `make_scratch`, then start what you need; everything started is stopped by process id and the scratch
# folder removed when the script ends, however it ends.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRATCH=
MEMORY=
# signal:pid of what is running.
STARTED=()

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Runs a command as root where that is possible without asking for a password.
as_root() {
    if is_root; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# PostgreSQL refuses to run as root; root runs it as the user the package created.
as_postgres_user() {
    if is_root; then runuser -u postgres -- "$@"; else "$@"; fi
}

# Installs Debian packages; fails when that is not possible here.
install_package() {
    command -v apt-get >/dev/null || return 1
    as_root true || return 1
    say "installing $*"
    # RUNLEVEL keeps the package from starting a server of its own.
    local log
    log=$(mktemp)
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c \
        "{ apt-get -qq update && apt-get -qq install -y --no-install-recommends $*; } </dev/null" >"$log" 2>&1 ||
        { cat "$log" >&2 && rm -f "$log" && return 1; }
    rm -f "$log"
}

# A scratch folder that other users may enter (the server runs as another user) and that vanishes at the end.
make_scratch() {
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/hxa-scripts.XXXXXX")
    chmod 755 "$SCRATCH"
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# A folder for a server whose data nobody needs afterwards: in memory if there are 4 GB for it, else in the scratch folder.
# Tests create and drop a database each, which a file system on a disk makes slow.
make_memory_folder() {
    local free
    free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
    if [ -w /dev/shm ] && [ "${free:-0}" -gt $((4 << 20)) ]; then
        MEMORY=$(mktemp -d /dev/shm/hxa-scripts.XXXXXX)
    else
        MEMORY=$SCRATCH/memory
        mkdir "$MEMORY"
    fi
    chmod 755 "$MEMORY"
}

# Stops what was started, newest first, and keeps the exit code.
clean_up() {
    local code=$? i
    trap - EXIT INT TERM
    for ((i = ${#STARTED[@]} - 1; i >= 0; i--)); do
        stop_process "${STARTED[i]#*:}" "${STARTED[i]%%:*}"
    done
    if [ -n "$MEMORY" ]; then rm -rf -- "$MEMORY"; fi
    if [ -n "$SCRATCH" ]; then rm -rf -- "$SCRATCH"; fi
    exit "$code"
}

# Stops a process with the given signal, and kills it after ten seconds.
stop_process() {
    local pid=$1 signal=${2:-TERM} tries=0
    kill -"$signal" "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            kill -KILL "$pid" 2>/dev/null || true
            return 0
        fi
        sleep 0.1
    done
}

# A TCP port on which nothing listens, outside the range the kernel hands out by itself.
free_port() {
    local port tries
    for ((tries = 0; tries < 200; tries++)); do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
    die "no free TCP port found"
}

# Waits until something listens on a port; fails after ten seconds or when the process has ended.
wait_for_port() {
    local port=$1 pid=$2 tries
    for ((tries = 0; tries < 100; tries++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# The folder of PostgreSQL's server programs, newest version first; not on the PATH on Debian.
postgres_programs() {
    local dir
    for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) \
        "$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb || true)")"; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
            echo "$dir"
            return 0
        fi
    done
    return 1
}

# Where distributions put libfaketime.
faketime_library() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' || compgen -G '/usr/lib*/faketime/libfaketimeMT.so.1'; }

# The browser of the tests: the one that is named, or on the path, or where Debian puts it.
chromium_program() { echo "${CHROMIUM:-$(command -v chromium || echo /usr/bin/chromium)}"; }

# Whether the contents of a Debian package are on this machine, however they were installed.
has_package() {
    case $1 in
        postgresql) postgres_programs >/dev/null ;;
        libfaketime) faketime_library >/dev/null ;;
        nodejs) command -v node >/dev/null ;;
        chromium) [ -x "$(chromium_program)" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Ensures that the named packages are installed: lists the missing ones, then installs them if possible. Otherwise
# fails with the command to run by hand.
need_packages() {
    local package missing=()
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "missing packages, installing them with apt-get: ${missing[*]}"
    for package in "${missing[@]}"; do
        { install_package "$package" && has_package "$package"; } ||
            die "$package is missing and cannot be installed here; as root: apt-get install ${missing[*]}${NEED_HINT:-}"
    done
}

# Ensures that there is Node.js with npm. Where it is missing, what the first argument names is left out and the script ends
# well, unless CI=true: then it is installed.
need_node() {
    if command -v npm >/dev/null; then return 0; fi
    [[ ${CI:-} == true ]] || { say "no npm: $1" && exit 0; }
    need_packages nodejs npm
}

# Installs the npm packages of the folder as its lock says; those that are there are not installed again.
install_npm_packages() {
    if [[ -d node_modules && ! package-lock.json -nt node_modules/.package-lock.json ]]; then return 0; fi
    npm ci --ignore-scripts --no-audit --no-fund --silent || die "the packages of $PWD cannot be installed"
}

# Starts a private PostgreSQL with the durability settings of a real one, in the scratch folder or the one that is named;
# sets POSTGRES_URL.
start_postgres() {
    local programs dir=${1:-$SCRATCH}/postgres port pid
    programs=$(postgres_programs)
    port=$(free_port)
    mkdir "$dir"
    if is_root; then chown postgres "$dir"; fi
    (
        cd "$dir"
        as_postgres_user "$programs/initdb" -D "$dir/data" -U hxa -A trust -E UTF8 --locale=C -N >"$dir/initdb.log" ||
            { cat "$dir/initdb.log" >&2 && exit 1; }
        as_postgres_user "$programs/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -o \
            "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir -c max_connections=300" start >/dev/null ||
            { cat "$dir/log" >&2 && exit 1; }
    )
    pid=$(head -n 1 "$dir/data/postmaster.pid")
    # SIGINT is its fast shutdown; SIGTERM would wait for clients to leave.
    STARTED+=("INT:$pid")
    POSTGRES_URL="postgres://hxa@127.0.0.1:$port/postgres"
    say "PostgreSQL $("$programs/postgres" --version | awk '{print $3}') on port $port"
}

# Starts a private Redis without persistence; sets REDIS_URL_PRIVATE.
start_redis() {
    local dir=$SCRATCH/redis port pid
    port=$(free_port)
    mkdir "$dir"
    redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save '' --appendonly no >"$dir/log" 2>&1 &
    pid=$!
    STARTED+=("TERM:$pid")
    wait_for_port "$port" "$pid" || { cat "$dir/log" >&2 && die "Redis did not start"; }
    REDIS_URL_PRIVATE="redis://127.0.0.1:$port"
    say "Redis on port $port"
}
