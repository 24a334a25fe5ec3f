// What stands behind the tokens of a text, over the patches of a picture or on the rows of a graph is chosen: a head and
// the token that reads, a channel, a measure. The drawing has the places in its hook, and before it what is printed.
(() => {
  "use strict";
  const STEPS = 12;
  const open = (figure) => {
    const { count, chosen, groups, strongest, words } = JSON.parse(figure.dataset.shades);
    const hook = figure.querySelector("svg .hook");
    const drawing = hook.ownerSVGElement;
    const places = hook.dataset.tokens.split(" ").map(Number);
    const path = (token) => {
      const [left, top, right, bottom] = places.slice(4 * token, 4 * token + 4);
      return `M${left} ${top}H${right}V${bottom}H${left}z`;
    };
    const select = make("select", {}, make("option", { value: "" }, "as printed"));
    groups.forEach(([title, names], group) => select.append(make("optgroup", { label: title }, ...names.map((name, index) => make("option", { value: `${group} ${index}` }, name)))));
    const number = make("input", { type: "number", min: 0, max: count - 1, value: chosen });
    const reader = make("label", {}, "read at ", number);
    const printed = [...drawing.children].filter((part) => part.compareDocumentPosition(hook) & 4 && part.matches(".accent-fill, .c2-fill, .line-stroke, text"));
    const said = figure.querySelector("figcaption > span");
    const title = drawing.querySelector(":scope > text[font-weight]");
    const [caption, name, heading] = [said.textContent, drawing.getAttribute("aria-label"), title?.textContent];
    let shown = printed;
    let read = null;

    const show = async () => {
      const [group, index] = select.value.split(" ").map(Number);
      const byToken = select.value !== "" && groups[group][2];
      reader.hidden = !byToken;
      const token = Math.min(Math.max(Math.round(number.valueAsNumber) || 0, 0), count - 1);
      let next = printed;
      if (select.value !== "") {
        read ??= await unpack(bytesOf(figure.dataset.packed), groups.map(([, names, each]) => ({ rows: names.length * (each ? count : 1), size: count, bytes: 2 })));
        const row = read[group](byToken ? index * count + token : index);
        const paths = new Map();
        row.forEach((step, at) => step && paths.set(step, (paths.get(step) ?? "") + path(at)));
        next = [...paths].map(([step, d]) => shape("path", { d, class: step > 0 ? "accent-fill" : "c2-fill", "fill-opacity": (strongest * Math.abs(step)) / STEPS }));
      }
      for (const part of shown) part.remove();
      hook.before(...next);
      shown = next;
      hook.setAttribute("d", byToken ? path(token) : "");
      const what = select.value && `${groups[group][0]}, ${groups[group][1][index]}${byToken ? `: what is read at ${token}` : ""}`;
      said.textContent = what ? `${what}. ${words}` : caption;
      drawing.setAttribute("aria-label", what || name);
      if (title) title.textContent = what || heading;
    };

    on(select, "change", show);
    on(number, "input", show);
    if (groups.some(([, , each]) => each)) figure.classList.add("chooses");
    on(drawing, "click", (event) => {
      if (!figure.matches(".chooses")) return;
      const at = within(drawing, event);
      for (let token = 0; token < count; token += 1) {
        const [left, top, right, bottom] = places.slice(4 * token, 4 * token + 4);
        if (at.x >= left && at.x < right && at.y >= top && at.y < bottom) {
          number.value = token;
          if (select.value === "" || !groups[Number(select.value.split(" ")[0])][2]) {
            select.value = `${groups.findIndex(([, , each]) => each)} 0`;
          }
          show();
        }
      }
    });
    reader.hidden = true;
    figure.prepend(make("div", { class: "player" }, make("label", {}, "Show ", select), reader));
  };
  if ("DecompressionStream" in window) for (const figure of document.querySelectorAll("[data-shades]")) open(figure);
})();
