// The messages of the channel that is open: made once, changed in place, older ones when they are scrolled to.
import { at, avatar, icon, iconButton, make } from "./dom.js";
import { components, local, presser } from "./components.js";
import { act, askHistory } from "./net.js";
import { changed, here, isThread, messagesHere, nameOf, older, open, state, when } from "./state.js";
import { language, say } from "./texts.js";
import { clock, tree, trees } from "./tree.js";
import { welcome } from "./welcome.js";

const EPHEMERAL = 64;
const LOADING = 128;
const TOGETHER_MS = 7 * 60_000;
const list = at("messages");
const scroller = at("scroller");
let pinned = true;
let asking = false;
const drawn = new Map(); // message id -> { element, parts }
const failed = new Map(); // message id -> words: what the bot did not answer, until it is tried again
const waiting = new Map(); // interaction id -> { message, element }

// --- the list

function showAll() {
  asking = false;
  drawn.clear();
  const channel = here();
  const there = messagesHere();
  const nodes = state.more[channel.id] ? [above()] : beginning(channel, there);
  list.replaceChildren(...nodes, ...chunks(rows(there)));
  list.setAttribute("aria-label", say("messages", channel.name));
  scroller.setAttribute("aria-label", say("messages", channel.name));
  if (there.length || isThread(channel)) toEnd();
  else scroller.scrollTop = 0; // who is here for the first time begins to read at the beginning
  sayRead();
}

// older ones are asked for before one gets to them
const near = new IntersectionObserver((seen) => {
  const first = messagesHere()[0];
  if (!first || asking || !seen.some((one) => one.isIntersecting && one.target.isConnected)) return;
  asking = true;
  askHistory(state.channel, first.id);
}, { root: scroller, rootMargin: "800px 0px" });

function above() {
  const line = make("p", { class: "older" }, say("older"));
  near.disconnect();
  near.observe(line);
  return line;
}

function beginning(channel, there) {
  if (!isThread(channel)) return [welcome()];
  const nothing = there.length ? [] : [make("p", { class: "dim" }, say("nothing_thread"))];
  return [make("div", { class: "beginning" }, icon("thread"), make("p", {}, say("start", channel.name)), ...nothing)];
}

// What is far from the window is not laid out: a chunk at a time, for of single messages there may be thousands.
const CHUNK = 50;

function chunks(nodes) {
  const made = [];
  for (let index = 0; index < nodes.length; index += CHUNK) made.push(make("div", { class: "chunk" }, ...nodes.slice(index, index + CHUNK)));
  return made;
}

function append(...nodes) {
  const last = list.lastElementChild;
  if (last?.className === "chunk" && last.children.length < CHUNK) last.append(...nodes);
  else list.append(...chunks(nodes));
}

/** Articles, and a line wherever a day begins. */
function rows(messages, before = null) {
  const made = [];
  let last = before;
  for (const message of messages) {
    if (!last || dayOf(last) !== dayOf(message)) made.push(day(message));
    made.push(draw(message, last));
    last = message;
  }
  return made;
}

const dayOf = (message) => new Date(message.timestamp).toDateString();

function day(message) {
  const date = new Date(message.timestamp);
  return make("p", { class: "day" }, make("span", {}, date.toLocaleDateString(language(), { dateStyle: "long" })));
}

function showOlder() {
  const height = scroller.scrollHeight - scroller.scrollTop;
  asking = false;
  const there = messagesHere();
  const first = list.querySelector("article[id^=m]")?.id.slice(1);
  const before = there.filter((one) => !first || older(one.id, first) < 0);
  list.querySelector(".older")?.remove();
  const nodes = state.more[state.channel] ? [above()] : beginning(here(), there);
  list.prepend(...nodes, ...chunks(rows(before)));
  scroller.scrollTop = scroller.scrollHeight - height;
}

function arrived(message) {
  const there = messagesHere();
  const at_ = there.findIndex((one) => one.id === message.id);
  if (drawn.has(message.id)) return redraw(message);
  list.querySelector(".beginning .dim")?.remove();
  if (at_ < there.length - 1) return showAll(); // out of order: as good as never
  append(...rows([message], there[at_ - 1] ?? null));
  if (message.author.id === state.me.id) toEnd();
  at("jump").hidden = pinned;
  at("jump").textContent = say("jump");
  sayRead();
}

