// The playground's page, put together. It speaks to the local Discord only; what it shows is what the bot sent.
import { at } from "./dom.js";
import { connect } from "./net.js";
import { state, when } from "./state.js";
import { speak } from "./texts.js";
import "./messages.js";
import "./sidebar.js";
import "./composer.js";
import "./modal.js";
import "./log.js";
import "./keys.js";

const asked = new URLSearchParams(location.search);
state.token = asked.get("token") ?? "";
state.person = asked.get("as") ?? "alice";
speak(navigator.language);

when("connection", (words) => {
  at("banner").hidden = !words;
  at("banner").textContent = words;
  document.body.classList.toggle("lost", Boolean(words));
});

let clearing = 0;
when("told", (words) => {
  at("state").textContent = words;
  clearTimeout(clearing);
  if (words) clearing = setTimeout(() => { at("state").textContent = ""; }, 8000);
});

connect();
