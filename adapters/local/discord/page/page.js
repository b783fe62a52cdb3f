// The playground's page: shows what the local Discord says, and sends what people do. Nothing that anybody wrote is ever
// treated as HTML: every text becomes a text node.
"use strict";

const token = new URLSearchParams(location.search).get("token") ?? "";
const at = (id) => document.getElementById(id);
const state = { me: null, people: {}, channels: {}, messages: {}, commands: [], channel: null, socket: null, seen: {} };

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function act(action, body, files = []) {
  const options = { method: "POST", headers: { "X-Page-Token": token } };
  if (files.length) {
    options.body = new FormData();
    options.body.append("payload_json", JSON.stringify(body));
    files.forEach((file, index) => options.body.append(`files[${index}]`, file));
  } else {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(`/people/v1/${at("person").value}/${action}`, options);
  const result = await answer.json();
  tell(answer.ok ? "" : result.message);
  return result;
}

const tell = (text) => { at("state").textContent = text; };

// --- what comes in

function connect() {
  if (state.socket) { state.socket.onclose = null; state.socket.close(); }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const who = at("person").value;
  const socket = new WebSocket(`${scheme}://${location.host}/people/v1/stream?person=${who}&token=${encodeURIComponent(token)}`);
  state.socket = socket;
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => { tell("Reconnecting… / 再接続しています…"); setTimeout(connect, 500); };
}

function take({ t, d }) {
  if (t === "SNAPSHOT") return begin(d);
  if (t === "MESSAGE_CREATE" || t === "MESSAGE_UPDATE") { state.messages[d.id] = d; return showMessage(d); }
  if (t === "MESSAGE_DELETE") { delete state.messages[d.id]; at(`m${d.id}`)?.remove(); return undefined; }
  if (t === "COMMANDS") { state.commands = d.list; return undefined; }
  if (t === "INTERACTION") return tell(d.state === "failed" ? "This interaction failed. / インタラクションに失敗しました。" : "");
  if (t.endsWith("_DELETE")) delete state.channels[d.id]; else if (d.id) {
    state.channels[d.id] = d;
    if (t === "THREAD_CREATE") state.channel = d.id;
  }
  showChannels();
  return showMessages();
}

function begin(d) {
  state.me = d.me;
  state.people = Object.fromEntries([...d.people, d.bot].map((one) => [one.id, one.username]));
  state.channels = Object.fromEntries(d.channels.map((one) => [one.id, one]));
  state.messages = Object.fromEntries(d.messages.map((one) => [one.id, one]));
  state.commands = d.commands;
  if (!state.channels[state.channel]) state.channel = d.channels.find((one) => one.type === 0).id;
  at("about").querySelector("ul").replaceChildren(...d.about.map((line) => make("li", { textContent: line })));
  tell("");
  showChannels();
  showMessages();
}

// --- what is shown

function showChannels() {
  const buttons = Object.values(state.channels).map((one) => {
    const mark = one.type === 0 ? "#" : "🧵";
    const button = make("button", { type: "button", textContent: `${mark} ${one.name}` });
    button.setAttribute("aria-current", String(one.id === state.channel));
    button.onclick = () => { state.channel = one.id; showChannels(); showMessages(); };
    return button;
  });
  at("channels").replaceChildren(...buttons);
  at("text").placeholder = `Message ${state.channels[state.channel]?.name ?? ""} — / for commands`;
}

function showMessages() {
  const here = Object.values(state.messages).filter((one) => one.channel_id === state.channel);
  here.sort((one, other) => (BigInt(one.id) < BigInt(other.id) ? -1 : 1));
  at("messages").replaceChildren(...here.map(article));
  if (!here.length) at("messages").append(make("p", { className: "small", textContent: "Nothing here yet. Type /claude start below. / まだ何もありません。下に /claude start と入力してください。" }));
  at("messages").scrollTop = at("messages").scrollHeight;
}

function showMessage(message) {
  if (message.channel_id !== state.channel) return;
  const box = at("messages");
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  const present = at(`m${message.id}`);
  if (present) present.replaceWith(article(message)); else { box.querySelector("p.small")?.remove(); box.append(article(message)); }
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function article(message) {
  const thinking = message.flags & 128;
  const element = make("article", { id: `m${message.id}`, className: message.person ? "private" : "" },
    make("span", { className: "who", textContent: message.author.username }),
    make("time", { textContent: new Date(message.timestamp).toLocaleTimeString() + (message.edited_timestamp ? " (edited)" : "") }),
    make("div", { className: "body" }, ...(thinking ? ["thinking…"] : markdown(message.content))));
  if (message.person) element.append(make("div", { className: "small", textContent: "Only you can see this" }));
  for (const file of message.attachments) element.append(make("a", { href: file.url, textContent: `📎 ${file.filename}`, rel: "noreferrer" }), " ");
  for (const mark of message.marks ?? []) element.append(make("span", { className: "mark", textContent: decodeURIComponent(mark) }));
  for (const row of message.components) element.append(make("div", { className: "buttons" }, ...row.components.map((one) => pressable(message, one))));
  if (message.author.id === state.me.id) element.append(own(message));
  return element;
}

function pressable(message, component) {
  const button = make("button", { type: "button", textContent: component.label ?? `unknown component ${component.type}`, className: `style${component.style}` });
  button.onclick = () => act("press", { channel: message.channel_id, message: message.id, custom_id: component.custom_id });
  return button;
}

function own(message) {
  const edit = make("button", { type: "button", textContent: "✎", title: "Edit" });
  edit.onclick = () => {
    const text = prompt("Edit", message.content);
    if (text !== null) act("edit", { channel: message.channel_id, message: message.id, content: text });
  };
  const remove = make("button", { type: "button", textContent: "🗑", title: "Delete" });
  remove.onclick = () => act("delete", { channel: message.channel_id, message: message.id });
  return make("span", { className: "small" }, edit, remove);
}

// --- Markdown: blocks, then a few marks within a line; everything else stays as it was typed

function markdown(text) {
  const parts = [];
  text.split(/(```[\s\S]*?(?:```|$))/).forEach((part) => {
    if (part.startsWith("```")) {
      const code = part.slice(3).replace(/```$/, "").replace(/^[\w+-]*\n/, "");
      parts.push(make("pre", { textContent: code }));
    } else {
      part.split("\n").forEach((line, index) => {
        if (index) parts.push("\n");
        const small = line.startsWith("-# ");
        const heading = /^#{1,3} /.exec(line);
        const body = inline(small ? line.slice(3) : heading ? line.slice(heading[0].length) : line);
        if (small) parts.push(make("span", { className: "small" }, ...body));
        else if (heading) parts.push(make("strong", {}, ...body));
        else parts.push(...body);
      });
    }
  });
  return parts;
}

function inline(line) {
  return line.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|<@!?\d+>|<#\d+>|<t:\d+:R>|\\.)/).filter(Boolean).map((part) => {
    if (/^`[^`]+`$/.test(part)) return make("code", { textContent: part.slice(1, -1) });
    if (/^\*\*.+\*\*$/.test(part)) return make("strong", { textContent: part.slice(2, -2) });
    if (/^\*.+\*$/.test(part)) return make("em", { textContent: part.slice(1, -1) });
    if (/^<@/.test(part)) return make("span", { className: "mention", textContent: `@${state.people[part.replace(/\D/g, "")] ?? "someone"}` });
    if (/^<#/.test(part)) return make("span", { className: "mention", textContent: `#${state.channels[part.replace(/\D/g, "")]?.name ?? "thread"}` });
    if (/^<t:/.test(part)) return new Date(Number(part.slice(3, -3)) * 1000).toLocaleString();
    if (/^\\/.test(part)) return part.slice(1);
    return part;
  });
}

// --- what goes out

at("composer").onsubmit = async (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  const files = [...at("files").files];
  if (!text && !files.length) return;
  at("text").value = "";
  at("files").value = "";
  at("picker").hidden = true;
  if (text.startsWith("/") && !files.length) await slash(text);
  else await act("say", { channel: state.channel, content: text }, files);
};

at("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); at("composer").requestSubmit(); }
};

at("text").oninput = () => {
  const typed = at("text").value;
  const lines = state.commands.flatMap((command) => command.options.map((sub) => ({ command, sub, line: `/${command.name} ${sub.name}` })))
    .filter(({ line }) => typed.startsWith("/") && line.startsWith(typed.trim()));
  at("picker").hidden = !lines.length;
  at("picker").replaceChildren(...lines.map(({ sub, line }) => {
    const words = sub.description_localizations?.[state.me.locale] ?? sub.description;
    const button = make("button", { type: "button", textContent: `${line} — ${words}` });
    button.onclick = () => {
      at("text").value = sub.options?.length ? `${line} ${sub.options[0].name}:` : line;
      at("picker").hidden = true;
      at("text").focus();
    };
    return make("li", {}, button);
  }));
};

async function slash(text) {
  const [, name, sub, rest] = /^\/(\S+)\s*(\S*)\s*([\s\S]*)$/.exec(text);
  const command = state.commands.find((one) => one.name === name)?.options.find((one) => one.name === sub);
  if (!command) return tell(`There is no ${text.split("\n")[0]}`);
  const option = command.options?.[0];
  const value = option && rest ? rest.replace(new RegExp(`^${option.name}:\\s*`), "") : "";
  const options = value ? [{ name: option.name, type: 3, value }] : [];
  return act("slash", { channel: state.channel, name, options: [{ name: sub, type: 1, options }] });
}

at("person").onchange = connect;
connect();
