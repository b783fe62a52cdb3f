// The event log beside the chat: what is recorded, as it is recorded, and what of it belongs to which message.
import { at, icon, iconButton, make } from "./dom.js";
import { pairs } from "./fields.js";
import { here, isThread, nameOf, state, when } from "./state.js";
import { language, say } from "./texts.js";
import { begin, moments, takeState, takeViews, views } from "./views.js";

const MOST = 400; // rows that are drawn; more are counted
const panel = at("log");
const rows = []; // by position
const positions = new Map();
let older_ = 0;
let socket = null;
let timer = 0;
let shown = false;
let only = null; // { id, positions } of the message that was asked for
let opened = null;
let lost = false;

// --- the line

function connect() {
  clearTimeout(timer);
  if (socket) { socket.onclose = null; socket.close(); }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const asked = new URLSearchParams({ token: state.token, person: state.me.id });
  socket = new WebSocket(`${scheme}://${location.hostname}:${state.panel}/panel/stream?${asked}`);
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => { lost = true; show(); timer = setTimeout(connect, 1000); };
}

function take({ t, d }) {
  if (t === "BEGIN") {
    rows.length = 0;
    positions.clear();
    older_ = d.older;
    lost = false;
    add(d.rows);
    if (only) only.positions = related(only.message);
    show();
  } else if (t === "EVENTS") {
    add(d);
    if (only) only.positions = related(only.message);
    append(d.filter(fits));
    if (shown) moments(sessionHere(), rows);
  } else if (t === "FIELDS") showFields(d);
  else if (t === "VIEWS") takeViews(d);
  else if (t === "STATE") takeState(d);
}

function add(given) {
  for (const row of given) {
    rows.push(row);
    positions.set(row.position, row);
  }
}

// --- which

function fits(row) {
  if (only) return only.positions.has(row.position);
  return !isThread(here()) || row.thread === state.channel || row.thread === here()?.parent_id && row.session && threadOf(row.session) === state.channel;
}

/** A session's thread is known only once it is there: what came before belongs to it all the same. */
function threadOf(session) {
  return rows.find((row) => row.session === session && row.kind === "session.thread_opened")?.thread;
}

/** The session whose thread is open. */
const sessionHere = () => isThread(here()) ? rows.find((row) => row.kind === "session.thread_opened" && row.thread === state.channel)?.session : null;

/** What names the message, what concerns the same turn, question or prompt, and what those follow from. */
function related(message) {
  const named = rows.filter((row) => row.ids.includes(message.id));
  const found = new Set(named.map((row) => row.position));
  const about = new Set(named.flatMap((row) => row.about.map((one) => `${row.session} ${one}`)));
  about.forEach((one) => { if (one.endsWith(" head")) about.delete(one); });
  for (const row of rows) if (row.about.some((one) => about.has(`${row.session} ${one}`))) found.add(row.position);
  for (const position of [...found]) {
    for (let row = positions.get(position); row?.cause && !found.has(row.cause); row = positions.get(row.cause)) found.add(row.cause);
  }
  return found;
}

// --- what is shown

const list = make("ol", { id: "events" });
const note = make("p", { class: "dim", id: "log_note", role: "status" });

