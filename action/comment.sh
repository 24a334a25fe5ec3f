#!/usr/bin/env bash
# Posts OUT/comment.md on pull request PULL of REPOSITORY, in place of what was posted before. PAGE is linked. Where gh can
# attach files and the token may write to the repository, it is OUT/markdown/comment.md with its pictures.
set -euo pipefail
marker='<!-- reportgen compare -->'
body=$OUT/body.md
written() {
    printf '%s\n' "$marker"
    # A comment may have 65,536 characters.
    head -c 62000 "$1" | iconv -c -f utf-8 -t utf-8
    if [ -n "${PAGE:-}" ]; then printf '\n[The page with all figures](%s)\n' "$PAGE"; fi
}
ours=".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id"
id=$(gh api --paginate "repos/$REPOSITORY/issues/$PULL/comments" --jq "$ours" | sed -n 1p)
pictured() {
    [ -f "$OUT/markdown/comment.md" ] && gh pr comment --help 2>/dev/null | grep -q -e --attach || return 1
    cd "$OUT/markdown"
    attached=()
    while IFS= read -r file; do attached+=(--attach "$file"); done < <(sed -n 's/^!\[[^]]*](\(.*\))$/\1/p' comment.md)
    [ "${#attached[@]}" -gt 0 ] || return 1
    written comment.md >"$body"
    gh pr comment "$PULL" --repo "$REPOSITORY" --body-file "$body" "${attached[@]}"
}
if (pictured); then
    # The new one is there before the old one goes.
    if [ -n "$id" ]; then gh api --silent --method DELETE "repos/$REPOSITORY/issues/comments/$id"; fi
    exit 0
fi
written "$OUT/comment.md" >"$body"
if [ -n "$id" ]; then
    gh api --silent --method PATCH "repos/$REPOSITORY/issues/comments/$id" -F "body=@$body"
else
    gh api --silent --method POST "repos/$REPOSITORY/issues/$PULL/comments" -F "body=@$body"
fi
