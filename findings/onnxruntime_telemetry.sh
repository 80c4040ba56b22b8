#!/bin/sh
# The guess: onnxruntime for Linux sends no statistics, or onnxruntime.disable_telemetry_events(),
#   called right after the import, turns them off.
# What happens: the import of the official wheel makes an id of the machine and a database of events
#   below ~/.cache/Microsoft, with or without the call. Only ORT_DISABLE_TELEMETRY=1, set before the
#   import, prevents both.
# Whom it hurts: everyone who runs a model on machines that must not send anything, or with a home
#   folder that is read-only or shared, and trusts the function.
# Exit code: 0 while the library behaves like this, 1 if it has changed.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.32.0 numpy==2.4.6
cd "$work"
files() {
  find "$1" -type f | sed "s|^$1/||" | sort | tr '\n' ' '
}
mkdir plain call variable
unset XDG_CACHE_HOME ORT_DISABLE_TELEMETRY
HOME=$work/plain venv/bin/python -c 'import onnxruntime'
HOME=$work/call venv/bin/python -c 'import onnxruntime as o; o.disable_telemetry_events()'
HOME=$work/variable ORT_DISABLE_TELEMETRY=1 venv/bin/python -c 'import onnxruntime'
echo "onnxruntime 1.32.0, $(uname -sm)"
for case in plain call variable; do
  echo "  $case: $(files $case)"
done
case "$(files plain)" in *onnxruntime.db*) ;; *) exit 1 ;; esac
case "$(files call)" in *deviceid*) ;; *) exit 1 ;; esac
[ -z "$(files variable)" ]
