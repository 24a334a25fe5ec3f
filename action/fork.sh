#!/usr/bin/env bash
# Posts the comment that run RUN of a fork's pull request uploaded. Which pull request that is, is taken from the event and
# from GitHub, never from what the fork uploaded.
set -euo pipefail
mkdir -p "$OUT"
gh run download "$RUN" --repo "$REPOSITORY" --name reportgen-comment --dir "$OUT"
pulls=".[] | select(.head.sha == \"$HEAD_SHA\") | .number"
PULL=$(gh api --method GET "repos/$REPOSITORY/pulls" -f state=open -f "head=$HEAD_OWNER:$HEAD_BRANCH" --jq "$pulls" | sed -n 1p)
if [ -z "$PULL" ]; then
    echo "no open pull request has this commit: nothing is posted"
    exit 0
fi
export PULL
exec bash "$(dirname "$0")/comment.sh"
