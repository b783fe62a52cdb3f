// Without a mouse: the arrows go from message to message, Tab from there to what can be done with it, Escape back to the box.
import { at } from "./dom.js";

const scroller = at("scroller");
const FIELDS = "input, textarea, select, pre";

scroller.addEventListener("keydown", (event) => {
  if (event.target.closest(FIELDS) || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") at("text").focus();
  if (!["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  const all = [...at("messages").querySelectorAll("article")];
  const known = all.indexOf(event.target.closest("article"));
  const next = known < 0 ? all.length - 1 : known + (event.key === "ArrowUp" ? -1 : 1);
  if (next >= all.length) at("text").focus();
  else all[Math.max(next, 0)]?.focus();
});

// whoever simply begins to type means the box
document.addEventListener("keydown", (event) => {
  const plain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (plain && !event.target.closest(`${FIELDS}, dialog, #log`) && !at("composer").hidden) at("text").focus();
});
