#!/usr/bin/env bash
# install_packages.sh GROUP...
#   Installs the Debian packages packages.txt names for these groups, where they are missing. Changes
#   nothing and returns at once when none is. Never removes a package.
set -euo pipefail
list="$(dirname "$0")/packages.txt"

if [ $# -eq 0 ]; then
  echo "usage: $0 GROUP...   groups: $(awk '/^[a-z]/ { print $1 }' "$list" | sort -u | xargs)" >&2
  exit 2
fi

wanted=()
for group in "$@"; do
  mapfile -t packages < <(awk -v g="$group" '/^[a-z]/ && $1 == g { print $2 }' "$list")
  if [ ${#packages[@]} -eq 0 ]; then
    echo "$list has no group '$group'" >&2
    exit 2
  fi
  wanted+=("${packages[@]}")
done

if ! command -v dpkg-query >/dev/null; then
  echo "This is not Debian: install the equivalents of ${wanted[*]} yourself; going on without checking." >&2
  exit 0
fi

# "dpkg-query -W" exits 1 as soon as one name is unknown, and prints the others all the same.
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
  awk '$1 == "installed" { print $2 }' | xargs) " || true
missing=()
for package in "${wanted[@]}"; do
  [[ "$installed" == *" $package "* || " ${missing[*]-} " == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "Missing packages: ${missing[*]}" >&2
  echo "Install them as root, then run this again:  sudo $0 $*" >&2
  exit 1
fi

echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt_get() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null; }
apt_get update
if ! apt_get install -y --no-install-recommends --no-remove "${missing[@]}" >/dev/null; then
  echo "apt-get could not install ${missing[*]}; its message stands above. If it would remove a package" >&2
  echo "(libboost1.81-dev conflicts with libboost1.74-dev), remove that one by hand first." >&2
  exit 1
fi
