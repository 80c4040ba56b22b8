#!/usr/bin/env bash
# Runs the commands of docs/tutorial.md in order and checks each step. `make tutorial` starts it.
# Below "The tutorial", every line that does not begin with `check_` or `wait_` also appears on that
# page; tests/examples/test_tutorial.py enforces this.
set -eu
cd "$(dirname "$0")/.."

LOG=out/tutorial.log
RAY=
export USO_CALIBRATION_FILE= HF_HOME="$PWD/out/tutorial/hf" # keep the user's folders clean
rm -rf out/tutorial
mkdir -p out
exec > >(tee "$LOG") 2>&1

fail() {
  echo "FAILED: $1"
  exit 1
}

clean_up() {
  if [ -n "$RAY" ] && kill "$RAY" 2>/dev/null; then
    wait "$RAY" || true
  fi
  rm -rf /tmp/uso-tutorial
}
trap clean_up EXIT

# Print the number of completed records and the number of distinct ids among them.
recorded() {
  python - <<'EOF'
import pyarrow.compute as pc
import pyarrow.dataset as ds

done = ds.dataset("out/tutorial/out/records").to_table(filter=ds.field("status") == "completed")
print(done.num_rows, pc.count_distinct(done["id"]))
EOF
}

check_output() {
  for _ in $(seq 50); do # tee is another process: output reaches the log late
    if grep -qF -- "$1" "$LOG"; then return; fi
    sleep 0.1
  done
  fail "not in the output: $1"
}

check_recorded() {
  [ "$(recorded)" = "$1 $1" ] || fail "$1 records and ids expected; found $(recorded)"
}

check_half_way() {
  rows=$(recorded)
  [ "${rows% *}" -gt 4 ] && [ "${rows% *}" -lt 50 ] || fail "not half-way: $rows rows"
}

wait_until() {
  local ends_at=$((SECONDS + 180))
  until "$@"; do
    [ "$SECONDS" -lt "$ends_at" ] || fail "timed out after 3 minutes: $*"
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

new_run_is_listed() { # the previous run was interrupted
  uso status out/tutorial/out | grep -qE "^last run .*: (running|completed) at"
}

check_report() {
  page=$PWD/out/tutorial/out/report/index.html
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
  if [ -z "$browser" ]; then
    echo "Chromium not found: the report was not opened"
    return
  fi
  "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=10000 --dump-dom \
    "file://$page" >out/tutorial/report.html 2>/dev/null
  grep -qF 'cat--cafe-terrace--in_the_snow' out/tutorial/report.html || fail "the report shows no rows"
  "$browser" --headless --no-sandbox --disable-gpu --window-size=1280,1600 \
    --screenshot=out/tutorial/report.png "file://$page" 2>/dev/null
  [ -s out/tutorial/report.png ] || fail "the report was not rendered"
}

check_cluster_is_down() {
  if kill -0 "$RAY" 2>/dev/null; then fail "Ray is still running"; fi
  echo "Everything works as docs/tutorial.md says."
}

# --- The tutorial ---

# 1. Install
make install
. .venv/bin/activate

# 2. Copy two folders
mkdir -p out/tutorial
cp -r examples/demo/photos examples/demo/paintings out/tutorial/

# 3. Build a manifest
uso manifest out/tutorial/manifest.parquet \
  --content out/tutorial/photos --style out/tutorial/paintings \
  --prompt "" --prompt "in the snow, at dusk"
check_output "rows       60"

# 4. Write a configuration
cat > out/tutorial/stylize.yaml <<'EOF'
manifest:
  path: out/tutorial/manifest.parquet
defaults: # for rows that leave these columns empty
  num_steps: 10
model:
  base: demo # a toy
  device: cpu
stylize:
  actors: 2 # two processes, each with its own model
  gpus_per_actor: 0
output:
  path: out/tutorial/out
  commit_seconds: 1 # seconds between writes of records
EOF
uso describe out/tutorial/stylize.yaml
check_output "Nothing was started."

# 5. Validate the inputs
uso validate out/tutorial/stylize.yaml --fetch all || echo "exit code $?"
check_output "image_corrupt"
check_output "exit code 2"
rm out/tutorial/photos/truncated.jpg
uso manifest out/tutorial/manifest.parquet --force \
  --content out/tutorial/photos --style out/tutorial/paintings \
  --prompt "" --prompt "in the snow, at dusk"
uso validate out/tutorial/stylize.yaml --fetch all
check_output "rows       50"
check_output "Nothing is wrong."

# 6. Try four rows, then plan
uso run out/tutorial/stylize.yaml --limit 4
uso status out/tutorial/out --rows 4
uso plan out/tutorial/stylize.yaml
check_recorded 4
check_output "46 rows, 46 images"
check_output "measured on cpu"

# 7. Submit to a cluster
ray start --head --block --disable-usage-stats --num-cpus=4 --temp-dir=/tmp/uso-tutorial \
  --node-ip-address=127.0.0.1 --port=6390 --dashboard-port=8290 --dashboard-agent-listen-port=0 \
  >out/tutorial/ray.log 2>&1 &
RAY=$!
export RAY_API_SERVER_ADDRESS=http://127.0.0.1:8290
wait_until cluster_is_up
uso submit out/tutorial/stylize.yaml
uso jobs
check_output "submitted  stylize-"

# 8. Watch the run and stop it
wait_until more_than_four_rows_are_recorded
uso logs stylize
uso status out/tutorial/out
uso stop stylize
uso status out/tutorial/out
check_output "all finished rows are recorded"
check_half_way

# 9. Resume
uso submit out/tutorial/stylize.yaml
wait_until new_run_is_listed
uso status out/tutorial/out --watch
uso logs stylize
check_recorded 50

# 10. Browse the result
uso report out/tutorial/out
check_report

# 11. Load the dataset
uso pack out/tutorial/out --layout parquet --to out/tutorial/dataset
python - <<'EOF'
from datasets import load_dataset

dataset = load_dataset("out/tutorial/dataset", split="train")
print(dataset)
print(dataset[0]["id"], dataset[0]["image"].size)
EOF
check_output "num_rows: 50"

# 12. Clean up
kill "$RAY"
wait "$RAY" || true
check_cluster_is_down
