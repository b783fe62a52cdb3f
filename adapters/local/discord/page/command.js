// Slash commands: which there are, and the form of the one that was chosen. Required options are marked, and asked for.
import { at, icon, iconButton, make } from "./dom.js";
import { entities } from "./components.js";
import { act } from "./net.js";
import { state, when } from "./state.js";
import { language, say } from "./texts.js";

const form = at("command");
let chosen = null;

const translated = (one, what) => one[`${what}_localizations`]?.[state.me.locale] ?? one[`${what}_localizations`]?.[language()] ?? one[what];
export const describe = (part) => translated(part, "description") ?? "";

/** All that can be typed: a command, or each of its parts. */
function all() {
  return state.commands.filter((one) => (one.type ?? 1) === 1).flatMap((command) => {
    const parts = (command.options ?? []).filter((one) => one.type === 1 || one.type === 2);
    if (!parts.length) return [{ command, path: [], part: command, line: `/${command.name}`, options: command.options ?? [] }];
    return parts.flatMap((part) => (part.type === 1
      ? [{ command, path: [part], part, line: `/${command.name} ${part.name}`, options: part.options ?? [] }]
      : (part.options ?? []).map((inner) => ({ command, path: [part, inner], part: inner, line: `/${command.name} ${part.name} ${inner.name}`, options: inner.options ?? [] }))));
  });
}

/** Those that what was typed may become, and the one that it goes beyond. */
export function suggestions(typed) {
  const words = typed.trim();
  return all().filter(({ line }) => line.startsWith(words) || line.includes(` ${words.slice(1)}`) || words.startsWith(`${line} `)).slice(0, 12);
}

/** Asks for the options; a command without any is sent at once. */
export function begin(found, rest = "") {
  chosen = { ...found, fields: new Map() };
  if (!found.options.length) return send();
  const sorted = [...found.options].sort((one, other) => Number(Boolean(other.required)) - Number(Boolean(one.required)));
  const fields = sorted.map((option, index) => field(option, index === 0 ? rest.replace(new RegExp(`^${option.name}:\\s*`), "") : ""));
  form.replaceChildren(
    make("p", { class: "title" }, make("strong", {}, found.line), make("span", { class: "dim" }, describe(found.part)), iconButton("close", say("cancel"), end)),
    ...fields,
    make("p", { class: "row" }, make("button", { class: "button primary" }, icon("send"), say("send")), make("span", { class: "failed", id: "lacking", role: "alert" })));
  form.setAttribute("aria-label", found.line);
  form.hidden = false;
  at("composer").hidden = true;
  [...chosen.fields.values()][0].focus();
  return undefined;
}

function end() {
  form.hidden = true;
  form.replaceChildren();
  at("composer").hidden = false;
  chosen = null;
  at("text").focus();
}

function field(option, value) {
  const control = controlOf(option, value);
  control.id = `option_${option.name}`;
  control.required = Boolean(option.required);
  chosen.fields.set(option.name, control);
  const list = option.autocomplete ? make("div", { class: "choices", role: "listbox", id: `choices_${option.name}`, "aria-label": option.name, hidden: true }) : null;
  if (list) complete(option, control, list);
  const hint = make("span", { class: "dim", id: `about_${option.name}` }, describe(option));
  control.setAttribute("aria-describedby", hint.id);
  return make("div", { class: "field" },
    make("label", { for: control.id }, translated(option, "name"), make("span", { class: option.required ? "required" : "dim" }, option.required ? say("required") : say("optional"))),
    control, list, hint);
}

function controlOf(option, value) {
  const choices = option.choices?.map((one) => ({ value: String(one.value), label: translated(one, "name") }))
    ?? (option.type === 5 ? [{ value: "true", label: say("yes") }, { value: "false", label: say("no") }] : null)
    ?? ([6, 7, 8, 9].includes(option.type) ? entities(option.type === 7 ? 8 : 5) : null);
  if (choices) return make("select", { class: "select" }, make("option", { value: "" }, say("choose")), ...choices.map((one) => make("option", { value: one.value, selected: one.value === value }, one.label)));
  if (option.type === 11) return make("input", { type: "file" });
  if (option.type === 4 || option.type === 10) return make("input", { inputMode: option.type === 4 ? "numeric" : "decimal", value });
  if (option.autocomplete) return make("input", { value, autocomplete: "off", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `choices_${option.name}`, maxLength: option.max_length ?? 6000 });
  return make("textarea", { rows: 1, value, maxLength: option.max_length ?? 6000 });
}

