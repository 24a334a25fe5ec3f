// What is seen comes first: until the page has loaded, only sections near the screen are laid out (page.css).
// Then all of them are, before the reader gets there, and the place asked for stays where it is, unless the
// reader has left it.
(() => {
  "use strict";
  if ("DecompressionStream" in window) document.documentElement.classList.add("unpacks"); // blocks.css
  const finish = () => document.documentElement.classList.add("loaded");

  // Who comes back finds the page where it was left, which takes its whole height from the beginning.
  if (performance.getEntriesByType("navigation")[0]?.type !== "navigate") {
    finish();
    return;
  }
  let moved = false;
  for (const kind of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    window.addEventListener(kind, () => { moved = true; }, { once: true, passive: true });
  }
  window.addEventListener("load", () => {
    requestAnimationFrame(() => setTimeout(() => {
      finish();
      if (!moved) document.querySelector(":target")?.scrollIntoView();
    }));
  });
})();
