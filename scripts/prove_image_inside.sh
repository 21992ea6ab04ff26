# What scripts/prove-image runs in a container of the image. Stops at the first thing that is not as promised.
set -eu
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Waits for an answer to `tiger-slack health`, of the process $pid. Leaves it in /tmp/health.
until_healthy() {
    tries=0
    until tiger-slack health "$@" >/tmp/health 2>&1; do
        tries=$((tries + 1))
        if [ $tries = 120 ] || ! kill -0 $pid; then fail "no health: $(cat /tmp/health; tail -n 5 /tmp/log)"; fi
        sleep 0.5
    done
}

# Ends the process $pid with SIGTERM.
stop() {
    begun=$(date +%s)
    kill -TERM $pid
    code=0
    wait $pid || code=$?
    took=$(($(date +%s) - begun))
    [ $code = 0 ] || fail "SIGTERM ended $1 with $code: $(tail -n 5 /tmp/log)"
    [ $took -le 5 ] || fail "SIGTERM ended $1 after $took s"
    echo "SIGTERM to $1: exit code 0 after $took s"
}

user=$(id -u)
[ "$user" != 0 ] || fail "it runs as root"
echo "runs as uid $user: $(tiger-slack --version)"

tiger-slack demo --no-ui --events 500 --rate 100 </dev/null 2>/tmp/log || fail "the demo: $(tail -n 5 /tmp/log)"

code=0
SLACK_BOT_TOKEN=wrong tiger-slack run --no-ui </dev/null 2>/tmp/log || code=$?
[ $code = 2 ] || fail "wrong settings end it with $code, not with 2: $(cat /tmp/log)"
echo "wrong settings: exit code 2"

# With an embedded PostgreSQL in /data, and a Slack that does not answer.
SLACK_BOT_TOKEN=xoxb-1-a SLACK_APP_TOKEN=xapp-1-a SLACK_API_URL=http://127.0.0.1:1/api/ TIGER_SLACK_HTTP=127.0.0.1:18080 \
    tiger-slack run --no-ui </dev/null 2>/tmp/log &
pid=$!
until_healthy --live --http 18080
echo "alive: $(cat /tmp/health)"
code=0
tiger-slack health --http 18080 >/tmp/health 2>&1 || code=$?
if [ $code != 1 ] || ! grep -q Slack /tmp/health; then fail "readiness without Slack: $code, $(cat /tmp/health)"; fi
echo "ready: $(cat /tmp/health)"

stop run

# The MCP server, with the database that `run` made.
tiger-slack mcp --http 127.0.0.1:18081 </dev/null 2>/tmp/log &
pid=$!
until_healthy --http 18081
echo "the MCP server is ready: $(cat /tmp/health)"
stop mcp
