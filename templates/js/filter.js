// A box to type in, that hides what does not hold the text.
// filterBox(title, parts, textOf(part), told(shown, wanted)) -> { box, narrow }; `told` is the line beside it.
const filterBox = (title, parts, textOf, told) => {
  const box = document.createElement("label");
  box.className = "filter";
  const input = document.createElement("input");
  input.type = "search";
  const count = document.createElement("span");
  count.setAttribute("role", "status");
  box.append(title, input, count);
  const narrow = () => {
    const wanted = input.value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const part of parts) {
      part.hidden = !textOf(part).toLocaleLowerCase().includes(wanted);
      if (!part.hidden) shown += 1;
    }
    count.textContent = told(shown, wanted);
  };
  on(input, "input", narrow);
  return { box, narrow };
};
