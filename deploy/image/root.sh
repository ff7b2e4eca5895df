#!/usr/bin/env bash
# Assembles what is in the image, for one processor: ROOT/root becomes /, and ROOT/data becomes /data. The Containerfile runs it in its stage
# `build`; deploy/image/image.sh runs it on this machine. Usage: root.sh ROOT PROGRAM WEB_SBOM
# PROGRAM is spillway, built without cgo; WEB_SBOM is what npm lists as parts of the pages.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$1 program=$2 web_sbom=$3

max_bytes=70000000 # 70 MB: the program has 45 at most, and its copy of the certificates, the lists and growth have the rest
user=65532         # as in other images without a shell: no user of a machine has this number

die() { echo "image: $*" >&2; exit 1; }

# The first of the files in which systems keep the certificates of the authorities.
certificates() {
  local file
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -s "$file" ]; then echo "$file"; return; fi
  done
  die "this machine has no certificates of authorities: apt-get install ca-certificates"
}

[ -f web/app/dist/index.html ] || die "the pages are not built: make web"
if [ -n "$(go version -m "$program" | grep -F 'CGO_ENABLED=1' || true)" ]; then die "$program is built with cgo, and would miss the C library"; fi

rm -rf "$root"
mkdir -p "$root/root/etc/ssl/certs" "$root/root/usr/share/sbom" "$root/data"
cp "$program" "$root/root/spillway"
cp -L "$(certificates)" "$root/root/etc/ssl/certs/ca-certificates.crt"
echo "spillway:x:$user:$user:Spillway:/data:/nonexistent" > "$root/root/etc/passwd"
echo "spillway:x:$user:" > "$root/root/etc/group"
cp LICENSE "$root/root/LICENSE"
.bin/cyclonedx-gomod bin -json -output "$root/root/usr/share/sbom/spillway.cdx.json" "$program"
cp "$web_sbom" "$root/root/usr/share/sbom/web.cdx.json"
chmod -R u=rwX,go=rX "$root/root"
chmod 755 "$root/root/spillway"

size=$(du --bytes --summarize "$root/root" | cut -f 1)
[ "$size" -le "$max_bytes" ] || die "the image has $size bytes; $max_bytes is the most"
echo "The image has $size of at most $max_bytes bytes."
