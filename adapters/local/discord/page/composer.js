// Where one writes: Enter sends (never the one that ends an input method's conversion), Shift+Enter breaks the line, / finds commands.
import { at, icon, iconButton, make } from "./dom.js";
import { begin, describe, suggestions } from "./command.js";
import { editLast } from "./messages.js";
import { act } from "./net.js";
import { changed, here, nameOf, state, when } from "./state.js";
import { language, say } from "./texts.js";

const LONGEST = 2000;
const LARGEST = 10 * 1024 * 1024;
const text = at("text");
const picker = at("picker");
let files = [];
let active = 0;
let typed = 0;
const drafts = new Map(); // channel -> what was begun there

// --- sending

at("composer").onsubmit = async (event) => {
  event.preventDefault();
  const words = text.value.trim();
  if (!picker.hidden) return pick(active);
  if (!words && !files.length) return undefined;
  if (words.length > LONGEST) return changed("told", say("too_long", words.length - LONGEST));
  const sent = files;
  files = [];
  text.value = "";
  showFiles();
  fit();
  const done = await act("say", { channel: state.channel, content: named(words) }, sent);
  if (done) return undefined;
  // what could not be sent is not lost
  if (!text.value) text.value = words;
  if (!files.length) files = sent;
  showFiles();
  return fit();
};

/** @names as mentions. */
function named(words) {
  return state.people.reduce((made, one) => made.replaceAll(new RegExp(`(^|\\s)@${one.username}\\b`, "gi"), `$1<@${one.id}>`), words);
}

const converting = (event) => event.isComposing || event.keyCode === 229;

text.onkeydown = (event) => {
  if (converting(event)) return;
  if (!picker.hidden && handlePicker(event)) { event.preventDefault(); return; }
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    at("composer").requestSubmit();
  } else if (event.key === "ArrowUp" && !text.value) {
    event.preventDefault();
    editLast();
  }
};

text.oninput = () => {
  fit();
  showPicker();
  if (text.value && !text.value.startsWith("/") && Date.now() - typed > 5000) {
    typed = Date.now();
    act("typing", { channel: state.channel });
  }
};

function fit() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, innerHeight / 2)}px`;
}

// --- files

at("attach").onclick = () => at("chosen").click();
at("chosen").onchange = () => { add(at("chosen").files); at("chosen").value = ""; };
text.onpaste = (event) => {
  if (!event.clipboardData?.files.length) return;
  event.preventDefault();
  add(event.clipboardData.files);
};
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!event.dataTransfer?.files.length) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});

function add(given) {
  for (const file of given) {
    if (file.size > LARGEST) changed("told", say("too_large", file.name));
    else files.push(file);
  }
  showFiles();
  text.focus();
}

function showFiles() {
  at("files").hidden = !files.length;
  at("files").replaceChildren(...files.map((file, index) => make("span", { class: "chip" }, icon("file"), file.name,
    iconButton("close", say("remove_file", file.name), () => { files.splice(index, 1); showFiles(); text.focus(); }))));
}

// --- commands

function showPicker() {
  const found = /^\/[^\n]*$/.test(text.value) ? suggestions(text.value) : [];
  active = 0;
  picker.hidden = !found.length;
  picker.setAttribute("aria-label", say("pick"));
  picker.replaceChildren(...found.map((one, index) => {
    const option = make("div", { role: "option", id: `pick${index}`, "aria-selected": String(index === 0) },
      make("span", { class: "line" }, one.line, ...one.options.map((option_) => make("span", { class: `option${option_.required ? " required" : ""}` }, option_.name))),
      make("span", { class: "from" }, nameOf(state.bot)), make("span", { class: "dim" }, describe(one.part)));
    option.onmousedown = (event) => { event.preventDefault(); pick(index); };
    return option;
  }));
  mark();
}

function mark() {
  [...picker.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === active)));
  if (picker.hidden) text.removeAttribute("aria-activedescendant");
  else { text.setAttribute("aria-activedescendant", `pick${active}`); picker.children[active]?.scrollIntoView({ block: "nearest" }); }
}

function handlePicker(event) {
  const count = picker.children.length;
  if (event.key === "ArrowDown") active = (active + 1) % count;
  else if (event.key === "ArrowUp") active = (active + count - 1) % count;
  else if (event.key === "Escape") picker.hidden = true;
  else if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey)) { pick(active); return true; }
  else return false;
  mark();
  return true;
}

function pick(index) {
  const found = suggestions(text.value)[index];
  if (!found) return;
  const rest = text.value.slice(found.line.length).trim();
  picker.hidden = true;
  mark();
  text.value = "";
  fit();
  begin(found, rest);
}

// --- what changes about the box

const narrow = matchMedia("(max-width: 760px)");
narrow.onchange = () => { if (here()) showBox(); };

function showBox() {
  const channel = here();
  const state_ = channel.thread_metadata;
  const name = channel.type === 0 ? `#${channel.name}` : channel.name;
  text.placeholder = state_?.locked ? say("placeholder_locked") : state_?.archived ? say("placeholder_closed") : say(narrow.matches ? "composer" : "placeholder", name);
  text.setAttribute("aria-label", say("composer", name));
  for (const [id, picture] of [["attach", "plus"], ["send", "send"]]) {
    at(id).replaceChildren(icon(picture));
    at(id).setAttribute("aria-label", say(id));
    at(id).title = say(id);
  }
  document.body.dataset.drop = say("drop");
}

let shown = null;
when("opened", () => {
  if (shown && shown !== state.channel) {
    drafts.set(shown, text.value);
    text.value = drafts.get(state.channel) ?? "";
    picker.hidden = true;
  }
  shown = state.channel;
  showBox();
  fit();
  showTyping();
  if (matchMedia("(hover: hover)").matches && !document.querySelector("dialog[open]")) text.focus({ preventScroll: true });
});
when("channels", () => { if (here()) showBox(); });

function showTyping() {
  const there = [...(state.typing.get(state.channel) ?? [])].filter(([user, until]) => until > Date.now() && user !== state.me.id);
  const words = there.length > 1 ? say("typing_many") : there.length ? say("typing_one", nameOf(state.users[there[0][0]])) : "";
  if (at("typing").textContent !== words) at("typing").textContent = words;
  if (there.length) setTimeout(showTyping, 1000);
}
when("typing", showTyping);
