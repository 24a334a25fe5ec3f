#!/usr/bin/env bash
# Compares the runs BASE with the runs NEW (separated by spaces) into OUT: compare.html, comment.md without pictures, which
# is also the job's summary, and markdown/comment.md with those of examples. FAIL_IF has a condition per line. Wrong input ends the step; a condition that holds is
# left to the last step, after all is uploaded: the output "code" is 1.
set -euo pipefail
read -ra base <<<"$BASE"
read -ra new <<<"$NEW"
runs=(--base ${base[@]+"${base[@]}"} --new ${new[@]+"${new[@]}"})
conditions=()
while IFS= read -r line; do
    if [ -n "$line" ]; then conditions+=(--fail-if "$line"); fi
done <<<"$FAIL_IF"
command -v reportgen >/dev/null || python -m pip install --quiet "$GITHUB_ACTION_PATH"
mkdir -p "$OUT"
code=0
said=$(reportgen compare "${runs[@]}" ${conditions[@]+"${conditions[@]}"} -o "$OUT/compare.html" 2>&1) || code=$?
printf '%s\n' "$said"
if [ "$code" -gt 1 ]; then exit "$code"; fi
reportgen compare "${runs[@]}" --format md -o "$OUT/markdown"
# The report with the figures whose file matches $1, in Markdown's own form; then the conditions that hold.
commented() {
    awk -v kept="$1" '
        /^<img src="report-figures\// {
            split($0, part, "\"")
            shown = part[2] ~ kept
            if (shown) print "![" part[4] "](" part[2] ")"
            next
        }
        /^\*Figure [0-9]/ && !shown { next }
        { print }
    ' "$OUT/markdown/report.md" | cat -s
    if [ "$code" = 1 ]; then
        printf '\n**Crossed**\n\n'
        printf '%s\n' "$said" | sed -n 's/^crossed: \(.*\)/- `\1`/p'
    fi
}
# Neither a summary nor a comment shows files that lie beside it, unless they are attached.
commented '^$' >"$OUT/comment.md"
commented '[.]png$' >"$OUT/markdown/comment.md"
cat "$OUT/comment.md" >>"$GITHUB_STEP_SUMMARY"
echo "code=$code" >>"$GITHUB_OUTPUT"