function toEnd() {
  pinned = true;
  at("jump").hidden = true;
  scroller.scrollTop = scroller.scrollHeight;
}

let lastTop = 0;
let lastHeight = 0;
// an answer that grows moves the end away, too: only who scrolls up by hand leaves it
scroller.addEventListener("scroll", () => {
  const { scrollTop, scrollHeight, clientHeight } = scroller;
  if (scrollHeight - scrollTop - clientHeight < 40) pinned = true;
  else if (scrollTop < lastTop && scrollHeight === lastHeight) pinned = false;
  lastTop = scrollTop;
  lastHeight = scrollHeight;
  if (pinned) at("jump").hidden = true;
}, { passive: true });
// whatever grows above the end (an answer, a picture), who was at the end stays there
const follow = new ResizeObserver(() => { if (pinned) scroller.scrollTop = scroller.scrollHeight; });
follow.observe(list);
follow.observe(scroller);
at("jump").onclick = toEnd;

function sayRead() {
  const last = messagesHere().filter((one) => !one.person).at(-1);
  if (document.hidden || !last || !(state.channel in state.unread)) return;
  delete state.unread[state.channel];
  changed("channels");
  act("read", { channel: state.channel, message: last.id });
}
let readTimer = 0;
function readSoon() {
  clearTimeout(readTimer);
  readTimer = setTimeout(() => {
    const last = messagesHere().filter((one) => !one.person).at(-1);
    if (last && !document.hidden) act("read", { channel: last.channel_id, message: last.id });
  }, 500);
}
document.addEventListener("visibilitychange", sayRead);

// --- one message

/** A new article. Its parts are compared when it changes, and only those that did are made anew. */
function draw(message, last) {
  const joined = last && !message.person && !last.person && last.author.id === message.author.id && message.type === last.type && message.type === 0
    && dayOf(last) === dayOf(message) && new Date(message.timestamp) - new Date(last.timestamp) < TOGETHER_MS;
  const element = make("article", { id: `m${message.id}`, "data-id": message.id, tabIndex: -1 });
  if (joined) element.classList.add("joined");
  const one = { element, parts: new Map() };
  drawn.set(message.id, one);
  fill(one, message);
  return element;
}

function redraw(message) {
  const one = drawn.get(message.id);
  if (!one) return arrived(message);
  const focused = one.element.contains(document.activeElement) ? document.activeElement.dataset.custom : undefined;
  fill(one, message);
  if (focused && !one.element.contains(document.activeElement)) {
    (one.element.querySelector(`[data-custom="${CSS.escape(focused)}"]`) ?? at("text")).focus({ preventScroll: true });
  }
}

function fill(one, message) {
  one.element.classList.toggle("private", Boolean(message.person) || Boolean(message.flags & EPHEMERAL));
  one.element.classList.toggle("pinged", !message.person && message.mentions.some((who) => who.id === state.me.id));
  const wanted = partsOf(message);
  for (const [name, part] of one.parts) if (!wanted.has(name)) { part.node.remove(); one.parts.delete(name); }
  let before = null;
  for (const [name, [key, build]] of wanted) {
    const known = one.parts.get(name);
    if (known?.key !== key) {
      const node = build(known?.node);
      if (known && known.node !== node) known.node.replaceWith(node);
      else if (!known) { if (before) before.after(node); else one.element.prepend(node); }
      one.parts.set(name, { key, node });
    }
    before = one.parts.get(name).node;
  }
}