form.onkeydown = (event) => {
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
  if (event.key === "Escape") { event.preventDefault(); end(); }
  if (event.key === "Enter" && !event.shiftKey && event.target.matches("textarea, input")) { event.preventDefault(); form.requestSubmit(); }
};
form.noValidate = true;
form.onsubmit = (event) => { event.preventDefault(); send(); };

function optionsGiven() {
  const files = [];
  const given = [];
  for (const option of chosen.options) {
    const control = chosen.fields.get(option.name);
    if (option.type === 11) {
      if (control.files[0]) given.push({ name: option.name, type: 11, value: String(files.push(control.files[0]) - 1) });
      continue;
    }
    const value = control.dataset.value ?? control.value.trim();
    if (value === "") continue;
    given.push({ name: option.name, type: option.type, value: { 4: Number, 10: Number, 5: (one) => one === "true" }[option.type]?.(value) ?? value });
  }
  return { given, files };
}

async function send() {
  const { command, path, options } = chosen;
  const { given, files } = options.length ? optionsGiven() : { given: [], files: [] };
  const lacking = options.find((one) => one.required && !given.some((value) => value.name === one.name));
  if (lacking) {
    at("lacking").textContent = say("option_missing", lacking.name);
    chosen.fields.get(lacking.name).setAttribute("aria-invalid", "true");
    chosen.fields.get(lacking.name).focus();
    return;
  }
  const nested = path.reduceRight((inner, part) => [{ name: part.name, type: part.type, options: inner }], given);
  const kept = chosen;
  const done = await act("slash", { channel: state.channel, name: command.name, options: nested }, files);
  if (chosen === kept && (done || form.hidden)) end();
}

// --- autocomplete: asked of the bot at each change, the last answer counts

let asked = "";
let answered = null;

function complete(option, control, list) {
  let timer = 0;
  let active = -1;
  const show = (choices) => {
    active = -1;
    list.replaceChildren(...choices.map((one, index) => make("div", { role: "option", id: `choice${index}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(one); } }, translated(one, "name"))));
    list.hidden = !choices.length;
    list.choices = choices;
    control.setAttribute("aria-expanded", String(!list.hidden));
  };
  const take = (one) => {
    control.value = translated(one, "name");
    control.dataset.value = one.value;
    show([]);
  };
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const { given } = optionsGiven();
      const focused = [...given.filter((one) => one.name !== option.name), { name: option.name, type: option.type, value: control.value, focused: true }];
      const nested = chosen.path.reduceRight((inner, part) => [{ name: part.name, type: part.type, options: inner }], focused);
      answered = (data) => show(data.choices ?? []);
      const done = await act("autocomplete", { channel: state.channel, name: chosen.command.name, options: nested });
      asked = done?.interaction ?? "";
    }, 200);
  };
  control.addEventListener("input", () => { delete control.dataset.value; ask(); });
  control.addEventListener("focus", ask);
  control.addEventListener("blur", () => show([]));
  control.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    const count = list.children.length;
    if (event.key === "ArrowDown") active = (active + 1) % count;
    else if (event.key === "ArrowUp") active = (active + count - 1) % count;
    else if (event.key === "Escape") show([]);
    else if (["Enter", "Tab"].includes(event.key) && active >= 0) take(list.choices[active]);
    else return;
    event.preventDefault();
    [...list.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === active)));
    if (active >= 0 && !list.hidden) control.setAttribute("aria-activedescendant", `choice${active}`);
    else control.removeAttribute("aria-activedescendant");
  });
}

when("autocomplete", (data) => { if (!asked || data.id === asked) answered?.(data); });
when("opened", () => { if (chosen) end(); });
