// The first minute: what this is, what of it is real, what to try; and a button that plays it.
import { icon, make } from "./dom.js";
import { act } from "./net.js";
import { state, when } from "./state.js";
import { language, say } from "./texts.js";

const MARKS = /(\*\*[^*]+\*\*|`[^`]+`)/;

/** The page's own texts know bold and code. */
function marked(text) {
  return text.split(MARKS).map((part) => {
    if (part.startsWith("**")) return make("strong", {}, part.slice(2, -2));
    if (part.startsWith("`")) return make("code", {}, part.slice(1, -1));
    return part;
  });
}

export function welcome() {
  const about = state.about[language() === "ja" ? 1 : 0] ?? state.about[0] ?? "";
  const lines = say("welcome").map((line) => line.replace("{about}", about)).filter(Boolean);
  const play = make("button", { type: "button", class: "button primary", id: "play" }, icon("play"), say("play"));
  play.onclick = () => act("play", { channel: state.channel });
  const element = make("section", { id: "welcome", "aria-label": say("welcome_title") },
    make("h2", {}, say("welcome_title")),
    make("ol", {}, ...lines.map((line) => make("li", {}, ...marked(line)))),
    make("p", { class: "row" }, play, make("span", { id: "played", role: "status" })));
  showPlaying(element);
  return element;
}

export function playingWords() {
  const { state: how, step, steps, words } = state.playing;
  if (how === "playing") return step ? say("playing", step, steps, words) : say("play_begins");
  return { done: say("played"), failed: say("play_failed", words) }[how] ?? "";
}

function showPlaying(element = document) {
  const play = element.querySelector("#play");
  if (!play) return;
  play.disabled = state.playing.state === "playing";
  element.querySelector("#played").textContent = playingWords();
}

when("playing", () => showPlaying());
