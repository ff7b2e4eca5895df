#!/usr/bin/env bash
# Pins the images in files: each docker.io/NAME:VERSION becomes docker.io/NAME:VERSION@sha256:…, with the digest that the registry has for it now, that of
# the index of all platforms. Images that have a digest keep it. Nothing is written if one cannot be read. Usage: pin-images.sh FILE...
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: pin-images.sh FILE..." >&2; exit 2; }

die() { echo "pin-images: $*" >&2; exit 1; }

# unpinned FILE...: prints the images without a digest.
unpinned() { grep -hoP 'docker\.io/[a-z0-9_./-]+:[A-Za-z0-9_.-]+(?![A-Za-z0-9_.@-])' "$@" | sort -u || true; }

edits=()
for image in $(unpinned "$@"); do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image") || die "the registry does not tell the digest of $image"
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "the digest of $image is '$digest'"
  edits+=(-e "s#${image//./[.]}([^A-Za-z0-9_.@-]|\$)#$image@$digest\1#g")
done
[ ${#edits[@]} -gt 0 ] || { echo "all images have digests"; exit 0; }
sed -E -i "${edits[@]}" "$@"
echo "pinned $((${#edits[@]} / 2)) images: compare the digests with those that their publishers name (git diff)"
