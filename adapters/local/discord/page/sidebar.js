// Channels and threads with what is new in them, and who one is.
import { at, avatar, icon, iconButton, make } from "./dom.js";
import { here, isThread, nameOf, older, open, state, when } from "./state.js";
import { say } from "./texts.js";
import { playingWords } from "./welcome.js";

const ROLES = ["owner", "member", "guest"];

function showChannels() {
  const all = Object.values(state.channels).sort((one, other) => older(one.id, other.id));
  const threads = all.filter(isThread);
  const focused = document.activeElement?.dataset?.channel;
  const closedOpen = at("channels").querySelector("details")?.open ?? false;
  const items = all.filter((one) => one.type === 0).map((channel) => {
    const active = threads.filter((one) => one.parent_id === channel.id && !one.thread_metadata.archived);
    const closed = threads.filter((one) => one.parent_id === channel.id && one.thread_metadata.archived);
    return make("li", {}, entry(channel),
      active.length > 0 && make("ul", { class: "threads" }, ...active.map((one) => make("li", {}, entry(one)))),
      closed.length > 0 && make("details", { open: closedOpen || closed.some((one) => one.id === state.channel) },
        make("summary", {}, say("archived", closed.length)), make("ul", { class: "threads" }, ...closed.map((one) => make("li", {}, entry(one))))));
  });
  at("channels").replaceChildren(make("h3", {}, say("category")), make("ul", {}, ...items));
  if (focused) at("channels").querySelector(`[data-channel="${focused}"]`)?.focus();
  at("sidebar").setAttribute("aria-label", say("channels"));
  const news = Object.keys(state.unread).some((one) => one !== state.channel && state.channels[one]);
  at("menu").classList.toggle("news", news);
  document.title = `${news ? "• " : ""}${here() ? `#${here().name} · ` : ""}Playground`;
}

function entry(channel) {
  const fresh = channel.id in state.unread && channel.id !== state.channel;
  const mentions = fresh ? state.unread[channel.id] : 0;
  const locked = channel.thread_metadata?.locked;
  const button = make("button", { type: "button", class: `channel${fresh ? " fresh" : ""}`, "data-channel": channel.id, onclick: () => { open(channel.id); closeDrawer(); } },
    icon(locked ? "lock" : isThread(channel) ? "thread" : "hash"), make("span", { class: "name" }, channel.name),
    fresh && (mentions ? make("span", { class: "count", "aria-label": say("mentions", mentions) }, String(mentions)) : make("span", { class: "sr" }, say("unread"))));
  if (channel.id === state.channel) button.setAttribute("aria-current", "page");
  return button;
}

function showAccount() {
  const choose = make("select", { id: "person", "aria-label": say("people") }, ...state.people.map((one, index) =>
    make("option", { value: one.username, selected: one.id === state.me.id }, `${nameOf(one)} · ${say(ROLES[index] ?? "guest")} · ${one.locale.slice(0, 2).toUpperCase()}`)));
  choose.onchange = () => location.assign(addressOf(choose.value));
  const other = state.people.find((one) => one.id !== state.me.id);
  const second = make("a", { class: "icon", href: addressOf(other.username), target: "_blank", title: say("new_window", nameOf(other)), "aria-label": say("new_window", nameOf(other)) }, icon("window"));
  at("account").replaceChildren(avatar(state.me, true), choose, second);
}

export const addressOf = (person) => `?${new URLSearchParams({ token: state.token, as: person })}${state.channel ? `#channel=${state.channel}` : ""}`;

function showTop() {
  const channel = here();
  if (!channel) return;
  at("title").replaceChildren(icon(isThread(channel) ? "thread" : "hash"), make("span", {}, channel.name));
  const parent = state.channels[channel.parent_id];
  at("topic").textContent = state.playing.state === "playing" ? playingWords() : channel.thread_metadata?.archived ? say("closed_thread") : parent ? `#${parent.name}` : "";
  at("menu").replaceChildren(icon("menu"));
  at("menu").setAttribute("aria-label", say("menu"));
  at("skip").textContent = say("skip");
}

// --- on a narrow screen the sidebar is a drawer

function openDrawer() {
  document.body.classList.add("drawer");
  at("veil").hidden = false;
  at("menu").setAttribute("aria-expanded", "true");
  at("channels").querySelector("[aria-current]")?.focus();
}

function closeDrawer() {
  if (!document.body.classList.contains("drawer")) return;
  document.body.classList.remove("drawer");
  at("veil").hidden = true;
  at("menu").setAttribute("aria-expanded", "false");
  at("menu").focus();
}

at("menu").onclick = () => (document.body.classList.contains("drawer") ? closeDrawer() : openDrawer());
at("veil").onclick = closeDrawer;
at("sidebar").addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDrawer();
  if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const all = [...at("channels").querySelectorAll("button, summary")].filter((one) => one.offsetParent);
  const next = all[all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next && all.includes(document.activeElement)) { event.preventDefault(); next.focus(); }
});

when("snapshot", showAccount);
when("opened", () => { showChannels(); showTop(); showAccount(); history.replaceState(null, "", addressOf(state.person)); });
when("channels", () => { showChannels(); showTop(); });
when("playing", showTop);
