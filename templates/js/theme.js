// Light or dark: the reader's preference, unless the switch was used. The choice is kept where the
// browser lets a page keep one (a sandboxed frame does not), and lasts for this visit otherwise.
(() => {
  "use strict";
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  const stored = () => {
    try {
      return localStorage.getItem("reportgen-theme");
    } catch {
      return null; // storage is forbidden here
    }
  };
  const store = (name) => {
    try {
      localStorage.setItem("reportgen-theme", name);
    } catch {
      return; // storage is forbidden here: the choice lasts for this visit
    }
  };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const kept = stored();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;

  document.addEventListener("DOMContentLoaded", () => {
    const buttons = document.querySelectorAll(".theme-switch");
    const label = () => {
      for (const button of buttons) button.textContent = isDark() ? "Light theme" : "Dark theme";
    };
    for (const button of buttons) {
      button.hidden = false;
      button.addEventListener("click", () => {
        root.dataset.theme = isDark() ? "light" : "dark";
        store(root.dataset.theme);
        label();
      });
    }
    prefersDark.addEventListener("change", label);
    label();
  });
})();
