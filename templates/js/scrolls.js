// Marks the boxes that are narrower than what they hold, on a phone above all: their style says that they scroll.
(() => {
  "use strict";
  const mark = (box) => box.classList.toggle("over", box.scrollWidth > box.clientWidth + 1);
  const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target)));
  for (const box of document.querySelectorAll(".scroll")) sized.observe(box);
})();
