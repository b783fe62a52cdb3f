// Elements, made without HTML: every text that anybody wrote becomes a text node.

const NAMES = { class: "className", for: "htmlFor" };

/** An element. Properties are set as properties where the element has them, else as attributes; null and false are left out. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    const own = NAMES[name] ?? name;
    if (value === null || value === undefined || value === false) continue;
    if (own in element && own !== "list") element[own] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false && one !== ""));
  return element;
}

export const at = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  hash: "M9 4 7 20M17 4l-2 16M4 9h17M3 15h17",
  thread: "M5 5h14v9H11l-4 4v-4H5zM9 9h6",
  lock: "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3",
  plus: "M12 5v14M5 12h14",
  send: "M4 12 20 4l-5 16-3-7z",
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6 6 18",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  log: "M4 5h16M4 10h10M4 15h16M4 20h7",
  copy: "M8 8h12v12H8zM4 16V4h12",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  down: "M12 5v14M6 13l6 6 6-6",
  play: "M7 4l13 8-13 8z",
  window: "M4 6h10v10H4zM10 6V3h11v11h-3",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with a picture only; its name is for those who cannot see it, and for the pointer. */
export function iconButton(name, label, action, more = {}) {
  return make("button", { type: "button", class: "icon", title: label, "aria-label": label, onclick: action, ...more }, icon(name));
}

const COLOURS = 6;

export function avatar(user, small = false) {
  const number = Number(BigInt(user.id) % BigInt(COLOURS));
  const name = user.global_name ?? user.username;
  return make("span", { class: `avatar colour${user.bot ? "Bot" : number}${small ? " tiny" : ""}`, "aria-hidden": "true" },
    user.bot ? "✻" : name.slice(0, 1).toUpperCase());
}
