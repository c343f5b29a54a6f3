# The images. `make docker-build` builds all of them, `make docker-build S=log` one; deploy/docker/images lists them.
#
#	target       arguments      what runs                                        listens on
#	handler      PLACE, NAME    serve PLACE NAME :9000 (spawn-fcgi, then pool)   9000, FastCGI
#	listener                    listener
#	rpc-logd                    rpc-logd                                         5001
#	grpc-logd                   grpc-logd                                        50001
#	migrate                     flexi migrate --wait 120, once
#	caddy                       the official image's Caddy, our Caddyfile, web/  8080 (HTTP), 8443 (HTTPS), 9081, 9082
#
# All run as 10001:10001 and write nowhere but into RUN_DIR, /run/flexiconnect (a tmpfs; mode 1777, or 0700 for that user; one
# that a Swarm mounts belongs to root and has the mode of the directory below it);
# Caddy also into /data, a volume: certificates. The root file system may be read-only, and no capability is needed. An
# ordinary stop is a SIGTERM; within STOP_DELAY_MS + DRAIN_TIMEOUT_MS (3 + 30 s; Caddy 40 s) everything in hand is answered.
#
# A handler without NAME is an image for programs of one's own, with the libraries of all bundled handlers but those for mail: build
# on it, or mount a program as HANDLERS_DIR/PLACE/NAME and set PLACE and HANDLER (which is NAME) in its environment.
#
# The networks' names are what exposes a handler: alias NAME.PLACE in a network that Caddy is in too (handle.public,
# log.internal). The queue site asks for NAME.queue only: what a queue feeds has that alias as well (log.queue). Callers
# find Caddy's private sites at http://caddy:9081 (internal) and http://caddy:9082 (queue, for QUEUE_CLIENTS only).
# No alias but those of handlers may end with .public, .internal or .queue.
#
# No instruction here is BuildKit's own: docker-compose 1.29 builds with the classic builder.

ARG DEBIAN=debian:bookworm-slim
ARG CADDY=caddy:2.11.9

# --- what is compiled, and the file tree of each image under /images

FROM ${DEBIAN} AS build
WORKDIR /src
COPY deploy/native/deps deploy/native/packages deploy/native/
COPY deploy/native/lib/say deploy/native/lib/
RUN deploy/native/deps build image
COPY Makefile triggers.conf ./
COPY lib lib
COPY handlers handlers
COPY listener listener
COPY spawn spawn
COPY cli cli
RUN make -j"$(nproc)" all build/bin/probe-static
COPY sql sql
COPY mongo-init mongo-init
COPY templates templates
COPY deploy/docker/roots deploy/docker/images deploy/docker/
RUN deploy/docker/roots /images

# --- what all but Caddy's have in common

FROM ${DEBIAN} AS base
COPY --from=build /images/base/root/ /
RUN echo 'flexiconnect:x:10001:' >>/etc/group && \
    echo 'flexiconnect:x:10001:10001::/run/flexiconnect:/usr/sbin/nologin' >>/etc/passwd && \
    install -d -o 10001 -g 10001 -m 1777 /run/flexiconnect
ENV PATH=/usr/lib/flexiconnect/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    RUN_DIR=/run/flexiconnect \
    HANDLERS_DIR=/usr/lib/flexiconnect/handlers \
    TEMPLATES_DIR=/usr/share/flexiconnect/templates \
    MIGRATIONS_DIR=/usr/share/flexiconnect \
    TRIGGERS_FILE=/etc/flexiconnect/triggers.conf \
    INTERNAL_URL=http://caddy:9081 \
    QUEUE_URL=http://caddy:9082

# --- handlers

FROM base AS handler
ARG NAME=handler
ARG PLACE=public
COPY --from=build /images/${NAME}/install /tmp/install
RUN /tmp/install
COPY --from=build /images/${NAME}/root/ /
ENV HANDLER=${NAME} PLACE=${PLACE} STOP_DELAY_MS=3000
USER 10001:10001
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=30s --start-period=10s --retries=3 CMD ["probe", "-t", "25", "fastcgi", "127.0.0.1:9000"]
CMD ["/bin/sh", "-c", "exec serve \"$PLACE\" \"$HANDLER\" :9000 \"$HANDLERS_DIR/$PLACE/$HANDLER\""]

# --- daemons

FROM base AS listener
COPY --from=build /images/listener/install /tmp/install
RUN /tmp/install
COPY --from=build /images/listener/root/ /
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 CMD ["probe", "daemon", "/run/flexiconnect/listener.sock"]
CMD ["listener"]

FROM base AS rpc-logd
COPY --from=build /images/rpc-logd/install /tmp/install
RUN /tmp/install
COPY --from=build /images/rpc-logd/root/ /
ENV LOG_RPC_LISTEN=0.0.0.0:5001 STOP_DELAY_MS=3000
USER 10001:10001
EXPOSE 5001
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s --retries=3 CMD ["probe", "rpc", "127.0.0.1:5001"]
CMD ["rpc-logd"]

FROM base AS grpc-logd
COPY --from=build /images/grpc-logd/install /tmp/install
RUN /tmp/install
COPY --from=build /images/grpc-logd/root/ /
ENV LOG_GRPC_LISTEN=0.0.0.0:50001 STOP_DELAY_MS=3000
USER 10001:10001
EXPOSE 50001
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s --retries=3 CMD ["probe", "grpc", "127.0.0.1:50001"]
CMD ["grpc-logd"]

# --- what brings the databases and queues to what this version needs

FROM base AS migrate
COPY --from=build /images/migrate/install /tmp/install
RUN /tmp/install
COPY --from=build /images/migrate/root/ /
USER 10001:10001
CMD ["flexi", "migrate", "--wait", "120"]

# --- the front door. The official image's program carries a file capability, and cannot be started where that one is
# dropped: a copy has none. Everything in one layer, so that the program is not there twice.

FROM ${CADDY} AS front
RUN cp /usr/bin/caddy /usr/bin/caddy.plain && mv /usr/bin/caddy.plain /usr/bin/caddy && \
    echo 'flexiconnect:x:10001:' >>/etc/group && \
    echo 'flexiconnect:x:10001:10001::/data:/sbin/nologin' >>/etc/passwd && \
    mkdir -p /data /config /run/flexiconnect && chmod 1777 /run/flexiconnect && chown 10001:10001 /data /config
COPY --from=build /images/caddy/root/ /
COPY Caddyfile /etc/caddy/Caddyfile
COPY web /usr/share/flexiconnect/web

FROM scratch AS caddy
COPY --from=front / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data HOME=/data \
    RUN_DIR=/run/flexiconnect \
    HANDLERS_DIR=/usr/lib/flexiconnect/handlers \
    WEB_DIR=/usr/share/flexiconnect/web \
    HANDLERS_BY=name HTTP_BIND=0.0.0.0 HTTP_PORT=8080 HTTPS_PORT=8443 OTEL_TRACES_EXPORTER=none
USER 10001:10001
EXPOSE 8080 8443 9081 9082
HEALTHCHECK --interval=10s --timeout=10s --start-period=10s --retries=3 \
    CMD ["/usr/lib/flexiconnect/bin/probe", "http", "127.0.0.1:9081", "/ping"]
CMD ["caddy", "run", "--adapter", "caddyfile", "--config", "/etc/caddy/Caddyfile"]
