#!/usr/bin/env bash
# Checks what one deploys with: compose.yaml against the Compose specification, the overlays of deploy/kubernetes against the schemas of Kubernetes
# and the rules of kube-score, .goreleaser.yaml, and the units of systemd. `make lint-deploy` installs the programs. Usage: check-deploy.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The oldest and the newest version of Kubernetes that the manifests are for: preStop.sleep is on by default since 1.30.
oldest=1.30 newest=1.37
# The components that an operator may add to any overlay.
components='services services-tls oidc-issuer'
# systemd's measure of what a service could reach, 0 to 100: 15 is "OK" with nothing but the network left.
max_exposure=15

die() { echo "deploy: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compose-check compose.yaml > /dev/null || die "compose.yaml is not valid"

goreleaser-check .goreleaser.yaml || die ".goreleaser.yaml is not valid"

# check_manifests NAME DIRECTORY builds the manifests and checks them.
check_manifests() {
  kustomize build "$2" > "$work/manifests.yaml"
  for version in $oldest $newest; do
    # A kind without a schema is only a warning; those of the Prometheus operator are the only ones here.
    .bin/python/bin/kubernetes-validate --strict --quiet --kubernetes-version "$version" "$work/manifests.yaml" > "$work/found" 2>&1 ||
      { cat "$work/found" >&2; die "$1 is not valid for Kubernetes $version"; }
    if grep -v 'PodMonitor' "$work/found" >&2; then die "$1 has what Kubernetes $version does not know"; fi
  done
  # A limit of the processor would slow a burst of orders while processors are free; images are named by version.
  kube-score score --kubernetes-version "v$oldest" --ignore-container-cpu-limit --ignore-test container-image-pull-policy --output-format ci \
    "$work/manifests.yaml" > "$work/score" || { grep -F '[CRITICAL]' "$work/score" >&2; die "$1 has critical findings of kube-score"; }
}

# A copy has the components in each overlay, as an operator adds them.
cp -R deploy "$work/deploy"
for overlay in dev prod; do
  check_manifests "overlay $overlay" "deploy/kubernetes/overlays/$overlay"
  copy="$work/deploy/kubernetes/overlays/$overlay"
  for component in $components; do
    (cd "$copy" && kustomize edit add component "../../components/$component")
  done
  check_manifests "overlay $overlay with $components" "$copy"
done

if command -v systemd-analyze >/dev/null; then
  # An instance of it, with a program that exists on every machine. A setting that systemd does not know is only a warning.
  sed 's|^ExecStart=/usr/local/bin/spillway |ExecStart=/bin/echo |' deploy/systemd/spillway@.service > "$work/spillway@serve.service"
  if ! systemd-analyze verify --man=no "$work/spillway@serve.service" > "$work/verified" 2>&1 || [ -s "$work/verified" ]; then
    cat "$work/verified" >&2
    die "systemd does not accept the unit as it is"
  fi
  systemd-analyze security --offline=true --threshold="$max_exposure" --no-pager deploy/systemd/spillway@.service > "$work/security" ||
    { cat "$work/security" >&2; die "the unit could reach more than it may"; }
else
  echo "systemd-analyze is missing, the unit is not checked: apt-get install systemd" >&2
  [ "${CI:-}" != true ]
fi
echo "compose.yaml, the overlays dev and prod with and without components, .goreleaser.yaml and the unit are valid."
