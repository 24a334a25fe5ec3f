"""One example at a time: found by classes, number, link and cell, and told; in notebooks too."""

import numpy as np
import pytest

from reportgen import build
from reportgen.page.save import save
from reportgen.store import open_run
from tests.page.sample import sample


@pytest.fixture
def told(visit, report_file):
    def opened(anchor: str = "", **options):
        page = visit(f"{report_file.as_uri()}{anchor}", **options)
        page.locator(".story h3").wait_for()
        return page

    return opened


def told_of(page, title: str) -> None:
    # An address changes before what hangs on it does.
    from playwright.sync_api import expect

    expect(page.locator(".story h3")).to_have_text(title)


def text(page) -> str:
    return page.locator(".story").inner_text().replace("\N{NO-BREAK SPACE}", " ")


def test_a_permalink_tells_the_story(told) -> None:
    page = told("#example-105")
    story = text(page)
    # Place 585: taken for another class in no frame but 25, which there is none of.
    told_of(page, "Evaluation image 105")
    assert "True: 9. Predicted: 9 (90 %). Right from the beginning." in story
    assert page.evaluate("document.activeElement.matches('.story')")
    assert (
        page.locator(".story .ranked li").all_inner_texts()[0].split() == ["9", "90\N{NO-BREAK SPACE}%"]
        or "90" in story
    )
    assert page.locator(".story-near a").get_attribute("href") == "#example-104"
    assert page.locator(".card-title").inner_text() == "Evaluation image 105", "the embedding marks it"
    page.locator(".story-near a").click()
    told_of(page, "Evaluation image 104")
    page.go_back()
    told_of(page, "Evaluation image 105")


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        ("#example-t0", "First right: epoch 1."),
        ("#example-t2", "Right from the beginning; forgotten: epoch 2; right again: epoch 3."),
        ("#example-t5", "Right from the beginning; forgotten: epoch 5."),
    ],
)
def test_it_says_when_it_was_learned_and_forgotten(told, anchor, said) -> None:
    assert said in text(told(anchor))


def test_its_maps_are_linked_where_the_page_shows_them(told) -> None:
    page = told("#example-100")
    links = page.locator(".story a[href='#conv1-maps']")
    assert links.count() == 1 and "gone" not in text(page)


def test_examples_are_found_by_classes_and_by_number(told) -> None:
    page = told()
    status = page.locator(".examples [role=status]")
    assert status.inner_text() == "0 found among 20 evaluation images."
    page.get_by_label("Predicted class", exact=True).select_option("any")
    assert status.inner_text() == "20 found among 20 evaluation images."
    page.get_by_label("True class").select_option("3")
    assert status.inner_text() == "0 found among 20 evaluation images."
    page.get_by_label("Kind of example").select_option("training image")
    page.get_by_label("Number of the example").fill("17")
    page.keyboard.press("Enter")
    told_of(page, "Training image 17")
    page.get_by_label("Number of the example").fill("580")
    page.keyboard.press("Enter")
    assert "does not carry training image 580" in status.inner_text()