function show() {
  panel.hidden = !shown;
  at("show_log").setAttribute("aria-pressed", String(shown));
  document.body.classList.toggle("with_log", shown);
  if (!shown) return;
  const title = only ? say("log_message") : isThread(here()) ? say("log_thread") : say("log_all");
  panel.setAttribute("aria-label", say("log_title"));
  panel.replaceChildren(
    make("header", {}, make("h2", {}, say("log_title")), make("span", { class: "dim" }, title),
      only && make("button", { type: "button", class: "button secondary", onclick: () => choose(null) }, say("log_clear")),
      iconButton("close", say("close"), toggle)),
    views, note, make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": title }, list));
  const fitting = rows.filter(fits);
  list.replaceChildren(...fitting.slice(-MOST).map(entry));
  say_(fitting.length);
  moments(sessionHere(), rows);
  toEnd();
}

function say_(count) {
  const hidden = Math.max(0, count - MOST) + (only ? 0 : older_);
  note.textContent = lost ? say("log_lost") : !count ? say(only ? "log_none" : "log_empty") : hidden ? say("log_more", hidden) : "";
  note.hidden = !note.textContent;
}

function append(given) {
  if (!shown || !given.length) return;
  const box = list.parentElement;
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const focused = list.contains(document.activeElement);
  list.append(...given.map(entry));
  while (list.children.length > MOST && !focused) list.firstChild.remove();
  say_(rows.filter(fits).length);
  if (atEnd) toEnd();
}

function toEnd() {
  const box = list.parentElement;
  if (box) box.scrollTop = box.scrollHeight;
}

const who = (row) => {
  const id = row.by || row.actor.replace(/^person:/, "");
  return state.users[id] ? nameOf(state.users[id]) : id;
};

function entry(row) {
  const date = new Date(row.at);
  const button = make("button", { type: "button", class: "event", "aria-expanded": String(opened === row.position), onclick: () => ask(row.position) },
    make("span", { class: "position" }, `#${row.position}`), make("span", { class: `kind of_${row.kind.split(".")[0]}` }, row.kind),
    make("span", { class: "by" }, who(row)),
    make("time", { dateTime: date.toISOString() }, date.toLocaleTimeString(language(), { hour12: false }) + `.${String(row.at % 1000).padStart(3, "0")}`));
  const item = make("li", { id: `e${row.position}` }, button);
  if (row.cause) item.append(make("button", { type: "button", class: "plain cause", onclick: () => jump(row.cause) }, say("log_cause", `#${row.cause}`)));
  return item;
}

function jump(position) {
  const target = at(`e${position}`);
  if (target) { target.scrollIntoView({ block: "center" }); target.querySelector("button").focus(); }
  ask(position, true);
}

function ask(position, keep = false) {
  if (opened === position && !keep) return close();
  close();
  opened = position;
  at(`e${position}`)?.querySelector(".event").setAttribute("aria-expanded", "true");
  for (const id of positions.get(position)?.ids ?? []) at(`m${id}`)?.classList.add("marked");
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ position }));
  return undefined;
}

function close() {
  at(`e${opened}`)?.querySelector(".event").setAttribute("aria-expanded", "false");
  at(`e${opened}`)?.querySelector(".fields")?.remove();
  for (const one of document.querySelectorAll("article.marked")) one.classList.remove("marked");
  opened = null;
}

function showFields({ position, fields, surround, failed }) {
  const item = at(`e${position}`);
  if (!item || opened !== position) return;
  item.querySelector(".fields")?.remove();
  item.append(make("div", { class: "fields" }, failed ? make("p", { class: "failed" }, failed)
    : make("dl", {}, ...pairs(fields), ...pairs({ stream: positions.get(position)?.stream, ...surround }))));
}

// --- showing and hiding

begin((asked) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(asked)); });

function toggle() {
  shown = !shown;
  if (!shown) only = null;
  show();
  if (shown) panel.querySelector("h2").focus?.();
  else at("show_log").focus();
}

function choose(message) {
  for (const one of document.querySelectorAll("article.marked")) one.classList.remove("marked");
  only = message && { message, positions: related(message) };
  if (message) at(`m${message.id}`)?.classList.add("marked");
  shown = true;
  show();
}

at("show_log").onclick = toggle;
at("messages").addEventListener("click", (event) => {
  const article = event.target.closest("article[data-id]");
  if (!shown || !article || event.target.closest("button, a, select, input, textarea, label, pre") || String(getSelection())) return;
  choose({ id: article.dataset.id });
});
when("events", choose);
when("opened", () => { only = null; opened = null; show(); });
when("snapshot", () => {
  at("show_log").hidden = !state.panel;
  at("show_log").replaceChildren(icon("log"), make("span", { class: "words" }, say("log")));
  at("show_log").setAttribute("aria-label", say("log"));
  if (state.panel) connect();
});
