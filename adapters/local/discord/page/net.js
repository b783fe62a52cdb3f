// The line to the local Discord: what people do goes out as requests, what happens comes in through one websocket.
import { changed, here, isThread, open, state } from "./state.js";
import { say, speak } from "./texts.js";

const WAITS = [200, 400, 800, 1500, 3000];
let socket = null;
let failures = 0;
let timer = 0;

export function connect() {
  clearTimeout(timer);
  if (socket) { socket.onclose = null; socket.close(); }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const asked = new URLSearchParams({ person: state.person, token: state.token, page: "1" });
  const mine = new WebSocket(`${scheme}://${location.host}/people/v1/stream?${asked}`);
  socket = mine;
  mine.onmessage = (event) => { if (mine === socket) take(JSON.parse(event.data)); };
  mine.onclose = lost;
}

async function lost() {
  state.connected = false;
  failures += 1;
  changed("connection", say("reconnecting"));
  timer = setTimeout(connect, WAITS[Math.min(failures, WAITS.length) - 1]);
  if (failures !== 2) return;
  const answer = await fetch(`/people/v1/${encodeURIComponent(state.person)}/read`, request({})).catch(() => null);
  if (answer?.status === 404) state.person = "alice"; // nobody of that name
  if (answer?.status !== 403) return;
  clearTimeout(timer);
  changed("connection", say("wrong_token"));
}

// a tab that slept has a line that is dead or about to be: it is tried at once, not when a timer gets around to it
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && state.token && socket?.readyState > WebSocket.OPEN) connect();
});
addEventListener("online", () => { if (socket?.readyState > WebSocket.OPEN) connect(); });

/** Asks for a page of a channel; the answer comes as everything else does. */
export function askHistory(channel, before = null) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ channel, before }));
}

function request(body, files = []) {
  const headers = { "X-Page-Token": state.token };
  if (!files.length) return { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const form = new FormData();
  form.append("payload_json", JSON.stringify(body));
  files.forEach((file, index) => form.append(`files[${index}]`, file, file.name));
  return { method: "POST", headers, body: form };
}

/** Does something as the person. Returns the answer, or null when it was refused (and says why). */
export async function act(action, body, files = []) {
  let answer;
  try {
    answer = await fetch(`/people/v1/${encodeURIComponent(state.person)}/${action}`, request(body, files));
  } catch {
    changed("told", say("reconnecting"));
    return null;
  }
  const result = await answer.json().catch(() => ({ message: answer.statusText }));
  changed("told", answer.ok ? "" : wordsOf(result));
  return answer.ok ? result : null;
}

function wordsOf(result) {
  const detail = Object.entries(result.errors ?? {}).map(([name, one]) => `${name}: ${one._errors?.[0]?.message ?? ""}`);
  return [result.message, ...detail].join(" · ");
}

// --- what comes in

function take({ t, d }) {
  const handler = HANDLERS[t];
  if (handler) handler(d);
}

const HANDLERS = {
  SNAPSHOT(d) {
    const again = failures > 0;
    failures = 0;
    speak(d.me.locale);
    Object.assign(state, {
      me: d.me, people: d.people, bot: d.bot, commands: d.commands, about: d.about, unread: d.unread, panel: d.panel,
      playing: d.playing, connected: true, interactions: {},
      users: Object.fromEntries([...d.people, d.bot].map((one) => [one.id, one])),
      channels: Object.fromEntries(d.channels.map((one) => [one.id, one])),
      messages: new Map([[state.channel, state.messages.get(state.channel) ?? new Map()]]), more: {},
    });
    changed("connection", "");
    changed("told", again ? say("back") : "");
    const asked = new URLSearchParams(location.hash.slice(1)).get("channel");
    changed("snapshot");
    open([state.channel, asked].find((one) => state.channels[one]) ?? d.channels.find((one) => one.type === 0).id);
  },
  HISTORY(d) {
    // the newest page begins anew: whatever changed while the line was down is in it
    const known = d.before ? state.messages.get(d.channel) ?? new Map() : new Map();
    for (const one of d.messages) known.set(one.id, one);
    state.messages.set(d.channel, known);
    state.more[d.channel] = d.more;
    if (d.channel === state.channel) changed("history", Boolean(d.before));
  },
  MESSAGE_CREATE: (d) => put(d, true),
  MESSAGE_UPDATE: (d) => put(d, false),
  MESSAGE_DELETE(d) {
    state.messages.get(d.channel_id)?.delete(d.id);
    if (d.channel_id === state.channel) changed("deleted", d.id);
  },
  COMMANDS(d) { state.commands = d.list; },
  INTERACTION(d) { state.interactions[d.id] = d; changed("interaction", d); },
  READ(d) { delete state.unread[d.channel]; changed("channels"); },
  PLAY(d) { state.playing = d; changed("playing"); },
  MODAL: (d) => changed("modal", d),
  AUTOCOMPLETE: (d) => changed("autocomplete", d),
  TYPING_START(d) {
    const there = state.typing.get(d.channel_id) ?? new Map();
    there.set(d.user_id, Date.now() + 8000);
    state.typing.set(d.channel_id, there);
    changed("typing");
  },
  THREAD_CREATE(d) { channel(d); if (d.parent_id === state.channel && follows(d)) open(d.id); },
  CHANNEL_CREATE: channel, THREAD_UPDATE: channel, CHANNEL_UPDATE: channel, THREAD_DELETE: gone, CHANNEL_DELETE: gone,
};

/** A thread that one has just asked for opens by itself, as it does in Discord for whoever made it. */
const follows = () => Object.values(state.interactions).some((one) => one.type === 2 && one.channel_id === state.channel && Date.now() / 1000 - one.at < 30)
  || state.playing.state === "playing";

function channel(d) {
  state.channels[d.id] = d;
  changed("channels");
}

function gone(d) {
  delete state.channels[d.id];
  state.messages.delete(d.id);
  if (state.channel === d.id) open(d.parent_id ?? Object.values(state.channels).find((one) => one.type === 0)?.id);
  changed("channels");
}

function put(message, isNew) {
  const where = message.channel_id;
  state.messages.get(where)?.set(message.id, message);
  state.typing.get(where)?.delete(message.author.id);
  if (where === state.channel) changed(isNew ? "arrived" : "edited", message);
  const foreign = message.author.id !== state.me.id && !message.person;
  if (isNew && foreign && (where !== state.channel || document.hidden)) {
    const mine = message.mentions.some((one) => one.id === state.me.id);
    state.unread[where] = (state.unread[where] ?? 0) + Number(mine);
    changed("channels");
  }
  if (isNew && isThread(here())) changed("typing");
}
