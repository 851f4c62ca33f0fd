/** Light, dark, high contrast, or as the system has it; told apart before anything is painted. */

const KEY = "sketchfusion.theme";
const THEMES = ["system", "light", "dark", "contrast"];

const stored = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};

const apply = (theme) => {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
};

const first = THEMES.includes(stored()) ? stored() : "system";
apply(first);

/** Connect the radio buttons of the menu; `changed` is called whenever the colours are other ones. */
export function connectTheme(changed) {
  for (const input of document.querySelectorAll("input[name=theme]")) {
    input.checked = input.value === first;
    input.addEventListener("change", () => {
      apply(input.value);
      try {
        localStorage.setItem(KEY, input.value);
      } catch {
        // without storage the choice lasts as long as the page
      }
      changed();
    });
  }
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", changed);
  }
}
