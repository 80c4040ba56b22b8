#!/usr/bin/env bash
# The commands of docs/tutorial.md, in its order, with a check after each step: `make tutorial` runs it.
# Below "The tutorial" every line that does not begin with `check_` or `wait_` stands on that page
# (tests/examples/test_tutorial.py sees to it).
set -eu
cd "$(dirname "$0")/.."

LOG=out/tutorial.log
RAY=
export USO_CALIBRATION_FILE= HF_HOME="$PWD/out/tutorial/hf" # nothing is left in the user's folders
rm -rf out/tutorial
mkdir -p out
exec > >(tee "$LOG") 2>&1

fail() {
  echo "FAILED: $1"
  exit 1
}

tidy_up() {
  if [ -n "$RAY" ] && kill "$RAY" 2>/dev/null; then
    wait "$RAY" || true
  fi
  rm -rf /tmp/uso-tutorial
}
trap tidy_up EXIT

# Completed rows with a record, and ids among them.
recorded() {
  python - <<'EOF'
import pyarrow.compute as pc
import pyarrow.dataset as ds

done = ds.dataset("out/tutorial/out/records").to_table(filter=ds.field("status") == "completed")
print(done.num_rows, pc.count_distinct(done["id"]))
EOF
}

check_said() {
  for _ in $(seq 50); do # what was said reaches the log by way of another process
    if grep -qF -- "$1" "$LOG"; then return; fi
    sleep 0.1
  done
  fail "nothing said: $1"
}

check_recorded() {
  [ "$(recorded)" = "$1 $1" ] || fail "$1 rows should be recorded, once each: $(recorded)"
}

check_half_way() {
  rows=$(recorded)
  [ "${rows% *}" -gt 4 ] && [ "${rows% *}" -lt 50 ] || fail "not half-way: $rows rows"
}

wait_until() {
  local ends_at=$((SECONDS + 180))
  until "$@"; do
    [ "$SECONDS" -lt "$ends_at" ] || fail "waited 3 minutes for: $*"
    sleep 0.5
  done
}

cluster_is_up() {
  kill -0 "$RAY" || fail "Ray did not start: $(tail -n 5 out/tutorial/ray.log)"
  uso jobs >/dev/null 2>&1
}

more_than_four_rows_are_recorded() {
  rows=$(recorded)
  [ "${rows% *}" -gt 4 ]
}

the_new_run_is_known() { # the one before it was interrupted
  uso status out/tutorial/out | grep -qE "^last run .*: (running|completed) at"
}

check_report() {
  page=$PWD/out/tutorial/out/report/index.html
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
  if [ -z "$browser" ]; then
    echo "no Chromium here: the report was not opened"
    return
  fi
  "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=10000 --dump-dom \
    "file://$page" >out/tutorial/report.html 2>/dev/null
  grep -qF 'cat--cafe-terrace--in_the_snow' out/tutorial/report.html || fail "the report shows no rows"
  "$browser" --headless --no-sandbox --disable-gpu --window-size=1280,1600 \
    --screenshot=out/tutorial/report.png "file://$page" 2>/dev/null
  [ -s out/tutorial/report.png ] || fail "the report was not drawn"
}

check_cluster_is_gone() {
  if kill -0 "$RAY" 2>/dev/null; then fail "Ray goes on"; fi
  echo "Everything is as docs/tutorial.md says."
}

# --- The tutorial ---

# 1. Install
make install
. .venv/bin/activate

# 2. Two folders
mkdir -p out/tutorial
cp -r examples/demo/photos examples/demo/paintings out/tutorial/

# 3. A manifest
uso manifest out/tutorial/manifest.parquet \
  --content out/tutorial/photos --style out/tutorial/paintings \
  --prompt "" --prompt "in the snow, at dusk"
check_said "rows       60"

# 4. A configuration
cat > out/tutorial/stylize.yaml <<'EOF'
manifest:
  path: out/tutorial/manifest.parquet
defaults: # what a row gets that does not say otherwise
  num_steps: 10
model:
  base: tiny # random weights
  device: cpu
stylize:
  actors: 2 # two processes, each with a model
  gpus_per_actor: 0
output:
  path: out/tutorial/out
  commit_seconds: 1 # records are written this often
EOF
uso describe out/tutorial/stylize.yaml
check_said "Nothing was started."

# 5. Is everything in order?
uso validate out/tutorial/stylize.yaml --fetch all || echo "exit code $?"
check_said "image_corrupt"
check_said "exit code 2"
rm out/tutorial/photos/truncated.jpg
uso manifest out/tutorial/manifest.parquet --force \
  --content out/tutorial/photos --style out/tutorial/paintings \
  --prompt "" --prompt "in the snow, at dusk"
uso validate out/tutorial/stylize.yaml --fetch all
check_said "rows       50"
check_said "Nothing is wrong."

# 6. A first look, and a plan
uso run out/tutorial/stylize.yaml --limit 4
uso status out/tutorial/out --rows 4
uso plan out/tutorial/stylize.yaml
check_recorded 4
check_said "46 rows, 46 images"
check_said "measured on cpu"

# 7. A cluster
ray start --head --block --disable-usage-stats --num-cpus=4 --temp-dir=/tmp/uso-tutorial \
  --node-ip-address=127.0.0.1 --port=6390 --dashboard-port=8290 --dashboard-agent-listen-port=0 \
  >out/tutorial/ray.log 2>&1 &
RAY=$!
export RAY_API_SERVER_ADDRESS=http://127.0.0.1:8290
wait_until cluster_is_up
uso submit out/tutorial/stylize.yaml
uso jobs
check_said "submitted  stylize-"

# 8. Watch it, stop it
wait_until more_than_four_rows_are_recorded
uso logs stylize
uso status out/tutorial/out
uso stop stylize
uso status out/tutorial/out
check_said "what it drew is recorded"
check_half_way

# 9. Go on
uso submit out/tutorial/stylize.yaml
wait_until the_new_run_is_known
uso status out/tutorial/out --watch
uso logs stylize
check_recorded 50

# 10. Look at it
uso report out/tutorial/out
check_report

# 11. Load it
uso pack out/tutorial/out --layout parquet --to out/tutorial/dataset
python - <<'EOF'
from datasets import load_dataset

dataset = load_dataset("out/tutorial/dataset", split="train")
print(dataset)
print(dataset[0]["id"], dataset[0]["image"].size)
EOF
check_said "num_rows: 50"

# 12. Tidy up
kill "$RAY"
wait "$RAY" || true
check_cluster_is_gone
