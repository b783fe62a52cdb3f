# The image of the bot, and of `discord-claude migrate` and every other sub-command. Built from the project's root:
#   docker build --file deploy/images/bot.Dockerfile --tag discord-claude-bot:0.1.0 .
# A release names the base by its digest: --build-arg BASE=debian@sha256:…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
COPY deploy/requirements-build.lock deploy/requirements.lock deploy/requirements-kubernetes.lock /locks/
# every library by its hash, and nothing that only builds
RUN python3 -m venv /build \
    && /build/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement /locks/requirements-build.lock \
    && python3 -m venv --without-pip /opt/discord-claude \
    && /build/bin/pip --python /opt/discord-claude/bin/python install \
        --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --requirement /locks/requirements.lock --requirement /locks/requirements-kubernetes.lock
COPY pyproject.toml README.md LICENSE /source/
COPY adapters /source/adapters
COPY engine /source/engine
COPY projections /source/projections
COPY schema /source/schema
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheel /source \
    && /build/bin/pip --python /opt/discord-claude/bin/python install --no-deps --no-index /wheel/*.whl

FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/log/* \
    && groupadd --gid 10001 discord-claude \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp discord-claude
COPY --from=build /opt/discord-claude /opt/discord-claude
ENV PATH=/opt/discord-claude/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["discord-claude"]
CMD ["run"]
