// What is in an event or a state, as lists of names and values.
import { make } from "./dom.js";
import { say } from "./texts.js";

export const pairs = (fields) => Object.entries(fields).filter(([name]) => name !== "kind").flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...worded(value))]);

function worded(value) {
  if (value?.sealed === "open") return [make("pre", { tabIndex: 0 }, value.text)];
  if (value?.sealed) return [make("span", { class: "sealed" }, `🔒 ${say(value.sealed === "erased" ? "log_erased" : "log_hidden")} · ${value.bytes} B`)];
  if (Array.isArray(value)) return value.length ? value.map((one) => make("div", { class: "inner" }, ...worded(one))) : ["[]"];
  if (value && typeof value === "object") return [make("strong", {}, value.kind ?? ""), make("dl", {}, ...pairs(value))];
  return [String(value ?? "—")];
}
