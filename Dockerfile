# tailrace in a container: the program and the shared libraries it is linked to, nothing else.
#
#   docker build -t tailrace .
#   docker run --rm tailrace run --source postgresql://... --target postgresql://... --state /var/lib/tailrace

FROM debian:12-slim AS build
WORKDIR /src
COPY scripts/setup.sh scripts/setup.sh
RUN apt-get update && apt-get install -y --no-install-recommends make ca-certificates && scripts/setup.sh --build-only
COPY . .
RUN make -j"$(nproc)" && make install DESTDIR=/out
# The Debian packages that hold the libraries which the program needs.
RUN ldd /out/usr/local/bin/tailrace | awk '$2 == "=>" { print $3 }' | xargs -n 1 realpath | xargs -n 1 basename \
    | sed 's|^|*/|' | xargs dpkg -S | cut -d : -f 1 | sort -u > /out/packages

FROM debian:12-slim
COPY --from=build /out/packages /tmp/packages
RUN apt-get update && xargs apt-get install -y --no-install-recommends ca-certificates < /tmp/packages \
    && rm -rf /var/lib/apt/lists/* /tmp/packages \
    && useradd --system --home-dir /var/lib/tailrace --create-home tailrace
COPY --from=build /out/usr/local /usr/local
USER tailrace
WORKDIR /var/lib/tailrace
# Where the embedded store of checkpoints lies: keep it on a volume.
VOLUME /var/lib/tailrace
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/tailrace"]
