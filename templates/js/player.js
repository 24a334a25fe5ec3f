// The epoch player: play, pause, a slider with a name per frame. It shows the frames of the GIF that
// the page holds; without it the GIF plays in its fold. Nothing moves until the reader asks for it.
(() => {
  "use strict";

  const makePlayer = (box) => {
    const details = box.querySelector(".moving");
    const still = box.querySelector(".still");
    const url = details.querySelector("img").getAttribute("src");
    const names = JSON.parse(box.dataset.frames);
    const pace = Number(box.dataset.frameMs);
    if (!url.startsWith("data:") || names.length < 2) return;

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
      const text = atob(url.slice(url.indexOf(",") + 1));
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
  };

  for (const box of document.querySelectorAll(".motion")) makePlayer(box);
})();
