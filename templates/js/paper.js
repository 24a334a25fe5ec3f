// Browsers that can't open folds on paper by style get them opened before printing, and closed after.
(() => {
  "use strict";
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.fold:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    opened = [];
  });
  // A picture or table that fits needs no stop for the Tab key; one that scrolls, or has tiles, does.
  const stops = [...document.querySelectorAll(".scroll[tabindex]")].filter((box) => !box.querySelector(".tiles"));
  const fitted = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of stops) fitted.observe(box);
})();
