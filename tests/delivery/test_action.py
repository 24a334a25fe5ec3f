"""The action for pull requests: its shell steps, with `gh` replaced by a stand-in that records what it is asked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.comparison.test_page import made

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "github.md").read_text(encoding="utf-8"), re.DOTALL)
MARKER = "<!-- reportgen compare -->"

GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$GH_LOG"
case "$*" in
    *comments*--jq* | *comments\\ --jq*) printf '%b' "${GH_IDS:-}" ;;
    *repos/me/it/pulls*) printf '%b' "${GH_PULLS:-}" ;;
    pr\\ comment\\ --help) printf '%b' "${GH_HELP:-}" ;;
    pr\\ comment*) cp "$7" "$GH_LOG.pictured"; exit "${GH_REFUSES:-0}" ;;
    run\\ download*) printf 'what the fork says\\n' >"${@: -1}/comment.md" ;;
esac
for argument in "$@"; do
    case "$argument" in body=@*) cp "${argument#body=@}" "$GH_LOG.body" ;; esac
done
"""


@pytest.fixture
def shell(tmp_path):
    """Run a step's script with stand-ins first on the path; returns the finished process."""
    tools = tmp_path / "tools"
    tools.mkdir()
    reportgen = f'#!/usr/bin/env bash\nexec "{sys.executable}" -m reportgen "$@"\n'
    for name, text in (("gh", GH), ("reportgen", reportgen)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    out = tmp_path / "out dir"
    fixed = {"PATH": f"{tools}:{os.environ['PATH']}", "OUT": str(out), "GH_LOG": str(tmp_path / "gh.log")}
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    python = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}

    def run(script: str, **given: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **fixed, **files, **python, "REPOSITORY": "me/it", **given}
        done = subprocess.run(["bash", str(ROOT / "action" / script)], env=environment, capture_output=True, text=True)
        done.out, done.log = out, tmp_path / "gh.log"  # type: ignore[attr-defined]
        return done

    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return str(made(folder / "base", 0, range(30))), str(made(folder / "new", 1, range(2)))


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_comparison_is_written_as_page_comment_and_summary(shell, runs, tmp_path):
    conditions = "\nval_accuracy < base\nval_accuracy > base + 0.1\n"
    done = shell("compare.sh", BASE=f" {runs[0]} ", NEW=runs[1], FAIL_IF=conditions)
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "GITHUB_OUTPUT") == "code=1\n"
    comment = written(done.out / "comment.md")
    assert comment == written(tmp_path / "GITHUB_STEP_SUMMARY")
    assert comment.startswith("# tiny on made: new against base\n\n**New is better: +46.7")
    assert "figures/" not in comment and "*Figure" not in comment and "*Table" in comment
    assert comment.endswith("**Crossed**\n\n- `val_accuracy > base + 0.1`\n")
    assert written(done.out / "compare.html").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("ids", ["", "41\\n"])
def test_pictures_of_examples_are_attached_where_gh_and_the_token_can(shell, runs, tmp_path, ids, refused):
    assert shell("compare.sh", BASE=runs[0], NEW=runs[1], FAIL_IF="").returncode == 0
    gh = {"GH_IDS": ids, "GH_HELP": "  -a, --attach file\n", "GH_REFUSES": str(int(refused))}
    done = shell("comment.sh", PULL="7", PAGE="https://example.org/page", **gh)
    assert done.returncode == 0, done.stderr
    _, _, posted, *after = written(done.log).splitlines()
    assert posted == f"pr comment 7 --repo me/it --body-file {done.out}/body.md --attach report-figures/sides-fixed.png"
    text = written(tmp_path / "gh.log.pictured")
    assert text.startswith(MARKER) and text.endswith("[The page with all figures](https://example.org/page)\n")
    assert "![28 examples that only new classifies correctly.](report-figures/sides-fixed.png)\n\n*Figure" in text
    assert text.count("](report-figures/") == 1 == text.count("*Figure") and "<img" not in text
    assert (done.out / "markdown" / "report-figures" / "sides-fixed.png").exists()
    if not refused:
        assert after == [
            f"api --silent --method DELETE repos/me/it/issues/comments/{old}" for old in ids.split("\\n")[:-1]
        ]
    else:
        assert "--method PATCH" in after[0] if ids else "--method POST" in after[0]
        assert "figures/" not in written(tmp_path / "gh.log.body")


