// What the page knows. Whoever changes it says so with `changed`; whoever shows it listens with `when`.

export const state = {
  token: "", person: "", me: null, users: {}, people: [], bot: null, channels: {}, commands: [], about: [], unread: {}, panel: "",
  channel: null, playing: { state: "idle" }, connected: false,
  messages: new Map(), // of the channels that were opened: channel -> Map(id -> message)
  more: {}, // of the same: whether older ones are there
  interactions: {}, // id -> interaction
  typing: new Map(), // channel -> Map(user -> until)
};

const listeners = {};

export function when(what, listener) {
  (listeners[what] ??= []).push(listener);
}

export function changed(what, ...details) {
  for (const listener of listeners[what] ?? []) listener(...details);
}

export const here = () => state.channels[state.channel];

export const isThread = (channel) => channel?.type === 11;

export const nameOf = (user) => user?.global_name ?? user?.username ?? "?";

export const older = (one, other) => (one.length - other.length) || (one < other ? -1 : Number(one > other));

/** The messages of the channel that is open, oldest first. */
export function messagesHere() {
  return [...(state.messages.get(state.channel)?.values() ?? [])].sort((one, other) => older(one.id, other.id));
}

export function open(channel) {
  if (!state.channels[channel]) return;
  state.channel = channel;
  changed("opened");
}
