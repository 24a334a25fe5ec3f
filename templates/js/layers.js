// In a section with many layers, only those whose name holds a text: rows, charts and the folds beside them.
(() => {
  "use strict";
  const MANY = 12;

  const partsOf = (section) => {
    const parts = [];
    for (const part of section.querySelectorAll(".row, .figure, .fold")) {
      if (part.classList.contains("fold") ? part.querySelector(".row, .figure") || !part.querySelector(".table") : part.parentElement.closest(".row")) continue;
      const name = part.getAttribute("aria-label") ?? part.querySelector("figcaption > span, summary")?.textContent ?? "";
      parts.push({ part, name: name.toLocaleLowerCase() });
    }
    return parts;
  };

  for (const section of document.querySelectorAll("main > section")) {
    const parts = partsOf(section);
    if (parts.length <= MANY) continue;
    const box = document.createElement("label");
    box.className = "filter";
    const input = document.createElement("input");
    input.type = "search";
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    box.append("Layers that contain", input, count);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLocaleLowerCase();
      let shown = 0;
      for (const { part, name } of parts) {
        part.hidden = !name.includes(wanted);
        if (!part.hidden) shown += 1;
      }
      count.textContent = wanted ? `${shown} of ${parts.length} shown` : "";
    });
    (section.querySelector(":scope > .finding") ?? section.querySelector("h2")).after(box);
  }
})();