/** Name -> [what it depends on, how it is made]. */
function partsOf(message) {
  const parts = new Map();
  const used = message.interaction_metadata ?? message.interaction;
  if (used?.user && used.name) parts.set("used", [used.name, () => make("p", { class: "used" }, say("used", nameOf(used.user), `/${used.name}`))]);
  parts.set("picture", ["", () => avatar(message.author)]);
  parts.set("who", [message.edited_timestamp ? "edited" : "", () => head(message)]);
  const thinking = message.flags & LOADING;
  if (thinking) parts.set("thinking", ["", () => make("p", { class: "thinking" }, dots(), say("thinking", nameOf(message.author)))]);
  else if (message.content) parts.set("body", [message.content, (known) => body(message, known)]);
  if (message.attachments.length) parts.set("files", [JSON.stringify(message.attachments), () => attachments(message)]);
  if (message.embeds.length) parts.set("embeds", [JSON.stringify(message.embeds), () => make("div", {}, ...message.embeds.map(embed))]);
  if (message.components.length) parts.set("components", [JSON.stringify(message.components), () => make("div", { class: "components" }, ...components(message.components, presser(message, (id, element) => wait(id, message.id, element))))]);
  const thread = state.channels[message.id];
  if (thread) parts.set("thread", [thread.name + thread.message_count, () => make("button", { type: "button", class: "threadlink", onclick: () => open(thread.id) }, icon("thread"), say("thread_of", thread.name))]);
  const marks = (message.marks ?? []).map((mark) => decodeURIComponent(mark));
  const reactions = [...marks, ...(message.reactions ?? []).map((one) => `${one.emoji?.name ?? ""} ${one.count ?? 1}`)];
  if (reactions.length) parts.set("marks", [reactions.join(), () => make("div", { class: "row" }, ...reactions.map((one) => make("span", { class: "mark" }, one)))]);
  if (failed.has(message.id)) parts.set("failed", ["", () => make("p", { class: "failed" }, say("failed"))]);
  if (message.person) parts.set("private", ["", () => onlyYou(message)]);
  parts.set("bar", [message.content, () => bar(message)]);
  return parts;
}

function head(message) {
  const date = new Date(message.timestamp);
  return make("p", { class: "who" },
    make("strong", { class: "name" }, nameOf(message.author)),
    message.author.bot && make("span", { class: "app" }, say("app")),
    make("time", { dateTime: date.toISOString(), title: date.toLocaleString(language()) }, clock(date)),
    message.edited_timestamp && make("span", { class: "edited" }, say("edited")));
}

/** Block by block: what stands already stays, so that nothing jumps while an answer streams. */
function body(message, known) {
  const element = known ?? make("div", { class: "body" });
  const keys = message.shown.map((node) => JSON.stringify(node));
  const old = element.keys ?? [];
  keys.forEach((key, index) => {
    if (old[index] === key) return;
    const node = tree(message.shown[index]);
    if (index < element.childNodes.length) element.childNodes[index].replaceWith(node);
    else element.append(node);
  });
  while (element.childNodes.length > keys.length) element.lastChild.remove();
  element.keys = keys;
  return element;
}

const dots = () => make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));

function attachments(message) {
  return make("div", { class: "files" }, ...message.attachments.map((one) => {
    const address = local(one.url);
    if (address && /^image\/(png|jpeg|gif|webp)$/.test(one.content_type ?? "")) {
      return make("a", { href: address, target: "_blank", rel: "noreferrer" }, make("img", { class: "picture", src: address, alt: one.description ?? say("image", one.filename), loading: "lazy" }));
    }
    return make("p", { class: "file" }, icon("file"), make("span", {}, address ? make("a", { href: address, download: one.filename }, one.filename) : one.filename, make("span", { class: "dim" }, size(one.size))));
  }));
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / (1 << 20)).toFixed(1)} MB`);

function embed(one) {
  const image = local(one.image?.url);
  const title = one.title && (/^https?:/i.test(one.url ?? "") ? make("a", { href: one.url, target: "_blank", rel: "noopener noreferrer" }, one.title) : one.title);
  const element = make("div", { class: "embed container" },
    one.author?.name && make("p", { class: "small" }, one.author.name),
    title && make("p", { class: "title" }, title),
    one.description && make("div", { class: "body" }, ...trees(one.shown)),
    one.fields.length > 0 && make("div", { class: "fields" }, ...one.fields.map((field) => make("div", { class: field.inline ? "inline" : "" },
      make("p", { class: "title" }, ...trees(field.shown_name)), make("div", { class: "body" }, ...trees(field.shown))))),
    image && make("img", { class: "picture", src: image, alt: one.title ?? "" }),
    one.footer?.text && make("p", { class: "small" }, one.footer.text));
  if (Number.isInteger(one.color)) element.style.setProperty("--edge", `#${one.color.toString(16).padStart(6, "0")}`);
  return element;
}

