// The epoch player: play, pause, a slider with a name per frame. It shows the frames of the GIF that
// the page holds; without it the GIF plays in its fold. Nothing moves until the reader asks for it.
(() => {
  "use strict";

  const color = (name) => getComputedStyle(document.body)[name].match(/\d+/g).slice(0, 3).map(Number);
  const ground = () => color("backgroundColor").join();

  // The GIF is drawn on white: what of a pixel is white becomes the page's ground, greys run from its ground to its ink.
  const inTheme = (data) => {
    if (ground() === "255,255,255") return;
    const [below, ink] = [color("backgroundColor"), color("color")];
    for (let at = 0; at < data.length; at += 4) {
      const [least, most] = [0, 1, 2].reduce(([low, high], c) => [Math.min(low, data[at + c]), Math.max(high, data[at + c])], [255, 0]);
      for (let c = 0; c < 3; c += 1) {
        const white = Math.max(0, (least - 28) / 227);
        data[at + c] = most - least < 12 ? below[c] * white + ink[c] * (1 - white) : data[at + c] - (255 - below[c]) * white ** 2;
      }
    }
  };

  const makePlayer = (box) => {
    const details = box.querySelector(".moving");
    const still = box.querySelector(".still");
    const url = details.querySelector("img").getAttribute("src");
    const names = JSON.parse(box.dataset.frames);
    const pace = Number(box.dataset.frameMs);
    const packed = box.dataset.gif ?? (url.startsWith("data:") ? url.slice(url.indexOf(",") + 1) : "");
    if (!packed || names.length < 2) return;

    const link = box.querySelector(".download");
    link.href = url;
    link.hidden = false;

    const bar = document.createElement("div");
    bar.className = "player";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Play";
    const slider = document.createElement("input");
    slider.type = "range";
    slider.min = 0;
    slider.max = names.length - 1;
    slider.step = 1;
    slider.value = names.length - 1;
    slider.setAttribute("aria-label", "Frame");
    const name = document.createElement("output");
    name.textContent = names.at(-1);
    slider.setAttribute("aria-valuetext", names.at(-1));
    bar.append(button, slider, name);

    const canvas = document.createElement("canvas");
    canvas.className = "plate";
    canvas.setAttribute("role", "img");
    let gif = null;
    let starts = null;
    let image = null;
    let timer = 0;

    // Frames that look the same are merged into a longer one by encoders, so time tells which is which.
    const frameAt = (index) => {
      let frame = 0;
      while (frame + 1 < starts.length && starts[frame + 1] <= index * pace) frame += 1;
      return frame;
    };
    const open = () => {
      if (gif) return;
      const text = atob(packed);
      gif = decodeGif(Uint8Array.from(text, (character) => character.charCodeAt(0)));
      let sum = 0;
      starts = gif.durations.map((duration) => (sum += duration) - duration);
      canvas.width = gif.width;
      canvas.height = gif.height;
      image = new ImageData(gif.width, gif.height);
      still.replaceWith(canvas);
    };
    const show = (index) => {
      open();
      slider.value = index;
      name.textContent = names[index];
      slider.setAttribute("aria-valuetext", names[index]);
      canvas.setAttribute("aria-label", `${still.alt} Frame shown: ${names[index]}.`);
      gif.draw(frameAt(index), image.data);
      inTheme(image.data);
      canvas.getContext("2d").putImageData(image, 0, 0);
    };
    const pause = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = "Play";
    };
    const play = () => {
      button.textContent = "Pause";
      const last = names.length - 1;
      show(Number(slider.value) === last ? 0 : Number(slider.value));
      timer = setInterval(() => show((Number(slider.value) + 1) % names.length), pace);
    };
    button.addEventListener("click", () => (timer ? pause() : play()));
    slider.addEventListener("input", () => {
      pause();
      show(Number(slider.value));
    });
    details.replaceWith(bar);
    // The still has a white ground: in the dark the canvas takes its place at once.
    const follow = () => {
      if (gif || ground() !== "255,255,255") show(Number(slider.value));
    };
    new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
    follow();
  };

  for (const box of document.querySelectorAll(".motion")) makePlayer(box);
})();
