#!/usr/bin/env bash
# Posts OUT/comment.md on pull request PULL of REPOSITORY, in place of what was posted before. PAGE is linked.
set -euo pipefail
marker='<!-- reportgen compare -->'
body=$OUT/body.md
{
    printf '%s\n' "$marker"
    # A comment may have 65,536 characters.
    head -c 62000 "$OUT/comment.md" | iconv -c -f utf-8 -t utf-8
    if [ -n "${PAGE:-}" ]; then printf '\n[The page with all figures](%s)\n' "$PAGE"; fi
} >"$body"
ours=".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id"
id=$(gh api --paginate "repos/$REPOSITORY/issues/$PULL/comments" --jq "$ours" | sed -n 1p)
if [ -n "$id" ]; then
    gh api --silent --method PATCH "repos/$REPOSITORY/issues/comments/$id" -F "body=@$body"
else
    gh api --silent --method POST "repos/$REPOSITORY/issues/$PULL/comments" -F "body=@$body"
fi
