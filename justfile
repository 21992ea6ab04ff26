# Every recipe runs in the checkout's own environment (.venv), which scripts/dev makes from requirements/.
dev := "scripts/dev"
image := "tiger-slack-tui"

_default:
    @just --list --unsorted

# Make the environment (.venv), or update it
deps:
    {{dev}} true

# Show which package depends on which
tree:
    {{dev}} uv pip tree

# Write new versions to requirements/; options go to uv, such as --upgrade-package aiohttp
lock *OPTIONS:
    {{dev}} scripts/lock {{OPTIONS}}

# Check the code with ruff
lint:
    {{dev}} ruff check

# Fix what ruff can fix
lint-fix:
    {{dev}} ruff check --fix

# Check the formatting
format:
    {{dev}} ruff format --check

# Format the code
format-fix:
    {{dev}} ruff format

# Check types and import layers
typecheck:
    {{dev}} mypy
    {{dev}} lint-imports

# Run the tests but the slow ones; options go to pytest, such as -n 6 or -m slow
test *ARGS:
    {{dev}} pytest {{ARGS}}

# Run the tests, and print the lines of the package that none of them runs
coverage *ARGS:
    {{dev}} pytest -n 6 -m "slow or not slow" --cov --cov-report=term {{ARGS}}

# Simulate a month of outages with three instances in five minutes; options: --seed N, --days N
month *ARGS:
    {{dev}} python -m tests.faults.month {{ARGS}}

# Ingest from Slack; --no-ui runs it without the console
run *ARGS:
    {{dev}} tiger-slack run {{ARGS}}

# Ingest an invented workspace; no Slack or database is needed
demo *ARGS:
    {{dev}} tiger-slack demo {{ARGS}}

# Bring the database's schema up to date; --status shows its state
migrate *ARGS:
    {{dev}} tiger-slack migrate {{ARGS}}

# Import a Slack export: a folder, or the ZIP as downloaded
import PATH *ARGS:
    {{dev}} tiger-slack import "{{PATH}}" {{ARGS}}

alias import-history := import

# Run jobs now (users, channels, retention, backfill); --status shows their schedule and last runs
jobs *ARGS:
    {{dev}} tiger-slack jobs {{ARGS}}

# List received events and what became of each; --help shows the filters
events *ARGS:
    {{dev}} tiger-slack events {{ARGS}}

# Explain why a message is stored or not: CHANNEL TS, or its link in Slack
why +ARGS:
    {{dev}} tiger-slack why {{ARGS}}

# Process received events again
replay +ARGS:
    {{dev}} tiger-slack replay {{ARGS}}

# Close gaps with messages from Slack's history; --status shows the gaps
backfill *ARGS:
    {{dev}} tiger-slack backfill {{ARGS}}

# Check everything that a run needs
doctor *ARGS:
    {{dev}} tiger-slack doctor {{ARGS}}

# Serve AI clients that ask about the workspace, on stdin and stdout; --http [HOST:]PORT serves over HTTP
[positional-arguments]
mcp *ARGS:
    {{dev}} tiger-slack mcp "$@"

# Add `tiger-slack mcp`, with the settings in .env, to Claude Code; options go to tiger-slack mcp, such as --private
[positional-arguments]
setup-mcp *ARGS: deps
    claude mcp add --scope user tiger-slack -- \
        sh -c 'cd "$0" && exec scripts/dev tiger-slack mcp "$@"' {{quote(justfile_directory())}} "$@"

# Add the Logfire MCP server to Claude Code; LOGFIRE_READ_TOKEN must be set
setup-logfire-mcp: deps
    claude mcp add logfire --env LOGFIRE_READ_TOKEN="${LOGFIRE_READ_TOKEN:?set it to a read token of Logfire}" \
        -- {{justfile_directory()}}/.dev/bin/uvx logfire-mcp@latest

# Make README's pictures from the real console
screenshots:
    {{dev}} python scripts/screenshots.py

# Write the schema reference, docs/schema.md, from the database's comments
schema-reference:
    {{dev}} python scripts/schema_reference.py

# Write tests/upgrade/VERSION.sql, a database of a released version; COMMIT is the release's last commit
upgrade-dump VERSION COMMIT:
    {{dev}} python scripts/upgrade_dump.py {{VERSION}} {{COMMIT}}

# Write the licences of the dependencies, docs/licenses.md
licenses:
    {{dev}} python scripts/licenses.py

# Run everything at once under random faults, for an hour; options: --minutes N, --seed S, --rate EVENTS_A_SECOND
soak *ARGS:
    {{dev}} python benchmarks/soak.py {{ARGS}}

# Run a benchmark of benchmarks/GROUP.py (ingest, imports, console, audit, mcp, search, scale, columnstore); its docstring names them
benchmark GROUP NAME *ARGS:
    {{dev}} python benchmarks/{{GROUP}}.py {{NAME}} {{ARGS}}

# Build the Docker image
build-image:
    docker build --build-arg TIGER_SLACK_COMMIT="$(git rev-parse --short=12 HEAD)" --tag {{image}} .

# Prove what the image promises: user, demo, exit codes, health, SIGTERM; with docker, podman or buildah
prove-image IMAGE=image:
    scripts/prove-image {{IMAGE}}

# Run the image with the settings in .env
docker-run:
    docker run --rm --interactive --tty --env-file .env {{image}}

# Run the image with settings from this shell's environment
docker-run-env:
    docker run --rm --interactive --tty --env SLACK_BOT_TOKEN --env SLACK_APP_TOKEN --env DATABASE_URL {{image}}

# Show the version
version:
    @{{dev}} tiger-slack --version

# Build the wheel
build-wheel:
    {{dev}} uv build --wheel --no-build-isolation

# Delete the environment, builds and caches
clean:
    rm -rf .venv .dev .coverage dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
    find . -name __pycache__ -type d -prune -exec rm -rf {} +
