"""What the page holds in short forms: every pixel, every string and every rule is as it was."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from reportgen.core.report import Document
from reportgen.figures.mosaic import png, small_png
from reportgen.figures.palettes import DIVERGING, GAP
from reportgen.page.blocks import embed, short_pictures
from reportgen.page.encoded import lean_script, lean_style, lossless
from reportgen.page.html import EARLY_SCRIPTS, SCRIPTS, scripts, styles
from reportgen.page.loader import asset


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def smooth() -> np.ndarray:
    return (120 + 100 * np.sin(np.add.outer(np.arange(90), np.arange(120)) / 9)).astype(np.uint8)


def with_gaps() -> bytes:
    entries = smooth()
    entries[::10] = GAP
    return png(entries, DIVERGING)


@pytest.mark.parametrize("made", [with_gaps(), png(smooth()), small_png(np.stack([smooth()] * 3, axis=2) // 50)])
def test_every_pixel_is_kept(made: bytes) -> None:
    before, after = pixels(made), pixels(lossless(made))
    seen = before[..., 3] > 0
    assert (before[..., 3] == after[..., 3]).all() and (before[seen] == after[seen]).all()


def test_the_shorter_form_stands_in_the_page() -> None:
    long = with_gaps()
    shown = embed("a", long, "image/png")
    assert shown.startswith("data:image/webp;base64,") and len(shown) < len(base64.b64encode(long))
    wide = png(np.zeros((2, 20_000), np.uint8))
    assert embed("b", wide, "image/png") == f"data:image/png;base64,{base64.b64encode(wide).decode()}"


def test_pictures_within_drawings_are_short_too() -> None:
    made = png(smooth())
    svg = f'<svg><image href="data:image/png;base64,{base64.b64encode(made).decode()}" x="1"/><path d="M0 0"/></svg>'
    before, after = re.fullmatch(r'(<svg><image href=")data:.*?(" x="1"/><path d="M0 0"/></svg>)', svg).groups()
    shown = short_pictures(svg)
    assert shown.startswith(f"{before}data:image/webp;base64,") and shown.endswith(after) and len(shown) < len(svg)
    kept = base64.b64decode(shown.removeprefix(f"{before}data:image/webp;base64,").removesuffix(after))
    assert (pixels(kept) == pixels(made)).all()
    tiny = f'<image href="{embed("", png(np.zeros((2, 20_000), np.uint8)), "image/png")[:300]}"/>'
    assert short_pictures(tiny) == tiny


def test_what_webp_can_not_hold_and_what_is_damaged_stays_as_it_is() -> None:
    deep, wide = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16).save(deep, "PNG")
    Image.new("L", (20_000, 2)).save(wide, "PNG")
    whole = png(smooth())
    for made in (deep.getvalue(), wide.getvalue(), whole[:200], whole[:90] + whole[120:]):
        assert lossless(made) == made


SCRIPT = """
// Why.
(() => {
  "use strict";
  const text = `a ${b ? `, ${c}` : " // "}; d`; // why
  const parts = line.split(/[ ,;] \\/ /g, 2).map((part) => part - -1);
  for (const [a, b] of parts) {
    if (a === ": ; ,") return { a, 'b' : [b] };
    else go(a, /x = "y"/);
  }
})();
"""


def test_a_script_loses_only_what_nothing_depends_on() -> None:
    assert lean_script(SCRIPT) == (
        '(()=>{"use strict";let text=`a ${b ? `, ${c}` : " // "}; d`;\n'
        "let parts=line.split(/[ ,;] \\/ /g,2).map(part=>part - -1);"
        'for(let[a,b]of parts){if(a===": ; ,")return{a,\'b\':[b]};else go(a,/x = "y"/)}})();\n'
    )


def test_a_style_sheet_likewise() -> None:
    text = '/**/\na :is(b, c) > d::after { content: "; :  x"; margin: 0 -1px; }\n@media (width > 3) { e { f: g; } }'
    assert lean_style(text) == 'a :is(b,c)>d::after{content:"; :  x";margin:0 -1px}@media (width>3){e{f:g}}\n'


def test_every_word_of_the_scripts_is_still_there() -> None:
    """What is removed are comments and spaces: words and their order are those of the files."""
    for name in (*EARLY_SCRIPTS, *SCRIPTS):
        text = re.sub(r"(?m)^\s*//.*$|; // .*$", "", asset(f"js/{name}.js"))
        before, after = (
            [word for word in re.findall(r"\w+|[^\s();,]", form) if word not in ("const", "let")]
            for form in (text, lean_script(text))
        )
        assert before == after, name


def test_declarations_in_a_row_become_one() -> None:
    text = "const a = 1;\nconst [b, c] = f(a);\nconst d = (e) => {\n  const g = e;\n  return g;\n};\nconst h = 2;\n"
    assert lean_script(text) == "let a=1,[b,c]=f(a),d=e=>{let g=e;return g};let h=2;\n"


def test_scripts_and_styles_stay_below_their_limit() -> None:
    assert len((styles(Document("", "", (), (), {})) + scripts(EARLY_SCRIPTS) + scripts(SCRIPTS)).encode()) < 90_000
