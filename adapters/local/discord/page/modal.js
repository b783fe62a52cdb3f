// What a bot asks for in a window of its own. The browser's dialog keeps the focus in it and gives it back.
import { at, iconButton, make } from "./dom.js";
import { entities } from "./components.js";
import { act } from "./net.js";
import { state, when } from "./state.js";
import { say } from "./texts.js";
import { trees } from "./tree.js";

const dialog = at("modal");

function show(modal) {
  const inputs = new Map(); // custom_id -> { type, control, wrap }
  const fields = (modal.components ?? []).map((one) => part(one, inputs));
  const failed = make("p", { class: "failed", role: "alert" });
  const submit = make("button", { class: "button primary" }, say("submit"));
  const form = make("form", { method: "dialog" },
    make("div", { class: "title" }, make("h2", { id: "modal_title" }, modal.title), iconButton("close", say("close"), () => dialog.close())),
    ...fields, failed,
    make("p", { class: "row end" }, make("button", { type: "button", class: "button secondary", onclick: () => dialog.close() }, say("cancel")), submit));
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (submit.disabled) return; // a second time is once
    submit.disabled = true;
    const done = await act("submit", { modal: modal.id, custom_id: modal.custom_id, components: answers(modal.components ?? [], inputs) });
    submit.disabled = false;
    if (done) dialog.close();
    else failed.textContent = at("state").textContent || say("failed");
  };
  dialog.setAttribute("aria-labelledby", "modal_title");
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
  form.querySelector("input, textarea, select")?.focus();
}

/** A row with one input (as modals were), a label with one (as they are), or words. */
function part(one, inputs) {
  if (one.type === 1) return make("div", {}, ...one.components.map((inner) => input(inner, inner.label, null, inputs)));
  if (one.type === 18) return input(one.component, one.label, one.description, inputs);
  if (one.type === 10) return make("div", { class: "body" }, ...trees(one.shown ?? [one.content ?? ""]));
  return make("p", { class: "unknown" }, say("unknown", one.type));
}

function input(one, label, description, inputs) {
  const id = `input_${one.custom_id}`;
  const control = controlOf(one, id);
  if (!control) return make("p", { class: "unknown" }, say("unknown", one.type));
  inputs.set(one.custom_id, { type: one.type, control });
  const required = one.required !== false;
  control.required = required && one.type === 4;
  if (description) control.setAttribute("aria-describedby", `${id}_about`);
  return make("div", { class: "field" },
    make("label", { for: id }, label ?? one.placeholder ?? "", make("span", { class: required ? "required" : "dim" }, required ? say("required") : say("optional"))),
    description && make("span", { class: "dim", id: `${id}_about` }, description), control);
}

function controlOf(one, id) {
  if (one.type === 4) {
    const more = { id, value: one.value ?? "", placeholder: one.placeholder ?? "", maxLength: one.max_length ?? 4000, minLength: one.min_length ?? 0 };
    return one.style === 2 ? make("textarea", { ...more, rows: 4 }) : make("input", more);
  }
  if (![3, 5, 6, 7, 8].includes(one.type)) return null;
  const options = one.type === 3 ? one.options.map((option) => ({ value: option.value, label: option.label, chosen: option.default })) : entities(one.type);
  return make("select", { id, class: "select", multiple: (one.max_values ?? 1) > 1 }, ...options.map((option) => make("option", { value: option.value, selected: Boolean(option.chosen) }, option.label)));
}

/** The same shape as it was asked in, with what was given. */
function answers(components, inputs) {
  const value = (one) => {
    const { control } = inputs.get(one.custom_id) ?? {};
    const base = { type: one.type, custom_id: one.custom_id };
    if (!control) return base;
    return one.type === 4 ? { ...base, value: control.value } : { ...base, values: [...control.selectedOptions].map((option) => option.value) };
  };
  return components.filter((one) => one.type === 1 || one.type === 18).map((one) => (one.type === 1
    ? { type: 1, components: one.components.map(value) } : { type: 18, component: value(one.component) }));
}

// who only has shift+enter for a line would otherwise send the modal: Enter in a paragraph is a line, an input method's never sends
dialog.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.isComposing || event.keyCode === 229)) event.preventDefault();
});
when("modal", (modal) => { if (!modal.person || modal.person === state.person) show(modal); });
