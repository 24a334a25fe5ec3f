// A figure can be had larger: its picture moves into a dialog, and back when that is closed.
(() => {
  "use strict";
  const dialog = document.querySelector("dialog.enlarged");
  if (!dialog?.showModal) return;

  // Drawings and pictures grow to the window; pixels only by whole factors, and beyond the window's
  // height if need be: the dialog scrolls.
  const grow = (element, width, height, exact) => {
    const across = (window.innerWidth - 60) / width;
    const down = (window.innerHeight - 140) / height;
    const factor = exact ? Math.max(1, Math.floor(Math.max(Math.min(across, down), Math.min(across, 2)))) : Math.min(across, down);
    const before = element.getAttribute("style");
    element.style.width = `${Math.round(width * factor)}px`;
    element.style.height = `${Math.round(height * factor)}px`;
    element.style.maxWidth = "none";
    element.style.maxHeight = "none";
    return () => {
      if (before === null) element.removeAttribute("style");
    };
  };

  const enlarge = (figure) => {
    const picture = figure.querySelector(".picture");
    const element = picture.querySelector(":scope > svg, :scope > img, :scope > canvas");
    const moved = [picture, ...figure.querySelectorAll(".readout")];
    const places = moved.map((part) => {
      const place = document.createComment("");
      part.before(place);
      return place;
    });
    const close = document.createElement("button");
    close.type = "button";
    close.className = "plain close";
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    const said = document.createElement("p");
    said.className = "said";
    said.textContent = figure.querySelector("figcaption > .number").textContent + " " + figure.querySelector("figcaption > span").textContent;
    const holder = document.createElement("div");
    holder.className = `${figure.className} holder`;
    holder.append(...moved, said);
    dialog.replaceChildren(close, holder);
    const width = Number(element.getAttribute("width")) || element.clientWidth;
    const height = Number(element.getAttribute("height")) || element.clientHeight;
    const exact = element.matches(".tiles, .pixelated");
    const restore = grow(element, width, height, exact);
    dialog.addEventListener("close", () => {
      restore();
      places.forEach((place, index) => place.replaceWith(moved[index]));
      dialog.replaceChildren();
      figure.querySelector(".enlarge").focus({ preventScroll: true });
    }, { once: true });
    dialog.showModal();
  };

  for (const figure of document.querySelectorAll(".figure:not(.animation, .explorer)")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain enlarge";
    button.textContent = "Enlarge";
    const name = figure.querySelector("figcaption .number").textContent.replace(/\.$/, "");
    button.setAttribute("aria-label", `Enlarge ${name}`);
    figure.querySelector("figcaption").append(button);
    button.addEventListener("click", () => enlarge(figure));
    const picture = figure.querySelector(".picture");
    picture.classList.add("zooms");
    picture.addEventListener("click", () => {
      if (!dialog.open) enlarge(figure);
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
})();
