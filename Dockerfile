# Runs `tiger-slack run --no-ui`. Settings come from the environment; the spool is in the volume /data.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
# The user of the container cannot write bytecode later, and every process of an import would compile it again.
ENV UV_COMPILE_BYTECODE=1
COPY requirements/uv.txt requirements/runtime.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt
RUN uv venv /app && VIRTUAL_ENV=/app uv pip sync --require-hashes requirements/runtime.txt
COPY . .
# What tiger-slack --version tells; by default what git says.
ARG TIGER_SLACK_COMMIT=
RUN uv build --wheel --out-dir /dist && VIRTUAL_ENV=/app uv pip install --no-deps /dist/*.whl

FROM python:3.13-slim-bookworm
RUN useradd --system --home-dir /data --create-home tiger-slack
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH TIGER_SLACK_HOME=/data PYTHONUNBUFFERED=1
ENV TIGER_SLACK_HTTP=8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s CMD ["tiger-slack", "health"]
USER tiger-slack
VOLUME /data
# After SIGTERM it stores and acknowledges what it has received, and ends within 5 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tiger-slack"]
CMD ["run", "--no-ui"]
