/** Keys that work anywhere on the page, but not while someone writes. */

const writing = (target) => target.matches("input:not([type=range],[type=checkbox],[type=radio]), textarea, select, [contenteditable]");

/** Connect `actions`: a key such as "p" or "ctrl+shift+z" to a function; Ctrl and Cmd are one. */
export function connectShortcuts(actions) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
    const control = event.ctrlKey || event.metaKey;
    if (writing(event.target) && event.key !== "Escape") return;
    if (document.querySelector("[popover]:popover-open")) return;
    const key = (control ? "ctrl+" : "") + (control && event.shiftKey ? "shift+" : "") + event.key.toLowerCase();
    if (!actions[key] || actions[key](event) === false) return;
    event.preventDefault();
  });
}
