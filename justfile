# Everything runs in the checkout's own environment, made from the hashed versions in requirements/.
dev := "scripts/dev"
image := "tiger-slack-tui"

_default:
    @just --list --unsorted

# Make the environment (.venv), or bring it up to date
deps:
    {{dev}} true

# Show which package needs which
tree:
    {{dev}} uv pip tree

# Resolve the versions in requirements/ anew; options go to uv, such as --upgrade-package aiohttp
lock *OPTIONS:
    {{dev}} scripts/lock {{OPTIONS}}

lint:
    {{dev}} ruff check

lint-fix:
    {{dev}} ruff check --fix

format:
    {{dev}} ruff format --check

format-fix:
    {{dev}} ruff format

typecheck:
    {{dev}} mypy
    {{dev}} lint-imports

test *ARGS:
    {{dev}} pytest {{ARGS}}

# A month of outages in five minutes, with three instances; --seed N, --days N
month *ARGS:
    {{dev}} python -m tests.faults.month {{ARGS}}

# Ingest from Slack; add --no-ui for log lines instead of the console
run *ARGS:
    {{dev}} tiger-slack run {{ARGS}}

# A workspace that lives on this machine, ingested for real
demo *ARGS:
    {{dev}} tiger-slack demo {{ARGS}}

# Bring the database's schema up to date; --status shows what is pending
migrate *ARGS:
    {{dev}} tiger-slack migrate {{ARGS}}

# Import a Slack export, a folder or the ZIP as downloaded
import PATH *ARGS:
    {{dev}} tiger-slack import "{{PATH}}" {{ARGS}}

alias import-history := import

# Run jobs now (users, channels, retention); --status shows how they stand
jobs *ARGS:
    {{dev}} tiger-slack jobs {{ARGS}}

# Show the events received and what became of them; --help shows the filters
events *ARGS:
    {{dev}} tiger-slack events {{ARGS}}

# Why a message is in the table, or not: CHANNEL TS, or its link in Slack
why +ARGS:
    {{dev}} tiger-slack why {{ARGS}}

# Put events of the audit trail through the same code again
replay +ARGS:
    {{dev}} tiger-slack replay {{ARGS}}

# Close gaps from Slack's history; --status shows them
backfill *ARGS:
    {{dev}} tiger-slack backfill {{ARGS}}

# Look at everything that a run needs
doctor *ARGS:
    {{dev}} tiger-slack doctor {{ARGS}}

# Let Claude Code ask Logfire; LOGFIRE_READ_TOKEN must be set
setup-logfire-mcp: deps
    claude mcp add logfire --env LOGFIRE_READ_TOKEN="${LOGFIRE_READ_TOKEN:?set it to a read token of Logfire}" \
        -- {{justfile_directory()}}/.dev/bin/uvx logfire-mcp@latest

# Make README's picture from the real console
screenshots:
    {{dev}} python scripts/screenshots.py

# Print the figures of benchmarks/GROUP.py (ingest, imports, console, audit); its first lines name them
benchmark GROUP NAME *ARGS:
    {{dev}} python benchmarks/{{GROUP}}.py {{NAME}} {{ARGS}}

build-image:
    docker build --tag {{image}} .

# Run the image with the settings in .env
docker-run:
    docker run --rm --interactive --tty --env-file .env {{image}}

# Run the image with the settings of this shell
docker-run-env:
    docker run --rm --interactive --tty --env SLACK_BOT_TOKEN --env SLACK_APP_TOKEN --env DATABASE_URL {{image}}

version:
    @{{dev}} tiger-slack --version

build-wheel:
    {{dev}} uv build --wheel --no-build-isolation

clean:
    rm -rf .venv .dev dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
    find . -name __pycache__ -type d -prune -exec rm -rf {} +
