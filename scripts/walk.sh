# shellcheck shell=bash
# Functions of scripts/walk-coordination: commands that are shown and run, and what is expected of their output.
#
# Source it after lib.sh; set BINARY, HUB and KEY before the first command.

# What the last command printed, the status of its last answer, and how many results were checked.
OUT=
STATUS=
CHECKED=0

# The commands that are shown are run as they are shown, with these in place of the programs of the same name.
# The status of an answer goes into a file, its body to the output.
curl() { command curl --silent --show-error --max-time 30 --write-out '%{stderr}%{http_code}' "$@" 2>"$SCRATCH/status"; }
hxa-connect() { "$BINARY" "$@" 2>"$SCRATCH/said" || { cat "$SCRATCH/said" && return 1; }; }

section() { printf '\n## %s\n' "$*"; }

ours() { printf '\nOurs: %s\n' "$*"; }

# Shows a command (from standard input), runs it, and shows what it printed.
walk() {
    local command
    command=$(cat)
    printf '\n$ %s\n' "$command"
    quietly "$command"
    printf '%s\n' "$OUT"
    if [[ -n $STATUS ]]; then printf '[%s]\n' "$STATUS"; fi
}

quietly() {
    : >"$SCRATCH/status"
    # A command that fails is found by what is expected of its output.
    OUT=$(eval "$1") || true
    STATUS=$(cat "$SCRATCH/status")
}

differs() { die "differs from the README: $*; the output is: ${OUT:0:2000}"; }

status() {
    CHECKED=$((CHECKED + 1))
    [[ $STATUS == "$1" ]] || differs "status $STATUS instead of $1"
}

# The output contains each of the texts.
has() {
    local text
    for text in "$@"; do
        CHECKED=$((CHECKED + 1))
        [[ $OUT == *"$text"* ]] || differs "no $text"
    done
}

has_not() {
    CHECKED=$((CHECKED + 1))
    [[ $OUT != *"$1"* ]] || differs "unexpected $1"
}

# The output matches an extended regular expression.
like() {
    CHECKED=$((CHECKED + 1))
    grep -Eq -- "$1" <<<"$OUT" || differs "nothing like $1"
}

# How often a text is in the output.
times() {
    local found
    CHECKED=$((CHECKED + 1))
    found=$(grep -oF -- "$2" <<<"$OUT" | wc -l)
    [[ $found -eq $1 ]] || differs "$found times $2 instead of $1"
}

# The first text of a field in the output.
field() { grep -oE "\"$1\":\"[^\"]*\"" <<<"$OUT" | head -n 1 | cut -d '"' -f 4; }

# The values of a field in their order, between spaces.
values() { grep -oE "\"$1\":\"[^\"]*\"" <<<"$OUT" | cut -d '"' -f 4 | tr '\n' ' '; }

ULID='[0-9A-HJKMNP-TV-Z]{26}'
TIME='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z'
FIELDS=(request_id agent_id intent urgency state context_package response_schema timeout_policy routing_hints trace_id
    idempotency_key responder_id response_data responded_by responded_at submitted_at updated_at timeout_at delivered_at)

# The output is a coordination request in a state.
request_in() {
    local name
    for name in "${FIELDS[@]}"; do has "\"$name\":"; done
    like "\"request_id\":\"$ULID\""
    for name in submitted_at updated_at timeout_at; do like "\"$name\":\"$TIME\""; done
    has "\"state\":\"$1\""
}

# Makes a request without showing it: intent, seconds, fallback and more of the policy, other fields. Sets ID.
make() {
    local also=${4:+,$4} policy="\"timeout_seconds\":$2,\"fallback\":$3"
    quietly "curl -X POST $HUB/v1/requests -H 'Authorization: Bearer $KEY' -H 'Content-Type: application/json' -d '{
        \"intent\":\"$1\",\"urgency\":\"LOW\",\"context_package\":{\"summary\":\"$1\"},\"timeout_policy\":{$policy},
        \"routing_hints\":{\"responder_id\":\"ops-lead\"}$also}'"
    status 201
    ID=$(field request_id)
}

# Waits until the request ID has a state, without reading it as its agent does: a list delivers nothing.
until_state() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        quietly "curl '$HUB/v1/requests?state=$1&limit=1000' -H 'Authorization: Bearer $KEY'"
        if [[ $OUT == *"$ID"* ]]; then return; fi
        sleep 0.1
    done
    differs "$ID is not $1"
}

# Reads the audit events of the request ID, which must be of these kinds.
audit_is() {
    quietly "curl '$HUB/v1/audit?request_id=$ID' -H 'Authorization: Bearer $KEY'"
    CHECKED=$((CHECKED + 1))
    [[ $(values event_type) == "$* " ]] || differs "the audit is $(values event_type)"
    printf 'audit of %s: %s\n' "$ID" "$(values event_type)"
}
