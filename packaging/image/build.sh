#!/usr/bin/env bash
# Builds image with the strategy inline-stages (buildkit): like inline, with the images of all stages built, pushed and named as sources.
# Written by `breakeven export`: the steps are those that `breakeven run` measures.
# Run it in packaging/image.
# REGISTRY_USER and REGISTRY_PASSWORD log in, if they are set.
set -euo pipefail
repository=${REPOSITORY:?the repository, such as registry.example/team/image}
if [ -n "${REGISTRY_PASSWORD-}" ]; then
  printf '%s' "$REGISTRY_PASSWORD" |
    docker login --username "$REGISTRY_USER" --password-stdin "${repository%%/*}"
fi
DOCKER_BUILDKIT=1 docker build \
  --cache-from "$repository:main-builder" \
  --cache-from "$repository:main" \
  --target builder \
  --build-arg 'RUST=breakeven-rust-base:1' \
  --build-arg BUILDKIT_INLINE_CACHE=1 \
  --tag "$repository:main-builder" \
  --file Dockerfile \
  ../..
DOCKER_BUILDKIT=1 docker build \
  --cache-from "$repository:main-builder" \
  --cache-from "$repository:main" \
  --build-arg 'RUST=breakeven-rust-base:1' \
  --build-arg BUILDKIT_INLINE_CACHE=1 \
  --tag "$repository:main" \
  --file Dockerfile \
  ../..
docker push "$repository:main-builder"
docker push "$repository:main"
