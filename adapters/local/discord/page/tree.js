// The server's trees as elements: only names that are known here become anything, everything else is its words.
import { icon, make } from "./dom.js";
import { changed, nameOf, open, state } from "./state.js";
import { language, say } from "./texts.js";

const PLAIN = { p: "p", strong: "strong", em: "em", u: "u", s: "s", ul: "ul", ol: "ol", li: "li", quote: "blockquote", c: "code", br: "br", span: "span" };
const SAFE = /^https?:\/\//i;
const CLASS = /^[a-z0-9 ]+$/;

export const trees = (nodes) => nodes.map(tree);

export function tree(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const inner = () => trees(node.k ?? []);
  if (PLAIN[node.t]) {
    const element = make(PLAIN[node.t], {}, ...inner());
    if (node.t === "ol" && Number.isInteger(node.start)) element.start = node.start;
    return element;
  }
  switch (node.t) {
    case "h1": case "h2": case "h3": return make("h2", { class: `heading ${node.t}` }, ...inner());
    case "small": return make("p", { class: "subtext" }, ...inner());
    case "a": return SAFE.test(node.href ?? "") ? make("a", { href: node.href, title: node.href, target: "_blank", rel: "noopener noreferrer nofollow" }, ...inner()) : make("span", {}, ...inner());
    case "code": return code(node);
    case "tok": case "ansi": return make("span", { class: CLASS.test(node.c ?? "") ? node.c.split(" ").map((one) => `${node.t}-${one}`).join(" ") : "" }, ...inner());
    case "spoiler": return spoiler(inner());
    case "mention": return mention(node);
    case "time": return time(node.at, node.style);
    default: return make("span", {}, ...inner());
  }
}

function code(node) {
  const text = make("code", {}, ...trees(node.k));
  const copy = make("button", { type: "button", class: "copy icon", title: say("copy"), "aria-label": say("copy") }, icon("copy"));
  copy.onclick = async () => {
    await navigator.clipboard?.writeText(text.textContent);
    changed("told", say("copied"));
  };
  return make("div", { class: "code" }, make("pre", { tabIndex: 0, "aria-label": node.lang || "code", role: "group" }, text), copy);
}

function spoiler(children) {
  const inner = make("span", { class: "inner" }, ...children);
  const cover = make("button", { type: "button", class: "cover", "aria-label": say("spoiler"), title: say("spoiler") });
  const whole = make("span", { class: "spoiler" }, inner, cover);
  cover.onclick = () => { whole.classList.add("shown"); cover.remove(); };
  return whole;
}

function mention(node) {
  const text = {
    user: () => `@${nameOf(state.users[node.id])}`,
    role: () => "@role",
    everyone: () => `@${node.id === "here" ? "here" : "everyone"}`,
    command: () => `/${node.id}`,
    emoji: () => `:${node.id}:`,
  }[node.kind];
  if (node.kind !== "channel") {
    const mine = node.id === state.me?.id || node.kind === "everyone";
    return make("span", { class: `mention${mine ? " mine" : ""}` }, text ? text() : "");
  }
  const channel = state.channels[node.id];
  return make("button", { type: "button", class: "mention", disabled: !channel, onclick: () => open(node.id) }, `#${channel?.name ?? "…"}`);
}

const STYLES = {
  t: { timeStyle: "short" }, T: { timeStyle: "medium" }, d: { dateStyle: "short" }, D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" }, F: { dateStyle: "full", timeStyle: "short" },
};

function time(seconds, style) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return document.createTextNode(String(seconds));
  const whole = date.toLocaleString(language(), STYLES.F);
  const element = make("time", { class: "stamp", dateTime: date.toISOString(), title: whole });
  element.textContent = style === "R" ? relative(date) : date.toLocaleString(language(), STYLES[style] ?? STYLES.f);
  if (style === "R") element.dataset.relative = "1";
  return element;
}

const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function relative(date) {
  const seconds = (date.getTime() - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, one]) => Math.abs(seconds) >= one) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(language()).format(Math.trunc(seconds / size), unit);
}

setInterval(() => {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const words = relative(new Date(element.dateTime));
    if (element.textContent !== words) element.textContent = words;
  }
}, 1000);

/** A short time of a day, as beside a name. */
export const clock = (date) => date.toLocaleTimeString(language(), { hour: "numeric", minute: "2-digit" });
