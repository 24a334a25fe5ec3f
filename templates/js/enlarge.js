// A figure can be had larger: its picture moves into a dialog, and back when that is closed.
(() => {
  "use strict";
  const dialog = document.querySelector("dialog.enlarged");
  if (!dialog?.showModal) return;

  // [width, height, pixels of the screen for one of the picture, 0 where it has no pixels to keep whole] of what it is
  // in itself, whatever the page has made of it. The dialog is closed while this is asked: nothing in it has a size.
  const natural = (element) => {
    const box = element.viewBox?.baseVal;
    const [width, height] = box ? [box.width, box.height] : [Number(element.getAttribute("width")), Number(element.getAttribute("height"))];
    const pixels = element.matches(".tiles") ? Number(element.dataset.scale) : element.matches(".pixelated") ? width / element.naturalWidth : 0;
    return [width, height, pixels];
  };

  // Drawings and pictures grow to the window; pixels only by whole factors. They grow beyond the window if they would
  // not be larger than in the page otherwise: the dialog scrolls.
  const grow = (element, shown) => {
    const [width, height, pixels] = natural(element);
    const across = (window.innerWidth - 60) / width;
    const down = (window.innerHeight - 140) / height;
    const now = shown.width / width;
    const factor = pixels
      ? Math.max(Math.floor(Math.max(Math.min(across, down), Math.min(across, 2)) * pixels), Math.floor(now * pixels) + 1) / pixels
      : Math.max(Math.min(across, down), 1.25 * now);
    const before = element.getAttribute("style");
    element.style.width = `${Math.round(width * factor)}px`;
    element.style.height = `${Math.round(height * factor)}px`;
    element.style.minWidth = "0";
    element.style.maxWidth = "none";
    element.style.maxHeight = "none";
    return () => {
      if (before === null) element.removeAttribute("style");
    };
  };

  const enlarge = (figure) => {
    const picture = figure.querySelector(".picture");
    const element = picture.querySelector(":scope > svg, :scope > img, :scope > canvas");
    const shown = element.getBoundingClientRect();
    const moved = [picture, ...figure.querySelectorAll(".readout")];
    const places = moved.map((part) => {
      const place = document.createComment("");
      part.before(place);
      return place;
    });
    const close = make("button", { type: "button", class: "plain close" }, "Close");
    on(close, "click", () => dialog.close());
    const [number, words] = [".number", "span"].map((part) => figure.querySelector(`figcaption > ${part}`).textContent);
    const holder = make("div", { class: `${figure.className} holder` }, ...moved, make("p", { class: "said" }, `${number} ${words}`));
    dialog.replaceChildren(close, holder);
    const restore = grow(element, shown);
    on(dialog, "close", () => {
      restore();
      places.forEach((place, index) => place.replaceWith(moved[index]));
      dialog.replaceChildren();
      figure.querySelector(".enlarge").focus({ preventScroll: true });
    }, { once: true });
    dialog.showModal();
  };

  for (const figure of document.querySelectorAll(".figure:not(.animation, .explorer, [data-live], .chooses)")) {
    const name = figure.querySelector("figcaption .number").textContent.replace(/\.$/, "");
    const button = make("button", { type: "button", class: "plain enlarge", "aria-label": `Enlarge ${name}` }, "Enlarge");
    figure.querySelector("figcaption").append(button);
    on(button, "click", () => enlarge(figure));
    const picture = figure.querySelector(".picture");
    picture.classList.add("zooms");
    on(picture, "click", (event) => {
      if (!dialog.open && !event.target.closest("a")) enlarge(figure);
    });
  }
  on(dialog, "click", (event) => {
    // A link leads back to the page.
    if (event.target === dialog || event.target.closest("a")) dialog.close();
  });
})();
