// What stands below (or, in version 2, instead of) a message's text: buttons, selects, containers. What is not known is shown as such.
import { icon, make } from "./dom.js";
import { act } from "./net.js";
import { nameOf, state } from "./state.js";
import { say } from "./texts.js";
import { trees } from "./tree.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "premium" };
const HTTP = /^https?:\/\//i;

/** The elements of components. `press(component, values)` is what a press does. */
export function components(list, press) {
  return (list ?? []).map((one) => component(one, press));
}

function component(one, press) {
  const inner = () => components(one.components, press);
  switch (one.type) {
    case 1: return make("div", { class: "row" }, ...inner());
    case 2: return button(one, press);
    case 3: case 5: case 6: case 7: case 8: return select(one, press);
    case 9: return make("div", { class: "section" }, make("div", { class: "grow" }, ...inner()), one.accessory && component(one.accessory, press));
    case 10: return make("div", { class: "body" }, ...trees(one.shown ?? [one.content ?? ""]));
    case 11: return media(one.media, one.description, "thumbnail");
    case 12: return make("div", { class: "gallery" }, ...(one.items ?? []).map((item) => media(item.media, item.description, "picture")));
    case 13: return make("p", { class: "file" }, icon("file"), one.name ?? one.file?.url ?? "");
    case 14: return make("hr", { class: `${one.divider === false ? "bare" : ""}${one.spacing === 2 ? " wide" : ""}` });
    case 17: return container(one, inner());
    default: return make("p", { class: "unknown" }, say("unknown", one.type));
  }
}

function container(one, children) {
  const element = make("div", { class: `container${one.spoiler ? " spoilt" : ""}` }, ...children);
  if (Number.isInteger(one.accent_color)) element.style.setProperty("--edge", `#${one.accent_color.toString(16).padStart(6, "0")}`);
  return element;
}

function button(one, press) {
  const label = [one.emoji?.name, one.label].filter(Boolean).join(" ");
  const style = STYLES[one.style] ?? "secondary";
  if (one.style === 5) {
    if (!HTTP.test(one.url ?? "")) return make("span", { class: "button link" }, label);
    return make("a", { class: "button link", href: one.url, target: "_blank", rel: "noopener noreferrer" }, label, icon("window"));
  }
  const element = make("button", { type: "button", class: `button ${style}`, disabled: Boolean(one.disabled), "data-custom": one.custom_id ?? "" }, label || "⋯");
  element.onclick = () => press(one, null, element);
  return element;
}

function select(one, press) {
  const options = one.type === 3
    ? (one.options ?? []).map((option) => ({ value: option.value, label: [option.emoji?.name, option.label].filter(Boolean).join(" "), description: option.description, chosen: option.default }))
    : entities(one.type);
  const most = one.max_values ?? 1;
  const name = one.placeholder || say("choose");
  if (most > 1) return several(one, options, most, name, press);
  const element = make("select", { class: "select", "aria-label": name, disabled: Boolean(one.disabled), "data-custom": one.custom_id ?? "" },
    make("option", { value: "", hidden: true }, name),
    ...options.map((option) => make("option", { value: option.value, selected: Boolean(option.chosen) }, option.description ? `${option.label} — ${option.description}` : option.label)));
  element.onchange = () => press(one, [element.value], element);
  return element;
}

function several(one, options, most, name, press) {
  const boxes = options.map((option) => make("label", {}, make("input", { type: "checkbox", value: option.value, checked: Boolean(option.chosen), disabled: Boolean(one.disabled) }), option.label));
  const done = make("button", { type: "button", class: "button primary", "data-custom": one.custom_id ?? "" }, say("submit"));
  const chosen = () => boxes.map((box) => box.firstChild).filter((box) => box.checked).map((box) => box.value);
  const check = () => { done.disabled = Boolean(one.disabled) || chosen().length < (one.min_values ?? 1) || chosen().length > most; };
  const element = make("fieldset", { class: "several", onchange: check }, make("legend", {}, `${name} · ${say("choose_many", most)}`), ...boxes, done);
  done.onclick = () => press(one, chosen(), done);
  check();
  return element;
}

/** What can be chosen in selects of people and channels. */
export function entities(type) {
  const people = Object.values(state.users).map((one) => ({ value: one.id, label: `@${nameOf(one)}` }));
  const channels = Object.values(state.channels).map((one) => ({ value: one.id, label: `#${one.name}` }));
  return type === 8 ? channels : type === 6 ? [] : people;
}

function media(given, description, name) {
  const address = local(given?.url);
  const alt = description ?? "";
  return address ? make("img", { class: name, src: address, alt, loading: "lazy" }) : make("span", { class: "unknown" }, alt || given?.url || name);
}

/** The part of an address that this server has; "" for another's: the page loads nothing from elsewhere. */
export function local(address) {
  let url;
  try { url = new URL(address, location.origin); } catch { return ""; }
  return url.pathname.startsWith("/attachments/") && url.port === location.port ? url.pathname + url.search : "";
}

/** Presses for a message: tells the bot and shows that it is on its way. */
export function presser(message, waits) {
  return async (one, values, element) => {
    if (element.getAttribute("aria-busy")) return;
    element.setAttribute("aria-busy", "true");
    const asked = { channel: message.channel_id, message: message.id, custom_id: one.custom_id, component_type: one.type };
    const done = await act("press", values ? { ...asked, values } : asked);
    if (done?.interaction) waits(done.interaction, element);
    else element.removeAttribute("aria-busy");
  };
}
