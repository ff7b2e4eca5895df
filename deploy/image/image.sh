#!/usr/bin/env bash
# Builds the image. Usage: image.sh engine|host NAME PLATFORM[,PLATFORM]...
#   engine  Docker or buildah runs all stages of the Containerfile; it fetches the images of Node and Go.
#   host    this machine's Go and Node build what is in the image, and buildah runs the last stage alone: nothing is fetched but packages.
# A list of platforms, such as linux/amd64,linux/arm64, makes an image for each and an index of them with the name.
# BUILDAH is how buildah is called, such as BUILDAH="buildah --storage-driver vfs" where there is no overlay file system.
set -euo pipefail
cd "$(dirname "$0")/../.."
how=$1 name=$2 platforms=$3
read -ra buildah <<<"${BUILDAH:-buildah}"

die() { echo "image: $*" >&2; exit 1; }

git_of() { git "$@" 2>/dev/null || true; }
revision=$(git_of rev-parse HEAD)
version=$(git_of describe --tags --always --dirty)
# The time of the revision, not of the build, so that two builds of it are equal.
created=$(TZ=UTC0 git_of log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)
arguments=(--build-arg VERSION="${version:-devel}" --build-arg REVISION="${revision:-unknown}" --build-arg CREATED="${created:-1970-01-01T00:00:00Z}")
# In a work tree of Git, .git is a file that leads out of the context.
[ -d .git ] || export GOFLAGS="${GOFLAGS:--buildvcs=false}"
[ -z "${GOFLAGS:-}" ] || arguments+=(--build-arg GOFLAGS="$GOFLAGS")

# target is what the image of one platform becomes: the name, or a part of the index with the name. An older index would keep its parts.
target=(--tag "$name")
index() {
  case $platforms in *,*) ;; *) return 0 ;; esac
  target=(--manifest "$name")
  "${buildah[@]}" rmi --force "$name" >/dev/null 2>&1 || true # There may be none.
}

# by_engine builds with all stages.
by_engine() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    docker buildx build --file Containerfile --platform "$platforms" --tag "$name" "${arguments[@]}" .
  elif command -v "${buildah[0]}" >/dev/null; then
    index
    "${buildah[@]}" bud --format oci --layers --file Containerfile --platform "$platforms" "${target[@]}" "${arguments[@]}" .
  else
    die "neither a Docker engine nor buildah is here (Debian: apt-get install buildah)"
  fi
}

# by_host builds with the last stage only; its stage `build` is a directory here. In a stage without RUN nothing is isolated.
by_host() {
  command -v "${buildah[0]}" >/dev/null || die "buildah is missing (Debian: apt-get install buildah)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  sed -n '/^FROM scratch$/,$p' Containerfile > "$work/Containerfile"
  npm sbom --sbom-format cyclonedx --omit dev --workspace web/app > "$work/web.cdx.json"
  index
  local platform
  for platform in ${platforms//,/ }; do
    make --no-print-directory image-root ROOT="$work/image" ARCH="${platform##*/}" WEB_SBOM="$work/web.cdx.json"
    "${buildah[@]}" bud --format oci --isolation chroot --platform "$platform" "${target[@]}" "${arguments[@]}" \
      --build-context build="$work" --file "$work/Containerfile" "$work"
  done
}

case $how in
engine) by_engine ;;
host) by_host ;;
*) die "usage: image.sh engine|host NAME PLATFORM[,PLATFORM]..." ;;
esac
