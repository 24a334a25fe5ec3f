// Find a section, a layer, a figure or a table by its name. "/" leads there; arrow keys walk what was found.
(() => {
  "use strict";
  const MOST = 12;
  const text = (element) => element.textContent.trim().replace(/\s+/g, " ");
  let places = null;
  const index = () => [
    ...[...document.querySelectorAll("main > section")].map((part) => [part.id, text(part.querySelector("h2"))]),
    // Of the rows of a layer, one for each input, the first.
    ...[...new Map([...document.querySelectorAll(".row")].filter((row) => row.querySelector("h3")).reverse().map((row) => {
      const name = `${text(row.querySelector("h3")).split(",")[0]} · ${text(row.closest("section").querySelector("h2"))}`;
      return [name, [row.querySelector(".figure").id, name]];
    })).values()].reverse(),
    ...[...document.querySelectorAll(".figure > figcaption, .table caption .caption")].map((caption) => {
      const said = text(caption.querySelector(".number + span"));
      return [caption.closest("[id]").id, `${text(caption.querySelector(".number"))} ${said.length > 90 ? `${said.slice(0, 89)}…` : said}`];
    }),
    ...[...document.querySelectorAll("tr[id]")].map((row) => [row.id, text(row.cells[0])]),
  ].map(([id, name]) => ({ id, name, key: name.toLocaleLowerCase() }));
  // Whole beginnings before beginnings of words before the rest; within each as the page has them.
  const rank = (key, wanted) => (key.startsWith(wanted) ? 0 : key.includes(` ${wanted}`) ? 1 : 2);

  const boxes = [...document.querySelectorAll(".contents.side, .top-bar nav")].map((nav) => {
    const input = make("input", { type: "search", "aria-label": "Find on this page", placeholder: "Find on this page" });
    const said = make("p", { role: "status" });
    const list = make("ol");
    const contents = nav.querySelector("ol");
    nav.insertBefore(make("div", { class: "search" }, input, said, list), contents);
    const narrow = () => {
      places ??= index();
      const wanted = input.value.trim().toLocaleLowerCase();
      const found = wanted ? places.filter((place) => place.key.includes(wanted)) : [];
      found.sort((a, b) => rank(a.key, wanted) - rank(b.key, wanted));
      list.replaceChildren(...found.slice(0, MOST).map(({ id, name }) => make("li", {}, make("a", { href: `#${encodeURIComponent(id)}`, dir: "auto" }, name))));
      contents.hidden = wanted !== "";
      const more = found.length - MOST;
      said.textContent = !wanted ? "" : !found.length ? "Nothing has that name." : more > 0 ? `The first ${MOST} of ${found.length}` : `${found.length} found`;
    };
    on(input, "input", narrow);
    on(nav, "keydown", (event) => {
      const links = [...list.querySelectorAll("a")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "Escape" && input.value) {
        input.value = "";
        narrow();
        input.focus();
      } else if (event.key === "Enter" && event.target === input) links[0]?.click();
      else if (event.key === "ArrowDown" && (at >= 0 || event.target === input)) (links[at + 1] ?? input).focus();
      else if (event.key === "ArrowUp" && at >= 0) (links[at - 1] ?? input).focus();
      else return;
      event.preventDefault();
    });
    return input;
  });
  on(document, "keydown", (event) => {
    if (event.key !== "/" || held(event) || event.target.closest("input, select, textarea, dialog")) return;
    const fold = document.querySelector(".top-bar .contents");
    const input = boxes.find((box) => box.closest(".side")?.getClientRects().length) ?? boxes.at(-1);
    if (fold?.contains(input)) fold.open = true;
    input.focus();
    event.preventDefault();
  });
})();
