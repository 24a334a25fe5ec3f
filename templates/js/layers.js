// In a section with many layers, only those whose name holds a text: rows, charts and the folds beside them.
(() => {
  "use strict";
  const MANY = 12;

  const namesOf = (section) => {
    const names = new Map();
    for (const part of section.querySelectorAll(".row, .figure, .fold")) {
      if (part.classList.contains("fold") ? part.querySelector(".row, .figure") || !part.querySelector(".table") : part.parentElement.closest(".row")) continue;
      names.set(part, part.getAttribute("aria-label") ?? part.querySelector("figcaption > span, summary")?.textContent ?? "");
    }
    return names;
  };

  for (const section of document.querySelectorAll("main > section")) {
    const names = namesOf(section);
    if (names.size <= MANY) continue;
    const told = (shown, wanted) => (wanted ? `${shown} of ${names.size} shown` : "");
    const { box } = filterBox("Layers that contain", [...names.keys()], (part) => names.get(part), told);
    (section.querySelector(":scope > .finding") ?? section.querySelector("h2")).after(box);
  }
})();
