// A picture or table that fits needs no stop for the Tab key; one that scrolls, or has tiles, does.
(() => {
  "use strict";
  const stops = [...document.querySelectorAll(".scroll[tabindex]")].filter((box) => !box.querySelector(".tiles"));
  const fitted = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of stops) fitted.observe(box);
})();
