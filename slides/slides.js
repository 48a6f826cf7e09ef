// One slide at a time. Without this script all of them stand below each other.
const slides = [...document.querySelectorAll("main > section")];
const button = document.getElementById("notes");
let now = 0;

function show(k, all = false) {
  now = Math.max(0, Math.min(k, slides.length - 1));
  slides.forEach((slide, i) => slide.classList.toggle("now", i === now));
  for (const part of slides[now].querySelectorAll(".fragment")) part.classList.toggle("seen", all);
  document.getElementById("where").textContent = `${now + 1} of ${slides.length}`;
  history.replaceState(null, "", `#${now + 1}`);
  slides[now].focus({ preventScroll: true });
}

function on() {
  const waiting = slides[now].querySelector(".fragment:not(.seen)");
  if (waiting) waiting.classList.add("seen");
  else if (now < slides.length - 1) show(now + 1);
}

function notes() {
  button.setAttribute("aria-pressed", document.body.classList.toggle("with-notes"));
}

// What a presenter's remote control sends, too. Up and Down are left to the notes, which scroll.
const keys = {
  ArrowRight: on,
  PageDown: on,
  " ": on,
  ArrowLeft: () => show(now - 1, true),
  PageUp: () => show(now - 1, true),
  Home: () => show(0),
  End: () => show(slides.length - 1, true),
  n: notes,
  N: notes,
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
  if (event.key === " " && event.target.closest("button, a")) return;
  event.preventDefault();
  keys[event.key]();
});
button.addEventListener("click", notes);
document.getElementById("on").addEventListener("click", on);
document.getElementById("back").addEventListener("click", keys.ArrowLeft);
addEventListener("hashchange", () => show(parseInt(location.hash.slice(1), 10) - 1 || 0));

document.documentElement.classList.add("js");
show(parseInt(location.hash.slice(1), 10) - 1 || 0);