def test_a_cell_of_the_confusion_matrix_lists_its_examples(visit, recorded, tmp_path) -> None:
    run = open_run(recorded)
    page = visit(build(run, embedding="pca").save(tmp_path / "r.html"))
    page.locator(".story h3").wait_for()
    outcome, labels = run.observations[12].outcome, run.batch("evaluation").labels
    wrong = np.flatnonzero(outcome.predictions != labels)
    true, predicted = int(labels[wrong[0]]), int(outcome.predictions[wrong[0]])
    expected = np.flatnonzero((labels == true) & (outcome.predictions == predicted))
    cell = page.locator("#mistakes-confusion [data-cells]")
    left, top, across, down, *order = (float(n) for n in cell.get_attribute("data-cells").split())
    svg = page.locator("#mistakes-confusion svg")
    scale = svg.bounding_box()["width"] / float(svg.get_attribute("viewBox").split()[2])
    column, row = order.index(predicted), order.index(true)
    svg.click(position={"x": (left + (column + 0.5) * across) * scale, "y": (top + (row + 0.5) * down) * scale})
    links = page.locator(".story-list a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    assert links == [f"#example-{number}" for number in expected]
    page.locator(".story-list a").first.click()
    told_of(page, f"Evaluation image {expected[0]}")


def test_without_scripts_the_worst_have_a_row(visit, recorded, tmp_path) -> None:
    report = build(recorded, embedding="pca")
    path = report.save(tmp_path / "r.html")
    page = visit(path, java_script_enabled=False)
    table = next(b for s in report.document.sections for b in s.blocks if getattr(b, "name", "") == "examples-worst")
    assert len(table.anchors) == len(table.rows) == 8
    page.goto(f"{path.as_uri()}#{table.anchors[3]}")
    row = page.locator(f"#{table.anchors[3]}")
    assert row.is_visible() and row.locator("th").inner_text() == table.rows[3][0]
    assert not page.locator(".examples").inner_text()


def test_a_notebooks_frame_follows_links_to_examples(visit, tmp_path) -> None:
    from reportgen.api import Report
    from tests.browser.test_notebook import notebook

    page = visit(notebook(tmp_path, Report(sample())))
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    frame.locator(".story-near a").wait_for()
    name = frame.locator(".story-near a").get_attribute("href")
    frame.locator(".story-near a").click()
    assert frame.locator(".story h3 a").get_attribute("href") == name


def test_the_folder_has_the_pictures_beside_it(visit, tmp_path) -> None:
    page = visit(save(sample(), tmp_path, format="dir"))
    page.goto(f"{page.url}#example-103")
    page.locator(".story > canvas").wait_for()
    assert (tmp_path / "figures" / "known-1.png").is_file()


def test_a_patch_names_its_example_and_leads_to_it(visit, recorded, real) -> None:
    run, page = open_run(recorded), visit(real)
    page.locator(".story h3").wait_for()
    figure = page.locator("figure:has([data-patches])").first
    figure.scroll_into_view_if_needed()
    svg = figure.locator("svg:has(> [data-patches]):visible").last
    # The last panel is of the network at the end; a figure of several has them in one drawing or in one each.
    hook = svg.locator("[data-patches]").last
    left, top, across, down, ranks, *of = (float(n) for n in hook.get_attribute("data-patches").split())
    shown = [observed.top[path].examples for observed in run.observations.values() for path in observed.top]
    assert any({int(number) for number in of} <= set(examples.ravel().tolist()) for examples in shown)
    scale = svg.bounding_box()["width"] / float(svg.get_attribute("viewBox").split()[2])
    place = next(place for place, number in enumerate(of) if number >= 0 and place % ranks)
    row, column = divmod(place, int(ranks))
    at = {"x": (left + (column + 0.4) * across) * scale, "y": (top + (row + 0.4) * down) * scale}
    svg.hover(position=at)
    assert svg.locator("> title").last.text_content() == f"evaluation image {of[place]:.0f}"
    svg.click(position=at)
    told_of(page, f"Evaluation image {of[place]:.0f}")


def test_the_keyboard_reaches_every_patch(visit, real) -> None:
    page = visit(real)
    page.locator(".story h3").wait_for()
    figure = page.locator("figure:has([data-patches])").first
    svg = figure.locator("svg:has(> [data-patches]):visible").last
    _, top, across, down, ranks, *of = map(float, svg.locator("[data-patches]").get_attribute("data-patches").split())
    columns, said = int(ranks), figure.locator(".readout").last
    svg.focus()
    svg.press("ArrowRight")
    seen = [said.inner_text()]
    for row in range(len(of) // columns):
        # Along each row, back and forth, and on to the next: at the ends nothing happens.
        for key in ["ArrowLeft" if row % 2 else "ArrowRight"] * columns:
            svg.press(key)
            seen.append(said.inner_text())
        svg.press("ArrowDown")
        seen.append(said.inner_text())
    expected = {f"evaluation image {number:.0f}" if number >= 0 else "none" for number in of}
    assert {text.rpartition(", ")[0] or text for text in seen} == expected
    mark = svg.locator(".cursor")
    assert [float(mark.get_attribute(name)) for name in ("width", "height")] == [across, down]
    assert float(mark.get_attribute("y")) == pytest.approx(top + (len(of) // columns - 1) * down)
    svg.press("Home")
    page.keyboard.press("Tab")
    assert mark.count() == 0 and said.inner_text() == ""
    svg.focus()
    svg.press("ArrowDown")
    svg.press("Enter")
    assert of[0] >= 0 and page.evaluate("location.hash") == f"#example-{of[0]:.0f}"
    told_of(page, f"Evaluation image {of[0]:.0f}")