def test_wrong_input_fails_the_step_at_once(shell, runs, tmp_path):
    for given in ({"BASE": "", "NEW": runs[1]}, {"BASE": runs[0], "NEW": "nowhere"}):
        done = shell("compare.sh", **given, FAIL_IF="")
        assert done.returncode == 2 and "reportgen: " in done.stdout
        assert not (tmp_path / "GITHUB_OUTPUT").exists()


def test_nothing_in_an_input_is_run(shell, tmp_path):
    shell("compare.sh", BASE="$(touch pwned) `touch pwned`", NEW="; touch pwned", FAIL_IF="$(touch pwned)")
    assert not Path("pwned").exists() and not (tmp_path / "pwned").exists()


def comment(folder: Path, text: str = "a comparison\n") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "comment.md").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("ids", "call"),
    [
        ("", "api --silent --method POST repos/me/it/issues/7/comments"),
        ("41\\n42\\n", "api --silent --method PATCH repos/me/it/issues/comments/41"),
    ],
)
def test_one_comment_is_posted_or_replaced(shell, tmp_path, ids, call):
    comment(tmp_path / "out dir")
    done = shell("comment.sh", PULL="7", PAGE="https://example.org/page", GH_IDS=ids)
    assert done.returncode == 0, done.stderr
    asked, changed = written(done.log).splitlines()
    assert asked.startswith("api --paginate repos/me/it/issues/7/comments --jq") and MARKER in asked
    assert changed.startswith(call)
    body = written(tmp_path / "gh.log.body")
    assert body == f"{MARKER}\na comparison\n\n[The page with all figures](https://example.org/page)\n"


def test_a_comment_stays_within_what_github_takes(shell, tmp_path):
    comment(tmp_path / "out dir", "é" * 70_000)
    assert shell("comment.sh", PULL="7", PAGE="").returncode == 0
    assert 30_000 < len(written(tmp_path / "gh.log.body")) < 65_536


@pytest.mark.parametrize(("pulls", "posted"), [("9\\n", True), ("", False)])
def test_the_comment_of_a_fork_goes_to_the_pull_request_of_the_event(shell, tmp_path, pulls, posted):
    head = {"HEAD_OWNER": "someone", "HEAD_BRANCH": "a#b", "HEAD_SHA": "abc"}
    done = shell("fork.sh", RUN="5", **head, PAGE="https://example.org/run", GH_PULLS=pulls)
    assert done.returncode == 0, done.stderr
    calls = written(done.log).splitlines()
    assert calls[0].startswith("run download 5 --repo me/it --name reportgen-comment")
    assert "-f head=someone:a#b" in calls[1] and '"abc"' in calls[1]
    assert any("issues/9/comments" in call for call in calls) == posted
    if posted:
        assert "what the fork says" in written(tmp_path / "gh.log.body")


def test_the_action_runs_scripts_that_are_there_and_interpolates_nothing_into_them():
    action = yaml.safe_load(written(ROOT / "action.yml"))
    assert action["runs"]["using"] == "composite"
    steps = action["runs"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    named = {name for script in scripts for name in re.findall(r"action/(\w+\.sh)", script)}
    assert named == {"compare.sh", "comment.sh", "fork.sh"} == {file.name for file in (ROOT / "action").iterdir()}
    assert not any("${{" in script for script in scripts)
    assert all(step["shell"] == "bash" for step in steps if "run" in step)
    page = next(step for step in steps if step.get("id") == "page")
    assert page["uses"] == "actions/upload-artifact@v7" and page["with"]["archive"] is False
    given = set(re.findall(r"inputs\.([\w-]+)", written(ROOT / "action.yml")))
    assert given == set(action["inputs"])


def test_the_workflows_of_the_docs_are_short_and_give_the_actions_inputs():
    first, second = WORKFLOWS
    assert len(first.splitlines()) <= 15 and len(second.splitlines()) <= 15
    inputs = set(yaml.safe_load(written(ROOT / "action.yml"))["inputs"])
    for text in WORKFLOWS:
        workflow = yaml.safe_load(text)
        (job,) = workflow["jobs"].values()
        (step,) = (step for step in job["steps"] if "reportgen" in step.get("uses", ""))
        assert set(step["with"]) <= inputs
        assert workflow["permissions"]["pull-requests"] == "write"
    # The second one must run nothing of the fork's.
    assert "checkout" not in second and not any("run" in step for step in job["steps"])
