// The contents follow the reader: the section whose heading passed the top last is marked.
(() => {
  "use strict";
  const sections = [...document.querySelectorAll("main > section[id]")];
  // The id that #... names; a stray % is no escape.
  const named = (hash) => {
    try {
      return decodeURIComponent(hash.slice(1));
    } catch {
      return hash.slice(1);
    }
  };
  const links = new Map();
  for (const link of document.querySelectorAll(".contents li a")) {
    const id = named(link.hash);
    links.set(id, [...(links.get(id) ?? []), link]);
  }

  const mark = () => {
    const atEnd = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 2;
    const passed = sections.filter((section) => section.getBoundingClientRect().top < window.innerHeight * 0.3);
    const current = atEnd && window.scrollY > 0 ? sections.at(-1) : passed.at(-1);
    for (const [id, group] of links) {
      for (const link of group) {
        if (current && id === current.id) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      }
    }
  };
  // A section's edge crossing one of these lines is the only moment at which the mark can move.
  const observer = new IntersectionObserver(mark, { rootMargin: "-30% 0px -70% 0px" });
  for (const section of sections) observer.observe(section);
  const end = new IntersectionObserver(mark);
  if (sections.length) end.observe(sections.at(-1));
  on(window, "scrollend", mark);

  // On a narrow screen the fold has done its work once a place in it was chosen.
  const fold = document.querySelector(".top-bar .contents");
  fold?.addEventListener("click", (event) => {
    if (event.target.closest("li a")) fold.open = false;
  });

  // A link to something inside a fold opens it.
  const reveal = (hash, always = false) => {
    const target = hash && document.getElementById(named(hash));
    if (!target) return;
    let opened = always;
    for (let fold = target.closest("details:not([open])"); fold; fold = fold.parentElement.closest("details:not([open])")) {
      fold.open = true;
      opened = true;
    }
    if (opened) target.scrollIntoView();
  };
  on(window, "hashchange", () => reveal(location.hash));
  reveal(location.hash);

  // In a notebook's frame the page has no address: there a link to #here would lead to the notebook's own.
  if (location.protocol === "about:") {
    on(document, "click", (event) => {
      const link = event.target.closest('a[href^="#"]');
      if (!link) return;
      event.preventDefault();
      reveal(link.getAttribute("href"), true);
    });
  }
})();
