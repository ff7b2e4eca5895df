#!/usr/bin/env bash
# Finds or installs the browser that test/e2e drives: $SPILLWAY_TEST_CHROMIUM, or Chromium or Chrome in PATH. Usage:
# chromium.sh find|prepare
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# locate prints the path of the browser, or fails with the reason.
locate() {
  command -v "${SPILLWAY_TEST_CHROMIUM:-chromium}" && return 0
  [ -z "${SPILLWAY_TEST_CHROMIUM:-}" ] || die "SPILLWAY_TEST_CHROMIUM: there is no program $SPILLWAY_TEST_CHROMIUM"
  command -v chromium-browser || command -v google-chrome ||
    die "no browser: run \`make chromium\` (apt-get install chromium), or set SPILLWAY_TEST_CHROMIUM to a Chromium or Chrome"
}

prepare() {
  (locate >/dev/null 2>&1) && return 0
  # A browser that is set explicitly is not replaced by another.
  if [ -n "${SPILLWAY_TEST_CHROMIUM:-}" ] || ! command -v apt-get >/dev/null; then locate; fi
  mkdir -p "$SERVICES_DIR"
  apt_install chromium --no-install-recommends chromium
  locate >/dev/null
}

case ${1:-} in
find) locate ;;
prepare) prepare ;;
*) die "usage: chromium.sh find|prepare" ;;
esac
