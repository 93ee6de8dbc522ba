// Elements of the page. Text is text: nothing here parses HTML.

/**
 * Returns an element.
 * @param {string} tag
 * @param {object} [about] Attributes; `on` holds listeners by event, `text` the text, and a value
 *   of false, null or undefined leaves its attribute out.
 * @param {...(Node|string)} children
 */
export function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "text") {
      element.textContent = value;
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Returns a drawing of one path in a square of 24, which screen readers pass over. */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(space, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

export const ICONS = {
  record: "M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14z",
  stop: "M6 6h12v12H6z",
  play: "M8 5v14l11-7z",
  file: "M6 2h8l6 6v14H6zM14 3v6h5",
  camera: "M4 7h4l2-3h4l2 3h4v13H4zM12 10a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
};

/** Returns a noun with its article. */
export function a(noun) {
  return `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

/** Returns a number in percent, without a decimal where it is large. */
export function percent(share) {
  const value = 100 * share;
  const number = value < 9.95 ? value.toFixed(1) : Math.round(value);
  const told = value >= 0.05 ? number : value > 0 ? "<\u00a00.1" : 0;
  return `${told}\u00a0%`; // on one line with its sign
}

/** Returns a bar that shows a share in [0, 1]; the number beside it says the same. */
export function bar(share, kind = "") {
  const filled = make("span", { class: "filled" });
  filled.style.setProperty("--share", `${100 * Math.max(0, Math.min(1, share))}%`);
  return make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, filled);
}
