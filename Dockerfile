# syntax=docker/dockerfile:1
# Two images from one file: docker build --target worker . and docker build --target starter .
# They hold one static program, a health probe and CA certificates: no shell, no package manager, not root.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ENV CGO_ENABLED=0 GOCACHE=/gocache
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/gocache \
    mkdir /out && go build -trimpath -buildvcs=false -ldflags='-s -w' -o /out/ ./worker ./starter ./deploy/healthcheck

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532
COPY --from=build /out/healthcheck /healthcheck
# In a container every address is "this machine"; the host decides with its published ports who gets there.
ENV METRICS_ADDRESS=0.0.0.0:9090

FROM base AS worker
COPY --from=build /out/worker /worker
EXPOSE 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/healthcheck", "http://127.0.0.1:9090/metrics"]
ENTRYPOINT ["/worker"]

FROM base AS starter
COPY --from=build /out/starter /starter
ENV LISTEN_ADDRESS=0.0.0.0:8088
EXPOSE 8088 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/healthcheck", "http://127.0.0.1:8088/readyz"]
ENTRYPOINT ["/starter"]
CMD ["serve"]
