# The image of a sandbox: Claude Code, the supervisor that runs it, and a few tools. Everything in it may be read by whoever uses a
# sandbox. Built from the project's root:
#   docker build --file deploy/images/sandbox.Dockerfile --tag discord-claude-sandbox:0.1.0 .
# A release names the base by its digest: --build-arg BASE=debian@sha256:…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS cli
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip
COPY deploy/requirements-playground.lock /lock
# of all that the lock file names only the CLI, by its hash
RUN sed -n '/^claude-agent-sdk==/,/[^\\]$/p' /lock >/cli.lock \
    && pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: --target /sdk --requirement /cli.lock

FROM ${BASE}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates curl git jq less patch procps python3 ripgrep unzip xz-utils \
    && rm -rf /var/lib/apt/lists/* /var/log/*
RUN groupadd --gid 1000 agent \
    && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /sandbox/home agent \
    && mkdir --parents /sandbox/home /sandbox/work /sandbox/state \
    && chown -R 1000:1000 /sandbox \
    && git config --system safe.directory /sandbox/work
COPY --from=cli --chmod=755 /sdk/claude_agent_sdk/_bundled/claude /usr/local/bin/claude
COPY --chmod=644 adapters/claude/supervisor.py /opt/discord-claude/supervisor.py
ENV HOME=/sandbox/home LANG=C.UTF-8 SUPERVISOR_DIR=/sandbox/state
WORKDIR /sandbox/work
USER 1000:1000
CMD ["python3", "-I", "/opt/discord-claude/supervisor.py", "run", "/sandbox/state", "--config=/sandbox/state/config.json", "--home=/sandbox/home", "--work=/sandbox/work", "--wait"]
