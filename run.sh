#!/usr/bin/env bash
# ./run.sh            install what is missing, then `histoblend run`
# ./run.sh test       the test suite, on up to 4 cores (further words go to pytest; --slow adds what is marked slow)
# ./run.sh test --kaggle-image    the tests marked kaggle_image, on the versions of Kaggle's notebook image
# ./run.sh ANYTHING   `histoblend ANYTHING`
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export NO_ALBUMENTATIONS_UPDATE=1 HISTOBLEND_CONFIGS="${HISTOBLEND_CONFIGS:-$here/configs}"

# find_python LOWEST HIGHEST NAME...: the first that is a Python from 3.LOWEST to 3.HIGHEST; PYTHON comes before all.
find_python() {
  local lowest="$1" highest="$2" name
  shift 2
  for name in "${PYTHON:-}" "$@"; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 &&
      "$name" -c "import sys; raise SystemExit(not (3, $lowest) <= sys.version_info[:2] <= (3, $highest))" 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 5
}

# A Kaggle notebook has nearly everything; its TensorFlow and numpy are never replaced.
use_kaggle_python() {
  python="$(command -v python3 || command -v python)"
  export PYTHONPATH="$here/src${PYTHONPATH:+:$PYTHONPATH}"
  local missing
  missing="$("$python" "$here/src/histoblend/requirements.py" --missing)"
  [ -z "$missing" ] && return
  if timeout 5 bash -c 'exec 3<>/dev/tcp/pypi.org/443' 2>/dev/null; then
    # shellcheck disable=SC2086
    "$python" -m pip install --quiet --no-deps $missing
  else
    echo "Missing here, and no network to install it: $missing" >&2
    echo "To do: switch the notebook's internet on for the first start, or attach the wheels as a dataset." >&2
    exit 5
  fi
}

use_virtual_environment() {
  python="$here/.venv/bin/python"
  local wanted stamp="$here/.venv/installed-for"
  wanted="$(cat "$here/pyproject.toml" "$here/src/histoblend/__init__.py" | cksum) $here"
  [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && return
  local base extras=test
  base="$(find_python 11 13 python3.12 python3.13 python3.11 python3 python)" || {
    echo "No Python 3.11, 3.12 or 3.13 found. To do: install one, or name it: PYTHON=/path/to/python ./run.sh" >&2
    exit 5
  }
  # TensorFlow sees an NVIDIA card only beside CUDA's libraries; on Linux they come from the package index.
  if [ "$(uname -s)" = Linux ] && nvidia-smi -L >/dev/null 2>&1; then extras=test,gpu; fi
  echo "Installing histoblend into .venv with $base (a few minutes, once) ..." >&2
  if command -v uv >/dev/null 2>&1; then
    uv venv --quiet --allow-existing --python "$base" "$here/.venv"
    uv pip install --quiet --python "$python" -e "$here[$extras]"
  else
    "$base" -m venv "$here/.venv"
    "$python" -m pip install --quiet --disable-pip-version-check -e "$here[$extras]"
  fi
  printf '%s' "$wanted" >"$stamp"
}

# Kaggle's versions in builds for a CPU; the package runs from its sources, as it does there.
use_kaggle_image() {
  local wanted base folder="$here/.venv-kaggle-image"
  local stamp="$folder/installed-for"
  wanted="$(cat "$here/pyproject.toml" "$here/constraints/kaggle-image.txt" | cksum)"
  export HISTOBLEND_OTHER_PYTHON="$python" PYTHONPATH="$here/src"
  python="$folder/bin/python"
  [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && return
  base="$(find_python 12 12 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python)" || {
    echo "No Python 3.12 found, which Kaggle's image has. To do: install one, or name it: PYTHON=/path/to/python3.12" >&2
    exit 5
  }
  echo "Installing the versions of Kaggle's image into .venv-kaggle-image with $base (a few minutes, once) ..." >&2
  "$base" -m venv --clear "$folder"
  # The names of requirements are to be split into words; none holds a space.
  # shellcheck disable=SC2046
  "$python" -m pip install --quiet --disable-pip-version-check --constraint "$here/constraints/kaggle-image.txt" \
    $("$python" "$here/src/histoblend/requirements.py" --cpu) pytest pytest-xdist jsonschema
  printf '%s' "$wanted" >"$stamp"
}

if [ -n "${KAGGLE_KERNEL_RUN_TYPE:-}" ]; then use_kaggle_python; else use_virtual_environment; fi

case "${1:-run}" in
  test)
    shift
    cd "$here"
    if [ "${1:-}" = --kaggle-image ]; then
      shift
      use_kaggle_image
      set -- -m kaggle_image -p no:cacheprovider "$@"
    fi
    parallel=()
    if "$python" -c 'import xdist' 2>/dev/null; then parallel=(--numprocesses auto --maxprocesses 4 --dist loadfile); fi
    # Several workers share a graphics card only if none takes all of its memory at once.
    export TF_FORCE_GPU_ALLOW_GROWTH=true
    exec "$python" -m pytest ${parallel[@]+"${parallel[@]}"} "$@"
    ;;
  run) [ $# -gt 0 ] && shift; exec "$python" -m histoblend run "$@" ;;
  *) exec "$python" -m histoblend "$@" ;;
esac