function onlyYou(message) {
  const dismiss = make("button", { type: "button", class: "plain" }, say("dismiss"));
  dismiss.onclick = () => act("dismiss", { message: message.id });
  return make("p", { class: "onlyyou" }, say("only_you"), " · ", dismiss);
}

function bar(message) {
  const buttons = [];
  if (state.panel) buttons.push(iconButton("log", say("events"), () => changed("events", message)));
  if (message.author.id === state.me.id) {
    buttons.push(iconButton("edit", say("edit"), () => editInPlace(message)));
    buttons.push(iconButton("bin", say("delete"), () => act("delete", { channel: message.channel_id, message: message.id })));
  }
  return make("div", { class: "bar" }, ...buttons);
}

function editInPlace(message) {
  const { element } = drawn.get(message.id);
  if (element.querySelector(".editor")) return;
  const current = messagesHere().find((one) => one.id === message.id) ?? message;
  const text = make("textarea", { value: current.content, rows: 3, "aria-label": say("edit") });
  const editor = make("form", { class: "editor" }, text, make("p", { class: "small" }, say("edit_hint")));
  const end = () => { editor.remove(); element.classList.remove("editing"); at("text").focus(); };
  editor.onsubmit = async (event) => {
    event.preventDefault();
    if (text.value.trim() && text.value !== current.content) await act("edit", { channel: message.channel_id, message: message.id, content: text.value.trim() });
    end();
  };
  text.onkeydown = (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") end();
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); editor.requestSubmit(); }
  };
  element.classList.add("editing");
  element.append(editor);
  text.focus();
}

/** The last message of one's own, as the arrow up in an empty box has it. */
export function editLast() {
  const mine = messagesHere().filter((one) => one.author.id === state.me.id).at(-1);
  if (mine) editInPlace(mine);
}

// --- interactions

function wait(interaction, message, element) {
  waiting.set(interaction, { message, element });
  if (failed.delete(message)) redrawKnown(message);
  settled(state.interactions[interaction]);
}

/** The answer may come before the request that asked has returned, so this looks at both. */
function settled(interaction) {
  if (!interaction || interaction.state === "waiting") return;
  const asked = waiting.get(interaction.id);
  if (asked) {
    waiting.delete(interaction.id);
    asked.element.removeAttribute("aria-busy");
    if (asked.element.tagName === "SELECT") asked.element.value = "";
  }
  if (interaction.state !== "failed") return;
  if (interaction.message_id) {
    failed.set(interaction.message_id, true);
    redrawKnown(interaction.message_id);
  } else if (interaction.channel_id === state.channel && interaction.type === 2) noAnswer(interaction);
}

function redrawKnown(id) {
  const message = state.messages.get(state.channel)?.get(id);
  if (message) redraw(message);
}

/** What Discord shows in place of an answer to a command; it is nobody's message. */
function noAnswer(interaction) {
  const row = make("article", { class: "private", id: `i${interaction.id}` }, state.bot && avatar(state.bot),
    make("p", { class: "who" }, make("strong", { class: "name" }, nameOf(state.bot)), make("span", { class: "app" }, say("app"))),
    make("p", { class: "failed" }, say("no_answer")),
    make("p", { class: "onlyyou" }, say("only_you"), " · ", make("button", { type: "button", class: "plain", onclick: () => row.remove() }, say("dismiss"))));
  append(row);
  if (pinned) toEnd();
}

when("snapshot", () => {
  for (const { element } of waiting.values()) element.removeAttribute("aria-busy");
  waiting.clear();
});
when("opened", () => {
  if (state.messages.has(state.channel)) showAll();
  if (!(state.channel in state.more)) askHistory(state.channel);
});
when("history", (above) => (above ? showOlder() : showAll()));
when("arrived", (message) => { arrived(message); readSoon(); });
when("edited", redraw);
when("deleted", (id) => { drawn.get(id)?.element.remove(); drawn.delete(id); });
when("interaction", settled);
when("channels", () => { for (const id of drawn.keys()) if (state.channels[id]) redrawKnown(id); });
