// Above the events: who may and who has a sandbox, as it changes, and the session of the open thread as it was at any of its events.
import { make } from "./dom.js";
import { pairs } from "./fields.js";
import { nameOf, state } from "./state.js";
import { language, say } from "./texts.js";

const members = make("ul", { id: "members" });
const quota = make("ul", { id: "quota" });
const slider = make("input", { type: "range", id: "moment", min: 0, step: 1 });
const told = make("output", { id: "moment_told", htmlFor: "moment" });
const then = make("div", { id: "then", tabIndex: 0, role: "region" });
const box = make("div", { id: "moments", hidden: true });
const current = make("details", { open: true });
export const views = make("section", { id: "views" }, current, box);

let send = () => {};
let now = { members: [], quota: [], position: 0 };
let session = null;
let own = []; // the events of the session, oldest first
let follows = true; // the slider stands at its end, and stays there

export function begin(sending) { send = sending; }

// --- as it is now

export function takeViews(given) {
  now = given;
  drawViews();
}

const person = (id) => state.users[id] ? nameOf(state.users[id]) : id;

function drawViews() {
  const held = now.quota.filter((one) => one.reservation).length;
  current.replaceChildren(make("summary", {}, say("views_title", `#${now.position}`)),
    make("h3", {}, say("view_members")), members, make("h3", {}, say("view_quota", held, now.quota.length - held)), quota);
  fill(members, now.members.map((one) => [one.person, one.position, person(one.person), say(one.role === "owner" ? "owner" : "member")]));
  let place = 0;
  fill(quota, now.quota.map((one) => [one.session, one.position, state.channels[one.thread]?.name ?? `…${one.session.slice(-6)}`, one.reservation ? say("view_holds") : say("view_waits", place += 1)]));
}

/** A row that an event changed since it was drawn is marked for a moment. */
function fill(list, rows) {
  const before = new Map([...list.children].map((one) => [one.dataset.key, one.dataset.position]));
  const first = !list.dataset.drawn;
  list.dataset.drawn = "1";
  list.replaceChildren(...rows.map(([key, position, name, what]) => {
    const item = make("li", {}, make("span", {}, name), make("span", { class: "dim" }, what));
    Object.assign(item.dataset, { key, position });
    if (!first && before.get(key) !== String(position)) item.className = "fresh";
    return item;
  }));
  if (!rows.length) list.append(make("li", { class: "dim" }, say("view_none")));
}

// --- as it was then

/** The thread that is open belongs to session `which`, or to none; `rows`: all events that are known. */
export function moments(which, rows) {
  if (which !== session) { session = which; follows = true; then.replaceChildren(); }
  own = which ? rows.filter((row) => row.stream === `session:${which}`) : [];
  box.hidden = !own.length;
  drawViews();
  if (!own.length) return;
  slider.max = own.length - 1;
  if (follows) slider.value = own.length - 1;
  then.setAttribute("aria-label", say("then_title"));
  if (!box.children.length) box.append(make("label", { for: "moment" }), slider, told, then);
  box.querySelector("label").textContent = say("then_title");
  tellMoment();
  ask();
}

const chosen = () => own[Number(slider.value)];

function tellMoment() {
  const row = chosen();
  const time = new Date(row.at).toLocaleTimeString(language(), { hour12: false });
  told.textContent = follows ? say("then_now", `#${row.position}`) : say("then_at", `#${row.position}`, time, row.kind);
}

function ask() { send({ session, position: chosen().position }); }

slider.addEventListener("input", () => {
  follows = Number(slider.value) === own.length - 1;
  tellMoment();
  ask();
});

export function takeState({ session: of, position, phase, fields, failed }) {
  if (of !== session || position !== chosen()?.position) return; // the slider is elsewhere already
  const scrolled = then.scrollTop;
  then.replaceChildren(failed ? make("p", { class: "failed" }, failed)
    : make("dl", {}, make("dt", {}, say("then_phase")), make("dd", {}, make("strong", { id: "phase" }, phase)), ...pairs(fields)));
  then.scrollTop = scrolled;
}
